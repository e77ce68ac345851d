"""Joints in a level room by gravity alone, where no headset tells its pose.

Gravity tells roll and pitch. The rest is set, not measured: the hips face -z above the origin, and the lowest foot
stands on the floor. So the wearer turns and walks on the spot, and jumps do not leave the floor.
"""

from __future__ import annotations

import numpy as np

from egostream.skeleton import JOINTS

RIGHT_HIP, LEFT_HIP = JOINTS.index("right_hip"), JOINTS.index("left_hip")
FEET = [JOINTS.index(name) for name in ("right_ankle", "right_foot", "left_ankle", "left_foot")]
#: Hips whose line lies steeper than this say nothing of where the wearer faces: the head does then.
LEAST_ACROSS = 0.2
RIGHT_OF_HEAD = np.array([1.0, 0.0, 0.0])


def placed_on_the_floor(joints_head: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Joints [15, 3] in the head's axes -> in a level room: x to the wearer's right, y up from the floor, z backward.

    up [3]: unit, in the head's axes.
    """
    rotation = level_rotation(joints_head[RIGHT_HIP] - joints_head[LEFT_HIP], up)
    joints = joints_head @ rotation.T
    hips = (joints[RIGHT_HIP] + joints[LEFT_HIP]) / 2
    return joints - [hips[0], joints[FEET, 1].min(), hips[2]]


def level_rotation(across: np.ndarray, up: np.ndarray) -> np.ndarray:
    """The rotation [3, 3] whose rows are right, up and backward in the head's axes. across [3]: from left to right hip.

    Where the hips lie one above the other, the head's own right is taken.
    """
    for candidate in (across, RIGHT_OF_HEAD, np.array([0.0, 0.0, -1.0])):
        right = candidate - (candidate @ up) * up
        length = float(np.linalg.norm(right))
        if length > LEAST_ACROSS * max(1e-9, float(np.linalg.norm(candidate))):
            break
    right = right / length
    return np.array([right, up, np.cross(right, up)])
