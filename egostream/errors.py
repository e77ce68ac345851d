"""Errors that a user can act on, and the end of a source."""


class EgostreamError(Exception):
    """A problem with the user's files, devices or settings: one line naming the thing, the value and the next step.

    The commands print it without a traceback and exit with status 1.
    """


class GpuUnusable(EgostreamError):
    """A GPU that was chosen by itself cannot be used after all: its memory is full, the driver is too old."""


class StreamEnded(Exception):
    """A finite source has delivered its last frame."""
