"""A camera that hangs and repeats one picture is told from one that looks at something still."""

from __future__ import annotations

import numpy as np

#: The very same picture for this long, seconds, and so many times, is no coincidence. Drivers repeat a few pictures
#: when a camera is slower than the rate they promise. Chosen by hand; not measured.
REPEATED_S, REPEATED_TIMES = 1.0, 5
#: Pictures that must each have differed from the one before until a camera counts as one whose sensor is noisy, as all
#: are. A made picture that never changes is never suspected. Chosen by hand; not measured.
CHANGES_SEEN = 30
#: Of pixels, every so many rows are compared: noise is everywhere, and a frame of 1280x1024 then takes 0.03 ms.
ROW_STEP = 16


class RepeatWatch:
    """Watches what one live camera delivers, over all the times that it is opened.

    The rule: the payload, as it comes and before any decoding, is the same to the last bit for REPEATED_S. A sensor's
    noise changes every picture, also of a wall and in the dark, and so an encoded picture's bytes. A made picture has
    no noise and may well stand still (a test picture, a virtual camera), so only a camera that was seen to change
    CHANGES_SEEN times is judged. Recordings are not: what they show is what was recorded. Nor are codecs that tell
    changes only (H.264 and its like), whose decoded picture may rest where the scene does.
    """

    def __init__(self) -> None:
        self.changes = 0  # pictures that differed from the one before
        self.start()

    def start(self) -> None:
        """Forget the last picture, for the camera is opened anew."""
        self.last: np.ndarray | None = None
        self.since_s = 0.0  # when the last picture came first
        self.repeats = 0  # how often it came again

    def is_stuck(self, data: np.ndarray, now_s: float) -> bool:
        """Note a picture, encoded bytes [n] or pixels [H, W, 3], and say whether the camera hangs."""
        sample = data if data.ndim == 1 else data[::ROW_STEP]
        if self.last is None or not np.array_equal(sample, self.last):
            self.changes += self.last is not None
            self.last = sample.copy() if sample.base is not None else sample  # a view keeps the whole frame
            self.since_s, self.repeats = now_s, 0
            return False
        self.repeats += 1
        is_long = now_s - self.since_s >= REPEATED_S and self.repeats >= REPEATED_TIMES
        return is_long and self.changes >= CHANGES_SEEN
