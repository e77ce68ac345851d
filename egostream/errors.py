"""Errors that a user can act on."""


class EgostreamError(Exception):
    """A problem with the user's files, devices or settings: one line naming the thing, the value and the next step.

    The commands print it without a traceback and exit with status 1.
    """


class StreamEnded(Exception):
    """A finite source has delivered its last frame."""
