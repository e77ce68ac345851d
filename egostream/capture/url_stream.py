"""Network streams: RTSP, HTTP, UDP."""

from __future__ import annotations

import cv2

from egostream.capture.live import FIRST_FRAME_S, LiveCamera
from egostream.errors import EgostreamError
from egostream.redact import without_password


class NetworkCamera(LiveCamera):
    """A stream by URL: RTSP, or Motion-JPEG and other formats over HTTP, UDP or TCP."""

    is_raw = False

    def open_capture(self):
        url = self.config.source
        patience_ms = int(FIRST_FRAME_S * 1000)
        # One decoder thread: with n of them FFmpeg holds back n - 1 frames.
        options = [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
            patience_ms,
            cv2.CAP_PROP_READ_TIMEOUT_MSEC,
            patience_ms,
            cv2.CAP_PROP_N_THREADS,
            1,
        ]
        capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, options)
        if not capture.isOpened():
            raise EgostreamError(
                f"stream {without_password(url)} cannot be opened. Check that it plays: ffplay {without_password(url)}"
            )
        width, height = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        self.mode = f"{without_password(url)} {width}x{height}"
        return capture
