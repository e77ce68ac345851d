"""From the axes that joints come in (x right, y down, z forward) to those of engines, files and trackers.

All of these keep the wearer's axes along the coordinate axes, so that a change of axes is a change of signs S. A point
p becomes S p, and a rotation R becomes S R S: its quaternion's vector v becomes det(S) S v. A bone at rest, whose
rotation is the identity here, has the identity there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Axes:
    """Another system's axes: metres, right angles, and a sign for each of x right, y down, z forward."""

    name: str
    signs: tuple[float, float, float]

    @cached_property
    def of_points(self) -> np.ndarray:
        """The signs [3] of points."""
        return np.array(self.signs)

    @cached_property
    def of_rotations(self) -> np.ndarray:
        """The signs [4] of quaternions."""
        return np.append(self.of_points * self.of_points.prod(), 1.0)

    @property
    def is_mirrored(self) -> bool:
        """Whether the system is left-handed; the camera's axes are right-handed."""
        return float(np.prod(self.signs)) < 0

    def points(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 3] in the system's axes."""
        return points * self.of_points

    def rotations(self, rotations: np.ndarray) -> np.ndarray:
        """Rotations [..., 4] (x, y, z, w) between axes of the same kind: a bone's, local or not."""
        return rotations * self.of_rotations

    def back(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 3] of the system in x right, y down, z forward."""
        return self.points(points)


CAMERA = Axes("camera", (1.0, 1.0, 1.0))
UNITY = Axes("unity", (1.0, -1.0, 1.0))  # left-handed, x right, y up, z forward
OPENXR = Axes("openxr", (1.0, -1.0, -1.0))  # right-handed, x right, y up, z backward
OPENVR = Axes("openvr", OPENXR.signs)  # of raw poses and drivers
GLTF = Axes("gltf", (-1.0, -1.0, 1.0))  # of glTF's models, VRM 1.0 and VRMA: right-handed, x left, y up, z forward
VRM0 = Axes("vrm0", OPENXR.signs)  # VRM 0.x models look along -z
