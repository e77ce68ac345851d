"""Errors that a user can act on, the end of a source, and others' errors in a line."""


class EgostreamError(Exception):
    """A problem with the user's files, devices or settings: one line naming the thing, the value and the next step.

    The commands print it without a traceback and exit with status 1.
    """


class GpuUnusable(EgostreamError):
    """A GPU that was chosen by itself cannot be used after all: its memory is full, the driver is too old."""


class StreamEnded(Exception):
    """A finite source has delivered its last frame."""


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its class where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
