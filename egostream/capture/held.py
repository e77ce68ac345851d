"""A frame between its file and whoever reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from egostream.capture.marks import Mark

if TYPE_CHECKING:
    import av


@dataclass(slots=True)
class Held:
    """A frame that was taken out of a video file and not yet read."""

    ticks: int | None  # the container's time, in the stream's unit; None: missing
    content: av.VideoFrame | np.ndarray | None  # decoded, or the bytes [n] of a JPEG; None: it could not be decoded
    flaw: str = ""  # why it must not be used; empty when it may
    duration: int = 0  # in the stream's unit; 0: unknown
    t_ns: int = 0  # from the recording's first frame on, once it was placed
    part: int = 0  # number of the stretch without a break in time, once it was placed
    at: int = -1  # where its packet stands in the file, of one with which reading can begin; -1: of any other
    mark: Mark | None = None  # of one with which reading can begin, once it was placed

    @property
    def is_interlaced(self) -> bool:
        """Whether it is decoded and consists of two fields."""
        return self.content is not None and not isinstance(self.content, np.ndarray) and self.content.interlaced_frame
