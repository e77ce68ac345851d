"""Body motion that fits any body: the movement of 21 segments, as rotations relative to a T-pose.

World: metres, right-handed, Y up, floor at y = 0. The T-pose faces +Z with its LEFT towards +X, arms along ±X with the
palms down and the thumbs forward, legs straight down, feet flat and forward. ``rotations`` are global and relative to
that pose, so on every body a segment points along R_segment @ (its direction in the T-pose), whatever its bone lengths.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tools.synthetic.movement.rotations import about, slerp, transpose

SEGMENTS = (
    "pelvis", "spine", "chest", "neck", "head",
    "clavicle_r", "upperarm_r", "forearm_r", "hand_r",
    "clavicle_l", "upperarm_l", "forearm_l", "hand_l",
    "thigh_r", "calf_r", "foot_r", "toe_r",
    "thigh_l", "calf_l", "foot_l", "toe_l",
)  # fmt: skip
#: Index of the segment that each is attached to; the pelvis hangs from nothing.
PARENTS = (-1, 0, 1, 2, 3, 2, 5, 6, 7, 2, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19)
INDEX = {name: k for k, name in enumerate(SEGMENTS)}
ARMS = tuple(range(INDEX["clavicle_r"], INDEX["hand_l"] + 1))
#: For each segment its counterpart on the other side.
MIRRORED = tuple(
    INDEX[name[:-1] + {"r": "l", "l": "r"}[name[-1]] if name[-2:] in ("_r", "_l") else name] for name in SEGMENTS
)

#: The stick body: T-pose offset [21, 3] of each segment's joint from its parent's, metres; the pelvis joint is the middle
#: of the two hip joints, at its height over the soles. Proportions of a 1.75 m adult (Drillis and Contini's ratios).
OFFSETS = np.array([
    (0, 0.92, 0), (0, 0.11, -0.01), (0, 0.16, -0.01), (0, 0.28, -0.01), (0, 0.09, 0.02),
    (-0.02, 0.21, 0.03), (-0.16, 0.01, -0.03), (-0.29, 0, 0), (-0.26, 0, 0),
    (0.02, 0.21, 0.03), (0.16, 0.01, -0.03), (0.29, 0, 0), (0.26, 0, 0),
    (-0.09, 0, 0), (0, -0.43, 0), (0, -0.41, 0), (0, -0.06, 0.13),
    (0.09, 0, 0), (0, -0.43, 0), (0, -0.41, 0), (0, -0.06, 0.13),
])  # fmt: skip
HIP_HEIGHT = float(OFFSETS[0, 1])
#: Points of the right or left sole in the T-pose: heel and ball from the ankle (they turn with the foot), tip from the ball joint.
HEEL, BALL, TIP = np.array([0, -0.08, -0.05]), np.array([0, -0.08, 0.13]), np.array([0, -0.02, 0.07])


@dataclass(frozen=True)
class Prop:
    """A thing in the scene, in the scale of the motion's ``hip_height``: a box in the world, or one in a hand.

    In the world: ``centre`` [3] and ``yaw``. In a hand ("r" or "l"): the box turns with the hand segment, its centre
    ``offset`` [3] from the wrist in the T-pose (fingers along ±X, palm down, thumb along +Z).
    """

    kind: str  # "seat" | "table" | "step" | "phone" | "paper" | "cup" | "tool" | "ball"
    size: tuple[float, float, float]  # extent along x, y, z before any turn
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)
    yaw: float = 0.0
    hand: str | None = None
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Motion:
    """Frames at a fixed rate. ``root`` is the pelvis joint (the middle of the hip joints) of a body that stands ``hip_height`` tall there."""

    name: str
    fps: float
    root: np.ndarray  # [F, 3] metres, world
    hip_height: float  # metres; scale root and props by another body's over this
    rotations: np.ndarray  # [F, 21, 3, 3] global, relative to the T-pose
    grip: np.ndarray  # [F, 2] finger curl of the right and left hand, 0 flat to 1 fist
    props: tuple[Prop, ...] = ()
    source: str = ""  # the file or the activity

    def __len__(self) -> int:
        return len(self.root)

    @property
    def seconds(self) -> float:
        return len(self) / self.fps


def local_rotations(rotations: np.ndarray) -> np.ndarray:
    """Rotations [..., 21, 3, 3] relative to each segment's parent, from global ones. The pelvis keeps its global one."""
    local = rotations.copy()
    local[..., 1:, :, :] = transpose(rotations[..., PARENTS[1:], :, :]) @ rotations[..., 1:, :, :]
    return local


def global_rotations(local: np.ndarray) -> np.ndarray:
    rotations = local.copy()
    for k in range(1, len(SEGMENTS)):
        rotations[..., k, :, :] = rotations[..., PARENTS[k], :, :] @ local[..., k, :, :]
    return rotations


def joint_positions(motion: Motion, offsets: np.ndarray | None = None) -> np.ndarray:
    """World positions [F, 21, 3] of the segments' joints on a stick body: by forward kinematics from the pelvis joint.

    ``offsets`` [21, 3] as OFFSETS, which scaled to the motion's hip height is the default.
    """
    offsets = OFFSETS * (motion.hip_height / HIP_HEIGHT) if offsets is None else offsets
    joints = np.empty((len(motion), len(SEGMENTS), 3))
    joints[:, 0] = motion.root
    for k in range(1, len(SEGMENTS)):
        joints[:, k] = joints[:, PARENTS[k]] + motion.rotations[:, PARENTS[k]] @ offsets[k]
    return joints


def sole_points(motion: Motion, joints: np.ndarray | None = None) -> np.ndarray:
    """World positions [F, 2, 3, 3] of heel, ball and toe tip under the right and the left foot of the stick body."""
    joints = joint_positions(motion) if joints is None else joints
    scale = motion.hip_height / HIP_HEIGHT
    soles = []
    for side in "rl":
        foot, toe = INDEX[f"foot_{side}"], INDEX[f"toe_{side}"]
        heel, ball = (joints[:, foot] + motion.rotations[:, foot] @ (point * scale) for point in (HEEL, BALL))
        soles.append(np.stack([heel, ball, joints[:, toe] + motion.rotations[:, toe] @ (TIP * scale)], 1))
    return np.stack(soles, 1)


def sampled(motion: Motion, frames: np.ndarray, fps: float) -> Motion:
    """The motion at fractional frame numbers [N], called frames of ``fps``: rotations by slerp, the rest linearly."""
    frames = np.clip(frames, 0, len(motion) - 1)
    before = np.minimum(frames.astype(int), max(len(motion) - 2, 0))
    after = np.minimum(before + 1, len(motion) - 1)
    weight = frames - before
    blend = lambda values: values[before] + weight[:, None] * (values[after] - values[before])
    rotations = slerp(motion.rotations[before], motion.rotations[after], weight[:, None])
    return replace(motion, fps=float(fps), root=blend(motion.root), rotations=rotations, grip=blend(motion.grip))


def resample(motion: Motion, fps: float) -> Motion:
    """The same movement at another frame rate, first frame kept."""
    count = int((len(motion) - 1) * fps / motion.fps + 1e-6) + 1
    return sampled(motion, np.arange(count) * (motion.fps / fps), fps)


def retime(motion: Motion, factor: float) -> Motion:
    """The movement ``factor`` times as fast, at the same frame rate; 1 leaves it as it is."""
    count = int((len(motion) - 1) / factor + 1e-6) + 1
    return sampled(motion, np.arange(count) * factor, motion.fps)


def crop(motion: Motion, start: int, stop: int | None) -> Motion:
    """Frames ``start`` to ``stop``, as a slice."""
    part = slice(start, stop)
    return replace(motion, root=motion.root[part], rotations=motion.rotations[part], grip=motion.grip[part])


def turn(motion: Motion, yaw: float) -> Motion:
    """The whole scene turned by ``yaw`` (to the left) about the world's vertical through the origin."""
    R = about("Y", yaw)
    props = tuple(
        p if p.hand else replace(p, centre=tuple(R @ np.array(p.centre)), yaw=p.yaw + yaw) for p in motion.props
    )
    return replace(motion, root=motion.root @ R.T, rotations=R @ motion.rotations, props=props)


def moved(motion: Motion, shift) -> Motion:
    """The whole scene displaced by ``shift`` [3] metres."""
    props = tuple(p if p.hand else replace(p, centre=tuple(np.add(p.centre, shift))) for p in motion.props)
    return replace(motion, root=motion.root + np.asarray(shift), props=props)


def mirror(motion: Motion) -> Motion:
    """The motion seen in a mirror: x reflected, left and right exchanged."""
    reflect = np.array([-1.0, 1, 1])

    def reflected(prop: Prop) -> Prop:
        hand = {"r": "l", "l": "r", None: None}[prop.hand]
        return replace(
            prop, centre=tuple(prop.centre * reflect), offset=tuple(prop.offset * reflect), yaw=-prop.yaw, hand=hand
        )

    rotations = reflect[:, None] * motion.rotations[:, MIRRORED] * reflect
    props = tuple(reflected(prop) for prop in motion.props)
    return replace(motion, root=motion.root * reflect, rotations=rotations, grip=motion.grip[:, ::-1], props=props)


def ping_pong(length: int, count: int) -> np.ndarray:
    """Frame numbers [count] that run through ``length`` frames forth and back, without a jump."""
    period = max(2 * (length - 1), 1)
    k = np.arange(count) % period
    return np.minimum(k, period - k) if length > 1 else np.zeros(count, int)


def with_arms(motion: Motion, arms: Motion, weight: np.ndarray | None = None) -> Motion:
    """The motion with the arms, from the clavicles to the hands, of another one, held relative to the chest.

    ``arms`` is brought to the motion's frame rate and played forth and back to its length. ``weight`` [F] in 0..1 fades
    between the motion's own arms (0) and the other's (1, the default); its smoothness is the caller's. What ``arms``
    holds in its hands comes along when the weight is above one half for most of the time.
    """
    arms = resample(arms, motion.fps) if arms.fps != motion.fps else arms
    weight = np.ones(len(motion)) if weight is None else np.asarray(weight, float)
    picked = ping_pong(len(arms), len(motion))
    local = local_rotations(motion.rotations)
    theirs = local_rotations(arms.rotations)[picked]
    # Joint by joint: a blend of two bent elbows bends about the same hinge, which a blend of global rotations would not.
    local[:, ARMS] = slerp(local[:, ARMS], theirs[:, ARMS], weight[:, None])
    grip = motion.grip + weight[:, None] * (arms.grip[picked] - motion.grip)
    lent = np.mean(weight > 0.5) > 0.5
    held = tuple(prop for prop in (arms if lent else motion).props if prop.hand)
    return replace(
        motion,
        name=f"{motion.name}+{arms.name}",
        rotations=global_rotations(local),
        grip=grip,
        props=tuple(prop for prop in motion.props if not prop.hand) + held,
    )
