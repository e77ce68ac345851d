"""A recording's frames, read, decoded and rectified in a thread, while the network works on those before."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from egostream.capture.decode import BadFrame
from egostream.capture.recording import RecordingCamera
from egostream.errors import StreamEnded
from egostream.track.in_process import InProcessStream
from egostream.types import NetworkInput

#: Frames that are kept ready. The network takes longer than decoding, so that two would do for most; a key frame of a
#: large video may take as long as several frames of the network.
AHEAD = 8
#: How often a thread that waits for room looks whether it is still wanted, seconds.
POLL_S = 0.1


@dataclass(frozen=True)
class ReadFrame:
    """A frame, ready for the network."""

    network_input: NetworkInput
    picture: np.ndarray | None  # as the recording has it: BGR [H, W, 3] or encoded bytes [n]; None: not asked for


#: What a reader hands over: a frame, why a frame cannot be used, why reading ended.
Read = ReadFrame | BadFrame | BaseException


class ReadAhead:
    """Iterates over the frames of an open recording in their order, each a ``ReadFrame`` or the BadFrame in its place.

    Use it as a context: leaving it ends the thread. Raises what reading raises.
    """

    def __init__(self, camera: RecordingCamera, stream: InProcessStream, keeps_pictures: bool = False):
        """camera: open, and nobody else's. keeps_pictures: hand the recording's own pictures over, too."""
        self.camera, self.stream, self.keeps_pictures = camera, stream, keeps_pictures
        self.ready: queue.Queue[Read] = queue.Queue(AHEAD)
        self.is_wanted = True
        self.thread = threading.Thread(target=self.read_all, name="read-ahead", daemon=True)

    def __enter__(self) -> ReadAhead:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_wanted = False
        self.thread.join()

    def __iter__(self) -> Iterator[ReadFrame | BadFrame]:
        while True:
            match self.ready.get():
                case ReadFrame() | BadFrame() as read:
                    yield read
                case StreamEnded():
                    return
                case error:
                    raise error

    def read_all(self) -> None:
        """The thread: read until the end, or until nobody wants more."""
        try:
            while self.is_wanted:
                self.hand_over(self.read())
        except BaseException as error:  # the end, too: the consumer's to see
            self.hand_over(error)

    def read(self) -> ReadFrame | BadFrame:
        """The next frame, ready for the network, or why it cannot be used. Raises StreamEnded."""
        try:
            frame = self.camera.read()
            network_input = self.stream.prepare(frame, time.monotonic_ns())
        except BadFrame as bad:
            return bad
        return ReadFrame(network_input, frame.data if self.keeps_pictures else None)

    def hand_over(self, read: Read) -> None:
        """Wait for room, as long as the frame is wanted."""
        while self.is_wanted:
            try:
                return self.ready.put(read, timeout=POLL_S)
            except queue.Full:
                pass
