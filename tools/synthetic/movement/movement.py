"""A movement: how a body's 21 segments turn over time, whatever its bone lengths, and the algebra of movements.

World, T-pose and segments are those of ``segments``. ``rotations`` are global and relative to the T-pose, so on every
body a segment points along R_segment @ (its direction in the T-pose).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tools.synthetic.movement.rotations import about, slerp
from tools.synthetic.movement.segments import (
    ARMS,
    BALL,
    HEEL,
    HIP_HEIGHT,
    INDEX,
    MIRRORED,
    OFFSETS,
    PARENTS,
    SEGMENTS,
    TIP,
    global_rotations,
    local_rotations,
)


@dataclass(frozen=True)
class Prop:
    """A thing in the scene, in the scale of the movement's ``hip_height``: a box in the world, or one in a hand.

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
class Movement:
    """Frames at a fixed rate, of a body whose hip joints are ``hip_height`` over its soles when it stands."""

    name: str
    fps: float
    root: np.ndarray  # [F, 3] metres, world: the pelvis joint, which is the middle of the hip joints
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


def joint_positions(movement: Movement, offsets: np.ndarray | None = None) -> np.ndarray:
    """World positions [F, 21, 3] of the segments' joints on a stick body: by forward kinematics from the pelvis joint.

    ``offsets`` [21, 3] as OFFSETS, which scaled to the movement's hip height is the default.
    """
    offsets = OFFSETS * (movement.hip_height / HIP_HEIGHT) if offsets is None else offsets
    joints = np.empty((len(movement), len(SEGMENTS), 3))
    joints[:, 0] = movement.root
    for k in range(1, len(SEGMENTS)):
        joints[:, k] = joints[:, PARENTS[k]] + movement.rotations[:, PARENTS[k]] @ offsets[k]
    return joints


def sole_points(movement: Movement, joints: np.ndarray | None = None) -> np.ndarray:
    """World positions [F, 2, 3, 3] of heel, ball and toe tip under the right and the left foot of the stick body."""
    joints = joint_positions(movement) if joints is None else joints
    scale = movement.hip_height / HIP_HEIGHT
    soles = []
    for side in "rl":
        foot, toe = INDEX[f"foot_{side}"], INDEX[f"toe_{side}"]
        heel, ball = (joints[:, foot] + movement.rotations[:, foot] @ (point * scale) for point in (HEEL, BALL))
        soles.append(np.stack([heel, ball, joints[:, toe] + movement.rotations[:, toe] @ (TIP * scale)], 1))
    return np.stack(soles, 1)


def sampled(movement: Movement, frames: np.ndarray, fps: float) -> Movement:
    """The movement at fractional frame numbers [N], called frames of ``fps``: rotations by slerp, the rest linearly."""
    frames = np.clip(frames, 0, len(movement) - 1)
    before = np.minimum(frames.astype(int), max(len(movement) - 2, 0))
    after = np.minimum(before + 1, len(movement) - 1)
    weight = frames - before
    blend = lambda values: values[before] + weight[:, None] * (values[after] - values[before])
    rotations = slerp(movement.rotations[before], movement.rotations[after], weight[:, None])
    return replace(movement, fps=float(fps), root=blend(movement.root), rotations=rotations, grip=blend(movement.grip))


def resample(movement: Movement, fps: float) -> Movement:
    """The movement at another frame rate; the first frame is kept."""
    count = int((len(movement) - 1) * fps / movement.fps + 1e-6) + 1
    return sampled(movement, np.arange(count) * (movement.fps / fps), fps)


def retime(movement: Movement, factor: float) -> Movement:
    """The movement ``factor`` times as fast, at the same frame rate; 1 leaves it as it is."""
    count = int((len(movement) - 1) / factor + 1e-6) + 1
    return sampled(movement, np.arange(count) * factor, movement.fps)


def crop(movement: Movement, start: int, stop: int | None) -> Movement:
    """The movement from frame ``start`` to before frame ``stop``."""
    part = slice(start, stop)
    return replace(movement, root=movement.root[part], rotations=movement.rotations[part], grip=movement.grip[part])


def turn(movement: Movement, yaw: float) -> Movement:
    """The body and its props turned by ``yaw`` (to the left) about the world's vertical through the origin."""
    R = about("Y", yaw)
    props = tuple(
        p if p.hand else replace(p, centre=tuple(R @ np.array(p.centre)), yaw=p.yaw + yaw) for p in movement.props
    )
    return replace(movement, root=movement.root @ R.T, rotations=R @ movement.rotations, props=props)


def moved(movement: Movement, shift) -> Movement:
    """The body and its props displaced by ``shift`` [3] metres."""
    props = tuple(p if p.hand else replace(p, centre=tuple(np.add(p.centre, shift))) for p in movement.props)
    return replace(movement, root=movement.root + np.asarray(shift), props=props)


def mirror(movement: Movement) -> Movement:
    """The movement seen in a mirror: x reflected, left and right exchanged."""
    reflect = np.array([-1.0, 1, 1])

    def reflected(prop: Prop) -> Prop:
        hand = {"r": "l", "l": "r", None: None}[prop.hand]
        (x, y, z), (u, v, w) = prop.centre * reflect, prop.offset * reflect
        return replace(prop, centre=(x, y, z), offset=(u, v, w), yaw=-prop.yaw, hand=hand)

    rotations = reflect[:, None] * movement.rotations[:, MIRRORED] * reflect
    props = tuple(reflected(prop) for prop in movement.props)
    return replace(
        movement, root=movement.root * reflect, rotations=rotations, grip=movement.grip[:, ::-1], props=props
    )


def ping_pong(length: int, count: int) -> np.ndarray:
    """Frame numbers [count] that run through ``length`` frames forth and back, without a jump."""
    period = max(2 * (length - 1), 1)
    k = np.arange(count) % period
    return np.minimum(k, period - k) if length > 1 else np.zeros(count, int)


def with_arms(movement: Movement, arms: Movement, weight: np.ndarray | None = None) -> Movement:
    """The movement with the arms, from the clavicles to the hands, of another one, held relative to the chest.

    ``arms`` is brought to the movement's frame rate and played forth and back to its length. ``weight`` [F] in 0..1
    fades between the movement's own arms (0) and the other's (1, the default); its smoothness is the caller's. What
    ``arms`` holds in its hands comes along when the weight is above one half for most of the time.
    """
    arms = resample(arms, movement.fps) if arms.fps != movement.fps else arms
    weight = np.ones(len(movement)) if weight is None else np.asarray(weight, float)
    picked = ping_pong(len(arms), len(movement))
    local = local_rotations(movement.rotations)
    theirs = local_rotations(arms.rotations)[picked]
    # Joint by joint: a blend of two bent elbows then bends about the same hinge. A blend of global rotations would not.
    local[:, ARMS] = slerp(local[:, ARMS], theirs[:, ARMS], weight[:, None])
    grip = movement.grip + weight[:, None] * (arms.grip[picked] - movement.grip)
    lent = np.mean(weight > 0.5) > 0.5
    held = tuple(prop for prop in (arms if lent else movement).props if prop.hand)
    return replace(
        movement,
        name=f"{movement.name}+{arms.name}",
        rotations=global_rotations(local),
        grip=grip,
        props=tuple(prop for prop in movement.props if not prop.hand) + held,
    )
