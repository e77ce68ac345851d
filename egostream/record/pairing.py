"""Brings each pose together with its frame's picture. Both come by ways of their own, in the order of ``seq``."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Iterator

from egostream.handover.picture_ring import Picture
from egostream.publish.message import PoseMessage

#: A pose waits so long for its picture, which is asked for ten times a second and may have to be encoded.
PATIENCE_S = 2.0
#: Bytes of pictures that wait for their pose; beyond, the oldest give way. At 30 fps, some minutes of MJPG.
MOST_BYTES = 256 << 20


class Pairing:
    """One stream's poses that wait for pictures, and pictures that wait for poses. Not thread-safe.

    A picture without a pose is left off: its frame was not estimated. lost: poses that stayed without a picture.
    """

    def __init__(self) -> None:
        self.poses: deque[tuple[PoseMessage, bytes, float]] = deque()
        self.pictures: OrderedDict[int, Picture] = OrderedDict()  # by seq
        self.newest_seq = -1  # of all pictures that came
        self.bytes = self.lost = 0

    def add_pose(self, pose: PoseMessage, wire: bytes) -> None:
        """A pose came, as ``wire``."""
        self.poses.append((pose, wire, time.monotonic()))

    def add_picture(self, picture: Picture) -> None:
        """A picture came."""
        self.pictures[picture.seq] = picture
        self.bytes += len(picture.data)
        self.newest_seq = picture.seq
        while self.bytes > MOST_BYTES:
            self.drop(next(iter(self.pictures)))

    def drop(self, seq: int) -> Picture:
        """Take a picture out."""
        picture = self.pictures.pop(seq)
        self.bytes -= len(picture.data)
        return picture

    def ready(self, is_over: bool = False) -> Iterator[tuple[PoseMessage, bytes, Picture | None]]:
        """Poses whose picture is there, or will not come, in order. is_over: no picture will come any more."""
        while self.poses:
            pose, wire, came_s = self.poses[0]
            while self.pictures and next(iter(self.pictures)) < pose.seq:
                self.drop(next(iter(self.pictures)))
            if pose.seq in self.pictures:
                picture = self.drop(pose.seq)
            elif not is_over and self.newest_seq < pose.seq and time.monotonic() - came_s < PATIENCE_S:
                return
            else:
                picture = None
                self.lost += 1
            self.poses.popleft()
            yield pose, wire, picture
