"""What was found of the board in the pictures: corners on the board, and their pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Found:
    """One picture's corners: positions on the board [N, 3] in metres (z = 0), and pixels [N, 2]."""

    name: str
    points: np.ndarray
    pixels: np.ndarray


@dataclass(frozen=True)
class Views:
    """Corners of V pictures in common arrays, N for each, with those that a picture lacks marked.

    points [V, N, 3] metres; pixels [V, N, 2]; has [V, N].
    """

    names: tuple[str, ...]
    points: np.ndarray
    pixels: np.ndarray
    has: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def of(self, chosen: np.ndarray) -> Views:
        """Some of the views: indices or a mask."""
        indices = np.arange(len(self))[chosen]
        names = tuple(self.names[index] for index in indices)
        return Views(names, self.points[indices], self.pixels[indices], self.has[indices])

    def only(self, kept: np.ndarray) -> Views:
        """The same views with the corners of a mask [V, N] only."""
        return Views(self.names, self.points, self.pixels, self.has & kept)

    def thinned(self, count: int) -> Views:
        """The same views with at most some ``count`` corners each, spread over the board."""
        chosen = np.unique(
            np.linspace(0, self.points.shape[1] - 1, min(count, self.points.shape[1])).round().astype(int)
        )
        return Views(self.names, self.points[:, chosen], self.pixels[:, chosen], self.has[:, chosen])


def gathered(found: Sequence[Found]) -> Views:
    """Views of all pictures; corners that a picture lacks stand at the board's and the picture's zero, unmarked."""
    count = max((len(one.pixels) for one in found), default=0)
    points, pixels = np.zeros((len(found), count, 3)), np.zeros((len(found), count, 2))
    has = np.zeros((len(found), count), bool)
    for row, one in enumerate(found):
        points[row, : len(one.points)], pixels[row, : len(one.pixels)] = one.points, one.pixels
        has[row, : len(one.pixels)] = True
    return Views(tuple(one.name for one in found), points, pixels, has)
