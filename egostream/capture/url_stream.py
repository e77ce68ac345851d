"""Network streams: RTSP, HTTP, UDP."""

from __future__ import annotations

import cv2

from egostream.capture.live import FIRST_FRAME_S, LiveCamera
from egostream.errors import EgostreamError
from egostream.redact import without_password


class NetworkCamera(LiveCamera):
    """A stream by URL: RTSP, or Motion-JPEG and other formats over HTTP, UDP or TCP."""

    def open_capture(self) -> cv2.VideoCapture:
        """Connect, and say what comes. Raises EgostreamError when nothing does within FIRST_FRAME_S."""
        url = self.config.source
        shown = without_password(url)
        capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, stream_options())
        if not capture.isOpened():
            raise EgostreamError(f"stream {shown} cannot be opened. Check that it plays: ffplay {shown}")
        width, height = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        self.mode = f"{shown} {width}x{height}"
        return capture


def stream_options() -> list[int]:
    """OpenCV's properties and values for a stream: bounded waits, and no frame held back."""
    patience_ms = int(FIRST_FRAME_S * 1000)
    return [
        *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, patience_ms),
        *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, patience_ms),
        *(cv2.CAP_PROP_N_THREADS, 1),  # with n decoder threads, FFmpeg holds back n - 1 frames
    ]
