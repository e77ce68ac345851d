"""Keeps the camera's pictures for viewers and recorders, beside the network's own way and never in it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import simplejpeg

from egostream.capture.decode import decode_bytes
from egostream.capture.jpeg import JPEG_START
from egostream.handover.picture_ring import PictureRing
from egostream.types import CameraFrame

#: Quality of JPEGs that are made for viewers of raw pictures, 0..100. Chosen by hand: no block is seen.
VIEW_QUALITY = 85
#: How recorded raw pictures are written: zlib's least effort, each row less the one above it. That takes 33 ms of
#: processor time for a decoded frame of the sample (1280x1024) and makes 456 KiB. OpenCV's own choice takes 72 ms and
#: makes 463 KiB.
PNG_FLAGS = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP)
#: Raw pictures that wait to be encoded for a recorder, a third of a second of a 30 fps camera.
WAITING = 10
#: What still waits at the end is encoded for so long at most, seconds. The supervisor waits longer.
FINISH_S = 2.0


class PictureKeeper:
    """Writes a stream's pictures to its ring while they are wanted.

    A camera's own JPEG is copied. Raw pictures are encoded in a thread: for viewers the newest alone, as JPEG; for
    recorders every one, as PNG. can_wait: whether the camera waits for the network, and may as well for a picture: then
    none is lost. Else those that the thread cannot follow are, and are counted. say: called with what the user should
    know.
    """

    def __init__(self, ring: PictureRing, can_wait: bool, say: Callable[[str], None]):
        self.ring, self.can_wait, self.say = ring, can_wait, say
        self.waiting: queue.Queue[CameraFrame] = queue.Queue(WAITING)
        self.thread: threading.Thread | None = None
        self.has_room: bool | None = None  # None: not looked yet
        self.writing = threading.Lock()  # a source may mix encoded and raw pictures

    def keep(self, frame: CameraFrame) -> None:
        """Keep a frame's picture if anybody wants it."""
        now_ns = time.monotonic_ns()
        if not self.ring.is_wanted(now_ns) or not self.may_write():
            return
        is_exact = self.ring.is_exact(now_ns)
        if format := own_format(frame.data):
            self.write(frame, format, frame.data, is_exact)
        else:
            self.put(decoded(frame) if frame.is_encoded else frame, is_exact)

    def may_write(self) -> bool:
        """Whether shared memory has room for pictures. Says so once where it has not."""
        if self.has_room is None:
            self.has_room = self.ring.reserve()
            if not self.has_room:
                self.say("no pictures for viewers and recordings: /dev/shm is full (docker run --shm-size 256m)")
        return self.has_room

    def put(self, frame: CameraFrame, is_exact: bool) -> None:
        """Hand a raw picture to the thread that encodes it; encode it at once where the camera waits all the same."""
        if is_exact and self.can_wait:
            self.encode(frame)
            return
        if self.thread is None or not self.thread.is_alive():
            self.thread = threading.Thread(target=self.encode_waiting, name="picture-encoder", daemon=True)
            self.thread.start()
        if not is_exact and not self.waiting.empty():
            return  # for a viewer, the next one will do
        try:
            self.waiting.put(frame, block=False)
        except queue.Full:
            self.ring["lost"] += is_exact

    def encode_waiting(self) -> None:
        """Encode what waits, for as long as the process lives."""
        while True:
            self.encode(self.waiting.get())
            self.waiting.task_done()

    def encode(self, frame: CameraFrame) -> None:
        """Encode a raw picture, and write it."""
        is_exact = self.ring.is_exact(time.monotonic_ns())
        if is_exact:
            data = png_of(frame.data)
        else:
            image = np.ascontiguousarray(frame.data)
            data = np.frombuffer(simplejpeg.encode_jpeg(image, VIEW_QUALITY, "BGR", "420"), np.uint8)
        self.write(frame, "png" if is_exact else "jpeg", data, is_exact)

    def finish(self) -> None:
        """Wait for what still waits to be encoded, for FINISH_S at most: a recorder asks for the last pictures, too."""
        deadline = time.monotonic() + FINISH_S
        while self.waiting.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.01)

    def write(self, frame: CameraFrame, format: str, data: np.ndarray, is_exact: bool) -> None:
        """Write encoded bytes to the ring."""
        with self.writing:
            is_kept = self.ring.write(frame.seq, frame.segment, frame.t_capture_ns, format, data)
        if not is_kept:
            self.ring["lost"] += is_exact


def own_format(picture: np.ndarray) -> str:
    """``jpeg`` or ``png`` of a picture whose bytes [n] are kept as they came; empty for pixels and other encodings."""
    if picture.ndim == 1 and picture[:2].tobytes() == JPEG_START:
        return "jpeg"
    return "png" if picture.ndim == 1 and picture[:8].tobytes() == b"\x89PNG\r\n\x1a\n" else ""


def png_of(pixels: np.ndarray) -> np.ndarray:
    """Pixels, BGR [H, W, 3], as the bytes [n] of a PNG, of which no bit is lost."""
    return cv2.imencode(".png", pixels, PNG_FLAGS)[1].reshape(-1)


def decoded(frame: CameraFrame) -> CameraFrame:
    """A frame of an encoding that is neither JPEG nor PNG, as pixels. Capture has decoded it before: it is whole."""
    return replace(frame, data=decode_bytes(frame.data, cv2.IMREAD_COLOR_BGR))
