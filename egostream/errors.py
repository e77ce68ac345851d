"""Errors that a user can act on, the end of a source, and others' errors in a line."""

#: Characters of an error. What is longer repeats an input, which may be anything; its middle is left out.
LONGEST_ERROR = 1500


class EgostreamError(Exception):
    """A problem with the user's files, devices or settings: one line naming the thing, the value and the next step.

    The commands print it without a traceback and exit with status 1. Names in it come from files and strangers:
    whatever a terminal would obey or cannot show is a question mark.
    """

    def __init__(self, text: str = ""):
        super().__init__(printable(within(text, LONGEST_ERROR)))


class GpuUnusable(EgostreamError):
    """A GPU that was chosen by itself cannot be used after all: its memory is full, the driver is too old."""


class StreamEnded(Exception):
    """A finite source has delivered its last frame."""


#: Characters of somebody else's error that are repeated: the rest is the input once more, of any length.
LONGEST_REASON = 300


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its class where it has none: short, and safe for a terminal."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return printable(within(line, LONGEST_REASON))


def within(text: str, most: int) -> str:
    """A text of so many characters at most, without its middle where it is longer."""
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[len(text) - most // 2 :]}"


def printable(text: str) -> str:
    """A text of somebody else's without what a terminal would obey or not show."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
