"""Libraries that print for themselves are kept off the terminal."""

from __future__ import annotations

import os
import sys

import cv2


def silence_libraries() -> None:
    """Send what libraries write to the error stream nowhere; what Python writes there stays.

    libjpeg, libpng and FFmpeg print a line for each damaged picture, across the status line, past ``sys.stderr`` and
    past OpenCV's own log level. Damage is counted and said by us instead. For a process that only decodes.
    """
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"
    try:
        sys.stderr.flush()
        kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    except (OSError, AttributeError):  # it has none, as under pythonw
        return
    os.dup2(nowhere, 2)
    os.close(nowhere)
    sys.stderr = open(kept, "w", buffering=1, encoding="utf-8", errors="backslashreplace")
