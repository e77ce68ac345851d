"""Rooms of a run, with a mount, and the head poses that they are sent."""

from __future__ import annotations

import time

import numpy as np
from scipy.spatial.transform import Rotation

from egostream.calibration.file import canonical_calibration
from egostream.calibration.transform import rigid
from egostream.head.receiver import StreamHead
from egostream.head.room import Room
from egostream.publish.message import HeadMessage, clock_offset_ns

LOOKS_DOWN = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # camera's x, y, z: the head's right, backward, down
T_HEAD_CAMERA = rigid(Rotation.from_rotvec([0.3, 0.1, -0.2]).as_matrix() @ LOOKS_DOWN, np.array([0.01, 0.05, -0.1]))


class Sockets:
    """Where messages would come from."""

    def poll(self) -> None:
        pass


def room_of(mount=T_HEAD_CAMERA) -> Room:
    camera = canonical_calibration()
    camera = type(camera)(camera.name, camera.size, camera.lens, T_head_camera=mount)
    said = []
    room = Room(Sockets(), StreamHead("0", said.append), camera, said.append)
    room.said = said
    return room


def told(room: Room, t_ns: int, **values) -> None:
    room.head.take(HeadMessage(stream="0", t_ns=t_ns, clock_offset_ns=clock_offset_ns(), **values), time.monotonic_ns())
