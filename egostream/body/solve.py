"""The body solver: joints [15, 3] -> rotations of 19 bones, in closed form, frame after frame.

Hips and chest are told by the lines of hips and shoulders and by the torso between. Every other bone lies along its
joints exactly; one that the camera hardly sees follows them slowly (``unsure``). ``hinges`` says how the upper limbs
turn about themselves. Lower limbs share their hinges, so that forearms do not twist. Feet take the shortest way from
the shin, and hands go with the forearms: no joint shows more. The head is fixed in the camera's axes, because the
camera sits on it.
"""

from __future__ import annotations

from math import atan2, cos, isfinite, pi, radians, sin, sqrt

import numpy as np

from egostream.body.bones import (
    BONES,
    FOOT_PITCH,
    FOOT_REST,
    HIP_JOINTS,
    LIMB_ENDS,
    LIMBS,
    REST_DIRECTIONS,
    SIDES,
    VECTOR_NAMES,
    VECTORS,
)
from egostream.body.hinges import ARM, LEG, Limb, Steady
from egostream.body.measure import SURE_CONFIDENCE, Body, Measure
from egostream.body.plain import (
    Axes,
    Quaternion,
    Swing,
    Vector,
    about,
    cross,
    half_way,
    in_axes,
    length,
    of_axes,
    opposite,
    product,
    square_to,
    turned,
    unit,
    without,
)
from egostream.body.pose import BodyPose
from egostream.body.unsure import Followed
from egostream.skeleton import JOINT_COUNT

#: Below this sine of the angle between the torso and the line of hips or shoulders, the frame before helps to tell what
#: is ahead.
LEAST_SINE = 0.35
#: A gap after which the past says nothing, and the step that is assumed where times do not grow.
FORGET_NS, USUAL_STEP_S = 500_000_000, 1 / 30
#: Feet take the shortest way from the middle of their reach: toes so far below the horizon, radians.
FOOT_MIDDLE_PITCH = radians(45)
FOOT_MIDDLE = (0.0, sin(FOOT_MIDDLE_PITCH), cos(FOOT_MIDDLE_PITCH))
FOOT_LOWERED = about((-1.0, 0.0, 0.0), FOOT_MIDDLE_PITCH - FOOT_PITCH)
#: Joints on each other, in metres, tell no direction.
LEAST_LENGTH = 1e-6
ALL_SURE = np.ones(JOINT_COUNT)


class BodySolver:
    """Solves one stream's poses, in their order.

    stature_m: the wearer's, which bones and poses are scaled to, about the camera; 0: as the joints have them.
    mount [4]: rotation x, y, z, w from the head's axes to the camera's; None: guessed while the wearer is measured, as
    if the head were level on average.
    """

    def __init__(self, stature_m: float = 0.0, mount: np.ndarray | None = None):
        self.mount = mount
        self.measure = Measure(stature_m)
        self.limbs = {side: (Limb(ARM, side == "Left"), Limb(LEG, side == "Left")) for side in SIDES}
        self.shoulder_swings = {side: Swing(REST_DIRECTIONS[f"{side}Shoulder"]) for side in SIDES}
        self.foot_swings = {side: Swing(FOOT_MIDDLE) for side in SIDES}
        self.steady_feet = {side: Steady(FOOT_REST) for side in SIDES}
        self.follow = {side + bone: Followed() for side in SIDES for bone in LIMBS}
        self.directions: dict[str, Vector] = dict(REST_DIRECTIONS)
        self.sideways: dict[str, Vector] = {"hips": (1.0, 0.0, 0.0), "shoulders": (1.0, 0.0, 0.0)}
        self.newest: BodyPose | None = None

    @property
    def body(self) -> Body:
        """The wearer's bones as far as they are known: they change in the first seconds, and no more afterwards."""
        return self.measure.body

    def __call__(self, t_ns: int, joints: np.ndarray, confidence: np.ndarray = ALL_SURE) -> BodyPose:
        """The pose of joints [15, 3] in metres, captured at ``t_ns``; confidence [15] in 0..1.

        Joints that are not finite leave the bones as they were.
        """
        if not isfinite(joints.sum()):
            return self.held(t_ns)
        seconds = self.elapsed_s(t_ns)
        vectors = dict(zip(VECTOR_NAMES, (VECTORS @ joints).tolist()))
        self.directions = known_directions(vectors, self.directions)
        hips, chest = self.axes("hips"), self.axes("shoulders")
        if not self.measure.is_done:
            self.take_measure(t_ns, vectors, chest, confidence)
        rotations = self.torso(hips, chest)
        sure = confidence.tolist()
        for side, ends in LIMB_ENDS.items():
            seen = [min(sure[start], sure[stop]) for start, stop in ends]
            self.arm(side, rotations, chest, seen, seconds)
            self.leg(side, rotations, hips, seen, seconds)
        rows = np.array([rotations[bone] for bone in BONES])
        if self.newest is not None:  # q and -q are one rotation: the one nearer to the frame before
            cosines = np.vecdot(rows, self.newest.rotations)
            if cosines.min() < 0:
                rows[cosines < 0] *= -1
        left, right = HIP_JOINTS
        self.newest = BodyPose(t_ns, (joints[left] + joints[right]) * (self.measure.scale / 2), rows)
        return self.newest

    def held(self, t_ns: int) -> BodyPose:
        """The pose before, or the T-pose, at another time."""
        before = self.newest or self.body.at_rest()
        return BodyPose(t_ns, before.hips, before.rotations)

    def elapsed_s(self, t_ns: int) -> float:
        """Seconds since the pose before. After a gap the past of the hinges is forgotten."""
        step_ns = 0 if self.newest is None else t_ns - self.newest.t_ns
        if abs(step_ns) > FORGET_NS:
            self.forget()
        return step_ns / 1e9 if 0 < step_ns <= FORGET_NS else USUAL_STEP_S

    def forget(self) -> None:
        """What comes next is as it is seen, whatever was before."""
        for side in SIDES:
            for limb in self.limbs[side]:
                limb.reset()
            self.steady_feet[side].before = None
        for followed in self.follow.values():
            followed.before = None

    def axes(self, line: str) -> Axes:
        """Right, down and ahead of hips or chest: down along the torso, right along a line.

        Where the line lies along the torso, the frame before helps.
        """
        down = self.directions["torso"]
        across = without(self.directions[line], down)
        if (sine := length(across)) < LEAST_SINE:
            before, share = without(self.sideways[line], down), LEAST_SINE - sine
            across = tuple(a + share * b for a, b in zip(across, before))  # type: ignore[assignment]
        right = self.sideways[line] = unit(across, square_to(down))
        return right, down, cross(right, down)

    def take_measure(self, t_ns: int, vectors: dict[str, list], chest: Axes, confidence: np.ndarray) -> None:
        """Let a frame of the first seconds tell the wearer's bones."""
        lengths = np.linalg.norm([*vectors.values()], axis=-1)
        shoulders = [in_axes(self.directions[f"{side}Shoulder"], *chest) for side in SIDES]
        self.measure.add(t_ns, lengths, np.array(shoulders), np.array(self.directions["torso"]), confidence)
        for side, start in zip(SIDES, self.body.shoulders.tolist()):
            self.shoulder_swings[side].start = tuple(start)

    def torso(self, hips: Axes, chest: Axes) -> dict[str, Quaternion]:
        """Rotations of hips, spine, chest, neck and head. The spine has half of what the chest turns."""
        below = of_axes(*hips)
        right, _, ahead = in_axes(chest[0], *hips)
        turn = atan2(-ahead, right)  # of the chest against the hips, about down
        half = min(turn, pi - turn) / 2 if turn > 0 else max(turn, -pi - turn) / 2
        above = product(below, (0.0, sin(turn / 2), 0.0, cos(turn / 2)))
        head: Quaternion = tuple((self.measure.mount if self.mount is None else self.mount).tolist())  # type: ignore
        return {
            "Hips": below,
            "Spine": product(below, (0.0, sin(half / 2), 0.0, cos(half / 2))),
            "Chest": above,
            "Neck": product(above, half_way(product(opposite(above), head))),
            "Head": head,
        }

    def followed(self, bone: str, axes: Axes, confidence: float, seconds: float) -> Vector:
        """A limb's direction in the axes of hips or chest: as it is seen, or slower where it hardly is."""
        right, down, ahead = axes
        return self.follow[bone](in_axes(self.directions[bone], right, down, ahead), confidence, seconds)

    def arm(self, side: str, rotations: dict[str, Quaternion], chest: Axes, seen: list[float], seconds: float) -> None:
        """Add a shoulder's, arm's and hand's rotations. seen [5]: confidence of each of ``LIMBS``."""
        parent = rotations["Chest"]
        shoulder = in_axes(self.directions[f"{side}Shoulder"], *chest)
        upper = self.followed(f"{side}UpperArm", chest, seen[0], seconds)
        lower = self.followed(f"{side}LowerArm", chest, seen[1], seconds)
        above, below = self.limbs[side][0].solve(upper, lower, trust(seen[1]), seconds, None, 0.0)
        rotations[f"{side}Shoulder"] = product(parent, self.shoulder_swings[side](shoulder))
        rotations[f"{side}UpperArm"] = product(parent, above)
        rotations[f"{side}LowerArm"] = rotations[f"{side}Hand"] = product(parent, below)

    def leg(self, side: str, rotations: dict[str, Quaternion], hips: Axes, seen: list[float], seconds: float) -> None:
        """Add a leg's and foot's rotations. seen [5]: confidence of each of ``LIMBS``."""
        upper = self.followed(f"{side}UpperLeg", hips, seen[2], seconds)
        lower = self.followed(f"{side}LowerLeg", hips, seen[3], seconds)
        foot = self.followed(f"{side}Foot", hips, seen[4], seconds)
        parent = rotations["Hips"]
        above, below = self.limbs[side][1].solve(upper, lower, trust(seen[3]), seconds, foot, trust(seen[4]))
        rotations[f"{side}UpperLeg"] = product(parent, above)
        rotations[f"{side}LowerLeg"] = product(parent, below)
        in_shin = turned(opposite(below), foot)
        wanted = product(below, product(self.foot_swings[side](in_shin), FOOT_LOWERED))
        rotations[f"{side}Foot"] = product(parent, self.steady_feet[side](wanted, seconds)[0])


def known_directions(vectors: dict[str, list], before: dict[str, Vector]) -> dict[str, Vector]:
    """Unit directions of vectors. One of no length keeps its direction."""
    directions = {}
    for name, (x, y, z) in vectors.items():
        size = sqrt(x * x + y * y + z * z)
        directions[name] = (x / size, y / size, z / size) if size > LEAST_LENGTH else before[name]
    return directions


def trust(confidence: float) -> float:
    """How far the camera sees a limb of that confidence, 0..1."""
    return min(confidence / SURE_CONFIDENCE, 1.0)
