"""What recordings promise, and their two kinds: video files and image folders."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from egostream.capture.image_folder import IMAGE_SUFFIXES, ImageFolder, natural_key, natural_order, pictures_in
from egostream.capture.stamps import check_fps
from egostream.capture.video import Video

__all__ = [
    "IMAGE_SUFFIXES", "ImageFolder", "Recording", "Video", "check_fps", "natural_key", "natural_order", "pictures_in",
]  # fmt: skip


class Recording(Protocol):
    """A finite sequence of frames with their own times, read forwards.

    Times are ns from the first frame on; each is greater than the one before.
    """

    mode: str  # what is played, for people; known once it is open
    note: str  # what is odd about it, known once it is open; empty when nothing is

    @property
    def fps(self) -> float:
        """Frames per second, on average over those read so far; before, what is known about it, or 0."""

    @property
    def count(self) -> int:
        """Frames, counted, those that cannot be used among them; 0: unknown. Counting may read the whole file."""

    def open(self) -> None:
        """Go to the first frame. Raises EgostreamError when there is none to read."""

    def begins_ns(self) -> int:
        """When the next frame happens; behind the last one, when that ends."""

    def ends_ns(self) -> int:
        """When the frame after the next one happens; at the last one, when that ends."""

    def next_part(self) -> int:
        """Number of the stretch that the next frame belongs to: it grows where a recording's own time begins anew."""

    def read(self) -> np.ndarray | None:
        """The next frame, BGR [H, W, 3] or encoded bytes [n]; None at the end.

        Raises BadFrame for one that must not be used; the next call goes on behind it.
        """

    def skip(self) -> bool:
        """Pass over one frame without reading it; False at the end."""

    def mark(self) -> tuple[int, str]:
        """A place not behind the next frame at which a later reading can begin: the frames before it, and its mark.

        The mark is empty where there is none.
        """

    def go_to_mark(self, text: str) -> bool:
        """Go to a place that ``mark`` told, just after ``open``; False where that cannot be: then open it again."""

    def ending(self) -> str:
        """What is odd about where the recording ended; empty when nothing is."""

    def close(self) -> None:
        """Let the file go. Closing one that is not open does nothing."""
