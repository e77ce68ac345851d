"""The 15-joint skeleton that every pose uses."""

JOINTS = (
    "neck",
    "right_shoulder", "right_elbow", "right_wrist",
    "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "right_foot",
    "left_hip", "left_knee", "left_ankle", "left_foot",
)  # fmt: skip
JOINT_COUNT = len(JOINTS)
#: Parent of each joint; the neck is its own.
PARENTS = (0, 0, 1, 2, 0, 4, 5, 1, 7, 8, 9, 4, 11, 12, 13)
#: (child, parent) joint indices of the 14 bones.
BONES = tuple((child, parent) for child, parent in enumerate(PARENTS) if child != parent)
#: Stature over the sum of the 14 bones' lengths: 0.407, deviation 0.008, over the bodies that tools/make_synthetic.py
#: draws.
STATURE_OF_BONES = 0.407
