"""What the solver makes of a frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from egostream.body.bones import INDEX, PARENTS
from egostream.body.quaternions import conjugate, multiply


@dataclass(frozen=True)
class BodyPose:
    """The rotations of the humanoid's bones in one frame.

    Axes are those that the joints came in: the camera's, or those of a room (x right, y down, z forward).
    """

    t_ns: int  # when the frame was captured
    hips: np.ndarray  # [3] metres: midway between the hip joints
    rotations: np.ndarray  # [19, 4] x, y, z, w: from a bone's axes at rest to those of the joints, in BONES' order

    @property
    def local(self) -> np.ndarray:
        """Rotations [19, 4] relative to each bone's parent; the hips' is as it is."""
        local = multiply(conjugate(self.rotations[PARENTS]), self.rotations)
        local[0] = self.rotations[0]
        return local

    def rotation(self, bone: str) -> np.ndarray:
        """One bone's rotation [4] by name, such as "LeftUpperArm"."""
        return self.rotations[INDEX[bone]]
