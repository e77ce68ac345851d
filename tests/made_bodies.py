"""Bodies and poses that tests make up: rotations first, joints from them."""

from __future__ import annotations

import numpy as np

from egostream.body.bones import BONES, INDEX, PARENTS
from egostream.body.measure import USUAL_BODY
from egostream.body.pose import BodyPose
from egostream.body.quaternions import about, multiply
from egostream.skeleton import JOINTS

X, Y, Z = np.eye(3)


def turn(axis, degrees):
    return about(np.asarray(axis, float), np.radians(degrees))


def posed(hips=(0.0, 0.3, 0.2), **local) -> BodyPose:
    """A pose by local rotations [4] of bones; those that are not given are at rest."""
    rotations = np.zeros((len(BONES), 4))
    for bone, index in INDEX.items():
        own = local.get(bone, np.array([0, 0, 0, 1.0]))
        rotations[index] = own if bone == "Hips" else multiply(rotations[PARENTS[index]], own)
    return BodyPose(0, np.array(hips), rotations)


def joints_of(pose: BodyPose, body=USUAL_BODY) -> np.ndarray:
    return body.joints(pose)


def swapped(joints):
    """Left and right joints exchanged, and mirrored left to right: the same body in a mirror."""
    order = [JOINTS.index(n.replace("left", "?").replace("right", "left").replace("?", "right")) for n in JOINTS]
    return joints[..., order, :] * [-1, 1, 1]


#: Poses by their local rotations. Axes: x right, y down, z forward.
STANDING = {
    "LeftUpperArm": turn(Z, -80),
    "RightUpperArm": turn(Z, 80),
    "LeftLowerArm": turn(Y, 15),
    "RightLowerArm": turn(Y, -15),
}
SITTING = STANDING | {
    "LeftUpperLeg": turn(X, 85),
    "RightUpperLeg": turn(X, 85),
    "LeftLowerLeg": turn(X, -85),
    "RightLowerLeg": turn(X, -85),
}
POSES = {
    "t-pose": {},
    "standing": STANDING,
    "sitting": SITTING,
    "lying": {"Hips": turn(X, 90)} | STANDING,
    "hands together": {
        "LeftUpperArm": multiply(turn(Y, 65), turn(Z, -40)),
        "RightUpperArm": multiply(turn(Y, -65), turn(Z, 40)),
        "LeftLowerArm": turn(Y, 60),
        "RightLowerArm": turn(Y, -60),
    },
    "arms up": {"LeftUpperArm": turn(Z, 80), "RightUpperArm": turn(Z, -80)},
    "bent": {
        "Hips": turn(X, -50), "Chest": turn(Y, 30), "LeftUpperLeg": turn(X, 70), "LeftLowerLeg": turn(X, -40),
        "RightFoot": turn(X, -30),
    },
}  # fmt: skip
