"""JPEGs: decoded at a reduced size, and refused where they are damaged inside.

After damage, libjpeg goes on with grey or with the rest shifted, and only warns. OpenCV drops the warning. simplejpeg
binds the same library, and reports it. Its pixels equal those of ``cv2.imdecode``, to the last bit, at every reduction.

Milliseconds of processor time for a frame of the sample (1280x1024, 57 kB), the median of 90:

    reduction              1     2     4     8
    cv2.imdecode        4.65  1.28  1.01  0.81
    simplejpeg, strict  3.65  1.16  0.93  0.76
"""

from __future__ import annotations

import re
from collections import deque

import cv2
import numpy as np
import simplejpeg

JPEG_START, JPEG_END = b"\xff\xd8", b"\xff\xd9"
#: Bytes that some cameras leave between a picture's data and the next marker: Logitech's C270, C310 and C910 1 to 10
#: before restart markers, Foscam's 1 before the end marker (opencv/opencv issue 9477, Motion-Project/motion issue 65,
#: ZoneMinder/zoneminder pull request 80). Damage leaves more: up to 4 remained in 2 and up to 16 in 11 of 560 damaged
#: frames of the sample. So 4 are always excused, and 16 where the camera has the habit.
PADDING_BYTES, HABITUAL_PADDING_BYTES = 4, 16
#: Frames over which a camera's habit shows, and which part of them must show it: those cameras pad most frames, and
#: of damaged frames few look padded. Chosen by hand; not measured.
HABIT_FRAMES, HABIT_PART = 64, 1 / 8
#: OpenCV's flags that decode at 1/1, 1/2, 1/4 and 1/8 of the size, one for each of the rectifier's REDUCTIONS.
DECODE_FLAGS = {
    1: cv2.IMREAD_COLOR_BGR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
#: libjpeg's words for bytes that belong to nothing: how many, and which marker follows.
EXTRANEOUS = re.compile(r"(\d+) extraneous bytes before marker 0xd([0-79])$")
#: Its words for headers that it does not know, and decodes all the same.
UNKNOWN_HEADER = re.compile(r"unknown (JFIF revision|Adobe color transform)")
#: Its words for sampling factors that have no name (as 4:2:0 is one). OpenCV decodes such pictures, too.
NO_NAME = "Could not determine subsampling level"


class DamagedJpeg(Exception):
    """A JPEG that lacks a part, or holds what does not belong to it; in libjpeg's words."""


class Habit:
    """Whether a camera's frames are odd by habit. An odd one is then whole, and else damaged.

    At first an odd frame is excused. That ends when most of the last HABIT_FRAMES were not odd.
    """

    def __init__(self) -> None:
        self.recent = deque([True] * HABIT_FRAMES, maxlen=HABIT_FRAMES)  # which of the last frames were odd

    def excuses(self, is_odd: bool) -> bool:
        """Note one more frame, and say whether it may be used."""
        is_usual = sum(self.recent) >= HABIT_PART * HABIT_FRAMES
        self.recent.append(is_odd)
        return is_usual or not is_odd


def jpeg_size(data: np.ndarray) -> tuple[int, int] | None:
    """Width and height by the header of a JPEG [n]; None where libjpeg does not know it all. Raises DamagedJpeg."""
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError as error:
        if NO_NAME in str(error) or UNKNOWN_HEADER.search(str(error)):
            return None
        raise DamagedJpeg(str(error)) from None
    return width, height


def decode_jpeg(data: np.ndarray, reduction: int, reduced_size: tuple[int, int], habit: Habit) -> np.ndarray:
    """A JPEG [n] at a reduced size (width, height), uint8 BGR [H, W, 3]. Raises DamagedJpeg.

    habit: of the camera whose frame it is.
    """
    width, height = reduced_size
    image = np.empty((height, width, 3), np.uint8)
    if data[-2:].tobytes() != JPEG_END:  # some cameras leave it out, and libjpeg warns of that alone
        data = np.append(data, np.frombuffer(JPEG_END, np.uint8))
    try:
        simplejpeg.decode_jpeg(data, "BGR", min_height=height, min_width=width, buffer=image)
    except ValueError as error:
        warning = str(error)
    else:
        habit.excuses(False)
        return image
    if NO_NAME in warning and habit.excuses(True):
        return decode_unseen(data, reduction)
    if not is_harmless(warning, data, habit):
        raise DamagedJpeg(warning)
    return image  # all of it is there: libjpeg decodes on after a warning


def is_harmless(warning: str, data: np.ndarray, habit: Habit) -> bool:
    """Whether libjpeg's warning comes from a camera's habit, not from damage.

    libjpeg tells the first warning only. So it is checked that all restart markers are there.
    """
    if UNKNOWN_HEADER.search(warning):
        return habit.excuses(True)
    found = EXTRANEOUS.search(warning)
    count = int(found[1]) if found else HABITUAL_PADDING_BYTES + 1
    if count > HABITUAL_PADDING_BYTES or not has_restarts_in_order(data):
        return False
    return habit.excuses(True) or count <= PADDING_BYTES


def has_restarts_in_order(data: np.ndarray) -> bool:
    """Whether the restart markers of a JPEG [n] count from 0 to 7, again and again."""
    after = data[1:][data[:-1] == 0xFF]
    restarts = after[(after >= 0xD0) & (after <= 0xD7)] - 0xD0
    return bool((restarts == np.arange(len(restarts)) % 8).all())


def decode_unseen(data: np.ndarray, reduction: int) -> np.ndarray:
    """A JPEG [n] whose sampling has no name, as ``decode_jpeg``. Damage inside goes unseen."""
    image = cv2.imdecode(data, DECODE_FLAGS[reduction] | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise DamagedJpeg("no picture in it")
    return image
