"""The humanoid's bones: names, parents, how they lie at rest, and which joints tell their directions.

Names are those of Unity's HumanBodyBones, which VMC and VRM share. Rest is a T-pose, seen in axes like the camera's: x
towards the wearer's right, y down, z forward. A bone's rotation is the identity at rest.
"""

from __future__ import annotations

from math import cos, radians, sin

import numpy as np

from egostream.skeleton import JOINT_COUNT, JOINTS

#: Parents come before their children.
PARENT_OF = {
    "Hips": "",
    "Spine": "Hips",
    "Chest": "Spine",
    "Neck": "Chest",
    "Head": "Neck",
    "LeftShoulder": "Chest",
    "LeftUpperArm": "LeftShoulder",
    "LeftLowerArm": "LeftUpperArm",
    "LeftHand": "LeftLowerArm",
    "RightShoulder": "Chest",
    "RightUpperArm": "RightShoulder",
    "RightLowerArm": "RightUpperArm",
    "RightHand": "RightLowerArm",
    "LeftUpperLeg": "Hips",
    "LeftLowerLeg": "LeftUpperLeg",
    "LeftFoot": "LeftLowerLeg",
    "RightUpperLeg": "Hips",
    "RightLowerLeg": "RightUpperLeg",
    "RightFoot": "RightLowerLeg",
}
BONES = tuple(PARENT_OF)
BONE_COUNT = len(BONES)
INDEX = {bone: index for index, bone in enumerate(BONES)}
#: Index of each bone's parent; the hips are their own.
PARENTS = np.array([INDEX[parent] if parent else 0 for parent in PARENT_OF.values()])
#: The same skeleton seen in a mirror: index of the bone on the other side.
MIRRORED = np.array([INDEX[b.replace("Left", "?").replace("Right", "Left").replace("?", "Right")] for b in BONES])

#: How far below the horizon the toe joint lies from the ankle when the sole is flat: 13 degrees over mocap of standing
#: feet (to the toes' end), 21 degrees in the bodies of tools/make_synthetic.py.
FOOT_PITCH = radians(20)
LEFT, RIGHT, DOWN = (-1.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)
FOOT_REST = (0.0, sin(FOOT_PITCH), cos(FOOT_PITCH))

#: The joint where a bone begins. Spine, chest and head begin between joints.
JOINT_OF_BONE = {
    "Neck": "neck",
    **{
        f"{side}{bone}": f"{side.lower()}_{joint}"
        for side in ("Left", "Right")
        for bone, joint in (
            ("UpperArm", "shoulder"),
            ("LowerArm", "elbow"),
            ("Hand", "wrist"),
            ("UpperLeg", "hip"),
            ("LowerLeg", "knee"),
            ("Foot", "ankle"),
        )
    },
}
JOINT_BONES = np.array([INDEX[bone] for bone in JOINT_OF_BONE])
BONE_JOINTS = np.array([JOINTS.index(joint) for joint in JOINT_OF_BONE.values()])
FEET = np.array([INDEX["LeftFoot"], INDEX["RightFoot"]])
TOE_JOINTS = np.array([JOINTS.index("left_foot"), JOINTS.index("right_foot")])


def between(start: str | tuple[str, ...], end: str | tuple[str, ...]) -> np.ndarray:
    """Row [15] that makes of joints the vector from one joint to another, each or the mean of several."""
    row = np.zeros(JOINT_COUNT)
    for joints, sign in ((start, -1.0), (end, 1.0)):
        names = (joints,) if isinstance(joints, str) else joints
        for name in names:
            row[JOINTS.index(name)] += sign / len(names)
    return row


#: Vectors that the solver reads, by name: one product with ``VECTORS`` makes all of them of joints [15, 3].
VECTOR_ROWS = {
    "torso": between("neck", ("right_hip", "left_hip")),
    "hips": between("left_hip", "right_hip"),
    "shoulders": between("left_shoulder", "right_shoulder"),
    "LeftShoulder": between("neck", "left_shoulder"),
    "RightShoulder": between("neck", "right_shoulder"),
    "LeftUpperArm": between("left_shoulder", "left_elbow"),
    "RightUpperArm": between("right_shoulder", "right_elbow"),
    "LeftUpperLeg": between("left_hip", "left_knee"),
    "RightUpperLeg": between("right_hip", "right_knee"),
    "LeftLowerArm": between("left_elbow", "left_wrist"),
    "RightLowerArm": between("right_elbow", "right_wrist"),
    "LeftLowerLeg": between("left_knee", "left_ankle"),
    "RightLowerLeg": between("right_knee", "right_ankle"),
    "LeftFoot": between("left_ankle", "left_foot"),
    "RightFoot": between("right_ankle", "right_foot"),
}
VECTOR_NAMES = tuple(VECTOR_ROWS)
VECTORS = np.stack([*VECTOR_ROWS.values()])
#: Directions of the vectors above in a T-pose.
REST_DIRECTIONS = {name: RIGHT for name in VECTOR_NAMES}
REST_DIRECTIONS |= {name: LEFT for name in VECTOR_NAMES if "Left" in name}
REST_DIRECTIONS |= {name: DOWN for name in VECTOR_NAMES if "Leg" in name or name == "torso"}
REST_DIRECTIONS |= {name: FOOT_REST for name in VECTOR_NAMES if "Foot" in name}
SIDES = ("Left", "Right")
SHOULDER_VECTORS = [VECTOR_NAMES.index(f"{side}Shoulder") for side in SIDES]
HIP_JOINTS = [JOINTS.index("left_hip"), JOINTS.index("right_hip")]
LIMBS = ("UpperArm", "LowerArm", "UpperLeg", "LowerLeg", "Foot")
LIMB_STARTS, LIMB_STOPS = ("shoulder", "elbow", "hip", "knee", "ankle"), ("elbow", "wrist", "knee", "ankle", "foot")
#: The joints at both ends of each of ``LIMBS``, by side: a limb is seen as far as the less sure of them is.
LIMB_ENDS = {
    side: [
        (JOINTS.index(f"{side.lower()}_{start}"), JOINTS.index(f"{side.lower()}_{stop}"))
        for start, stop in zip(LIMB_STARTS, LIMB_STOPS)
    ]
    for side in SIDES
}
