"""The wearer's own bones: their lengths over a stream's first seconds, and where the joints lie in a pose."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import atan2

import numpy as np

from egostream.body.bones import (
    BONE_COUNT,
    BONE_JOINTS,
    DOWN,
    FEET,
    FOOT_REST,
    INDEX,
    JOINT_BONES,
    LEFT,
    PARENTS,
    RIGHT,
    SHOULDER_VECTORS,
    TOE_JOINTS,
    VECTOR_NAMES,
    VECTORS,
)
from egostream.body.pose import BodyPose
from egostream.body.quaternions import IDENTITY, about, rotate, unit
from egostream.skeleton import BONES as JOINT_PAIRS
from egostream.skeleton import JOINT_COUNT, STATURE_OF_BONES

#: Where spine and chest begin between hips (0) and neck (1), and the head joint and crown above: shares of the torso.
#: No joint tells these.
SPINE_AT, CHEST_AT, HEAD_AT, CROWN_AT = 0.15, 0.4, 1.2, 1.55
HAND_SHARE = 0.7  # of the forearm: to the fingers' tips
#: Lengths of ``VECTOR_NAMES`` in metres before anything was measured: of the bundled clip's body.
USUAL_LENGTHS = dict(
    torso=0.586, hips=0.2, shoulders=0.4,
    LeftShoulder=0.2, RightShoulder=0.2,
    LeftUpperArm=0.26, RightUpperArm=0.26, LeftLowerArm=0.235, RightLowerArm=0.235,
    LeftUpperLeg=0.38, RightUpperLeg=0.38, LeftLowerLeg=0.43, RightLowerLeg=0.43,
    LeftFoot=0.14, RightFoot=0.14,
)  # fmt: skip
#: Measured for so long, and from so many frames at least. A bone that was not seen by then counts as it came.
MEASURE_NS, MEASURE_FRAMES = 3_000_000_000, 30
#: Confidence from which a joint counts as seen.
SURE_CONFIDENCE = 0.5
#: While it lasts, medians are taken after every so many frames: they cost as much as a pose.
MEDIAN_EVERY = 10


def ways_from_hips() -> np.ndarray:
    """Which bones lie on the way from the hips to each [19, 19]: 1 for it and all above it but the hips, else 0."""
    ways = np.zeros((BONE_COUNT, BONE_COUNT))
    for bone in range(1, BONE_COUNT):
        ways[bone] = ways[PARENTS[bone]]
        ways[bone, bone] = 1
    return ways


WAYS = ways_from_hips()
UPPER_ARMS = [INDEX["LeftUpperArm"], INDEX["RightUpperArm"]]


@dataclass(frozen=True)
class Body:
    """A wearer's bones at rest: a T-pose, x towards the wearer's right, y down, z forward, metres."""

    offsets: np.ndarray  # [19, 3] from the parent bone's origin to each bone's own
    toes: np.ndarray  # [2, 3] from the left and right foot's origin to the toe joint
    crown: np.ndarray  # [3] from the head's origin
    fingers: np.ndarray  # [2, 3] from the left and right hand's origin

    @property
    def shoulders(self) -> np.ndarray:
        """Unit directions [2, 3] from the neck to the left and right shoulder."""
        return unit(self.offsets[UPPER_ARMS])

    def origins(self, pose: BodyPose) -> np.ndarray:
        """Where each bone begins [19, 3] in a pose (forward kinematics), in the pose's axes."""
        turned = rotate(pose.rotations[PARENTS], self.offsets)
        return pose.hips + WAYS @ turned

    def joints(self, pose: BodyPose) -> np.ndarray:
        """Joints [15, 3] of a pose, in the pose's axes."""
        origins = self.origins(pose)
        joints = np.empty((JOINT_COUNT, 3))
        joints[BONE_JOINTS] = origins[JOINT_BONES]
        joints[TOE_JOINTS] = origins[FEET] + rotate(pose.rotations[FEET], self.toes)
        return joints

    def at_rest(self) -> BodyPose:
        """The T-pose."""
        return BodyPose(0, np.zeros(3), np.tile(IDENTITY, (BONE_COUNT, 1)))

    @property
    def stature_m(self) -> float:
        """How tall somebody with such bones is, by their sum."""
        joints = self.joints(self.at_rest())
        return STATURE_OF_BONES * sum(float(np.linalg.norm(joints[a] - joints[b])) for a, b in JOINT_PAIRS)

    @cached_property
    def hips_height(self) -> float:
        """How high the hips are above the toes, the lowest of a body that stands, metres."""
        return float(self.joints(self.at_rest())[:, 1].max())

    def scaled(self, factor: float) -> Body:
        """The same body, larger."""
        return Body(self.offsets * factor, self.toes * factor, self.crown * factor, self.fingers * factor)


def body_of(lengths: dict[str, float], shoulders: np.ndarray) -> Body:
    """A body by the lengths of ``VECTOR_NAMES``. shoulders [2, 3]: unit directions from the neck, left and right."""
    down, torso = np.array(DOWN), lengths["torso"]
    offsets = np.zeros((BONE_COUNT, 3))
    for bone, rise in (
        ("Spine", SPINE_AT),
        ("Chest", CHEST_AT - SPINE_AT),
        ("Neck", 1 - CHEST_AT),
        ("Head", HEAD_AT - 1),
        ("LeftShoulder", 1 - CHEST_AT),
        ("RightShoulder", 1 - CHEST_AT),
    ):
        offsets[INDEX[bone]] = -down * rise * torso
    for side, outwards, shoulder in (("Left", LEFT, shoulders[0]), ("Right", RIGHT, shoulders[1])):
        for bone, parent, direction in (
            ("UpperArm", "Shoulder", shoulder),
            ("LowerArm", "UpperArm", np.array(outwards)),
            ("Hand", "LowerArm", np.array(outwards)),
            ("LowerLeg", "UpperLeg", down),
            ("Foot", "LowerLeg", down),
        ):
            offsets[INDEX[side + bone]] = direction * lengths[side + parent]
        offsets[INDEX[side + "UpperLeg"]] = np.array(outwards) * lengths["hips"] / 2
    return Body(
        offsets,
        toes=np.array([FOOT_REST]) * [[lengths["LeftFoot"]], [lengths["RightFoot"]]],
        crown=-down * (CROWN_AT - HEAD_AT) * torso,
        fingers=np.array([LEFT, RIGHT]) * HAND_SHARE * [[lengths["LeftLowerArm"]], [lengths["RightLowerArm"]]],
    )


USUAL_BODY = body_of(USUAL_LENGTHS, np.array([LEFT, RIGHT]))


class Measure:
    """Measures a wearer over a stream's first seconds: medians over the frames that see a bone's ends."""

    def __init__(self, stature_m: float = 0.0):
        """stature_m: the wearer's; 0: unknown, lengths stay as the joints have them."""
        self.stature_m = stature_m
        self.body = USUAL_BODY
        self.scale = 1.0  # from the joints' size to the wearer's
        self.is_done = False
        self.start_ns: int | None = None
        self.lengths: list[np.ndarray] = []
        self.shoulders: list[np.ndarray] = []
        self.torsos: list[np.ndarray] = []
        self.is_seen: list[np.ndarray] = []
        self.mount = IDENTITY  # [4] from the head's axes to the camera's: a guess, as if the head were level on average

    def add(
        self, t_ns: int, lengths: np.ndarray, shoulders: np.ndarray, torso: np.ndarray, confidence: np.ndarray
    ) -> None:
        """Take a frame of the first seconds.

        lengths [15]: of ``VECTOR_NAMES``. shoulders [2, 3]: directions from the neck, in the chest's axes. torso [3]:
        its direction, downwards, in the camera's axes. confidence [15]: of the joints.
        """
        if self.start_ns is None:
            self.start_ns = t_ns
        self.lengths.append(lengths)
        self.shoulders.append(shoulders)
        self.torsos.append(torso)
        self.is_seen.append((confidence >= SURE_CONFIDENCE) @ ENDS >= ENDS.sum(0))
        count = len(self.lengths)
        self.is_done = count >= MEASURE_FRAMES and t_ns - self.start_ns >= MEASURE_NS
        if self.is_done or count < MEDIAN_EVERY or count % MEDIAN_EVERY == 0:
            self.body, self.mount = self.median_body(), self.level_mount()
        if self.is_done:
            self.lengths, self.shoulders, self.torsos, self.is_seen = [], [], [], []

    def level_mount(self) -> np.ndarray:
        """The rotation [4] of a head that pitches as the torso does on average, and neither rolls nor turns."""
        _, down, ahead = np.median(self.torsos, axis=0).tolist()
        return about(np.array(RIGHT), np.array(atan2(ahead, down)))

    def median_body(self) -> Body:
        """The body of what was seen so far, at the wearer's stature."""
        seen = np.array(self.is_seen)
        seen |= ~seen.any(0)  # what was never seen: as the network thinks it
        medians = np.nanmedian(np.where(seen, np.array(self.lengths), np.nan), axis=0)
        shoulders = np.where(seen[:, SHOULDER_VECTORS, None], np.array(self.shoulders), np.nan)
        body = body_of(dict(zip(VECTOR_NAMES, medians.tolist())), unit(np.nanmedian(shoulders, axis=0)))
        self.scale = self.stature_m / body.stature_m if self.stature_m and body.stature_m > 0 else 1.0
        return body.scaled(self.scale)


#: [15 joints, 15 vectors]: which joints are a vector's ends.
ENDS = (VECTORS != 0).T.astype(int)
