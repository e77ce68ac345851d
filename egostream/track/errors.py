"""What a ``Tracker`` raises, beside other EgostreamErrors about files and settings."""

from __future__ import annotations

from egostream.errors import EgostreamError
from egostream.handover.board import BadReason


class FrameUnusable(EgostreamError):
    """One picture that no pose comes of: no picture, damaged, of another size than the calibration's.

    The tracker goes on with the next one. ``reason`` is what a run would count it as.
    """

    def __init__(self, text: str, reason: BadReason = BadReason.BROKEN):
        super().__init__(text)
        self.reason = reason


class NotFinite(EgostreamError):
    """The network failed on a frame: its joints are no numbers. Nothing of that frame is kept."""


class TrackerBusy(EgostreamError):
    """The tracker is used where it must not be: from another thread or process, or while it follows a recording."""


class TrackerClosed(EgostreamError):
    """The tracker was closed before."""
