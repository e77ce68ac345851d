"""The 21 segments of a body, and the stick body that they make in the T-pose.

World: metres, right-handed, Y up, floor at y = 0. The T-pose faces +Z with its LEFT towards +X, arms along ±X with the
palms down and the thumbs forward, legs straight down, feet flat and forward. Rotations of segments are relative to it.
"""

from __future__ import annotations

import numpy as np

from tools.synthetic.movement.rotations import transpose

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

#: The stick body: T-pose offset [21, 3] of each segment's joint from its parent's, metres. The pelvis joint is the
#: middle of the two hip joints, at its height over the soles. Proportions of a 1.75 m adult (Drillis and Contini).
OFFSETS = np.array([
    (0, 0.92, 0), (0, 0.11, -0.01), (0, 0.16, -0.01), (0, 0.28, -0.01), (0, 0.09, 0.02),
    (-0.02, 0.21, 0.03), (-0.16, 0.01, -0.03), (-0.29, 0, 0), (-0.26, 0, 0),
    (0.02, 0.21, 0.03), (0.16, 0.01, -0.03), (0.29, 0, 0), (0.26, 0, 0),
    (-0.09, 0, 0), (0, -0.43, 0), (0, -0.41, 0), (0, -0.06, 0.13),
    (0.09, 0, 0), (0, -0.43, 0), (0, -0.41, 0), (0, -0.06, 0.13),
])  # fmt: skip
HIP_HEIGHT = float(OFFSETS[0, 1])
#: Points of a sole in the T-pose: heel and ball from the ankle, as they turn with the foot; tip from the toes' joint.
HEEL, BALL, TIP = np.array([0, -0.08, -0.05]), np.array([0, -0.08, 0.13]), np.array([0, -0.02, 0.07])


def local_rotations(rotations: np.ndarray) -> np.ndarray:
    """Rotations [..., 21, 3, 3] relative to each segment's parent, of global ones. The pelvis keeps its global one."""
    local = rotations.copy()
    local[..., 1:, :, :] = transpose(rotations[..., PARENTS[1:], :, :]) @ rotations[..., 1:, :, :]
    return local


def global_rotations(local: np.ndarray) -> np.ndarray:
    """Global rotations [..., 21, 3, 3] of those relative to each segment's parent."""
    rotations = local.copy()
    for k in range(1, len(SEGMENTS)):
        rotations[..., k, :, :] = rotations[..., PARENTS[k], :, :] @ local[..., k, :, :]
    return rotations
