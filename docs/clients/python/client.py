#!/usr/bin/env python3
"""Poses of egostream in Python without egostream: pyzmq and msgpack alone. Joints are in the camera's axes, as sent.

    pip install pyzmq msgpack
    python client.py [ENDPOINT [STREAM [PAUSE_MS]]]

Prints a line for each pose, as ../README.md specifies it, and notes on standard error. PAUSE_MS: a pause after each
pose, as a program makes that draws between two poses.
"""

import math
import sys
import time

import msgpack
import zmq

JOINTS = (
    "neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist "
    "right_hip right_knee right_ankle right_foot left_hip left_knee left_ankle left_foot"
).split()
SHOWN = ("neck", "left_wrist", "right_wrist")
VERSION = 1
SAME_CLOCK_NS = 1_000_000_000  # wall clocks that differ by less belong to one monotonic clock
SILENCE_MS = 2000


def read_pose(frame):
    """The map of one ZeroMQ frame. Keys that are unknown here are left alone. Raises ValueError for what is no pose."""
    try:
        pose = msgpack.unpackb(frame.partition(b"\0")[2], strict_map_key=False)
        if pose["v"] != VERSION:
            raise ValueError(f"message version {pose['v']}, this client knows {VERSION}")
        if pose["frame"] != "camera":
            raise ValueError(f"unknown axes {pose['frame']!r}")
        check_numbers(pose)
    except (KeyError, TypeError, msgpack.StackError) as error:
        raise ValueError(f"{type(error).__name__} {error}") from None
    return pose


def check_numbers(pose):
    """Raise ValueError or TypeError where a pose's numbers are not what they have to be."""
    if not isinstance(pose["stream"], str):
        raise ValueError("the stream's name is no text")
    for key in ("seq", "t_capture_ns", "clock_offset_ns"):
        if type(pose[key]) is not int:
            raise ValueError(f"{key} is no whole number")
    if [len(joint) for joint in pose["joints"]] != [3] * len(JOINTS) or len(pose["confidence"]) != len(JOINTS):
        raise ValueError(f"not {len(JOINTS)} joints of three numbers, and a confidence for each")
    if not all(math.isfinite(number) for joint in [*pose["joints"], pose["confidence"]] for number in joint):
        raise ValueError("a number that is not finite")


def age_ms(pose):
    """Time since capture: by the monotonic clock where it is the publisher's, else by the wall clocks."""
    monotonic, wall = time.monotonic_ns(), time.time_ns()
    is_same_clock = abs(wall - monotonic - pose["clock_offset_ns"]) < SAME_CLOCK_NS
    captured = pose["t_capture_ns"]
    return (monotonic - captured if is_same_clock else wall - captured - pose["clock_offset_ns"]) / 1e6


class Missed:
    """Counts the frames that went by without a pose here: dropped by the run, lost on the way, or replaced unread."""

    def __init__(self):
        self.count, self.last_seq = 0, None

    def saw(self, seq):
        """Count the gap before a pose."""
        if self.last_seq is not None and seq <= self.last_seq:
            note(f"the publisher began anew: seq {seq} after {self.last_seq}")
        elif self.last_seq is not None:
            self.count += seq - self.last_seq - 1
        self.last_seq = seq


def line(pose, missed):
    """A pose as ../README.md specifies its line."""
    places = {name: pose["joints"][JOINTS.index(name)] for name in SHOWN}
    return (
        f"pose stream={pose['stream']} seq={pose['seq']} missed={missed} age_ms={age_ms(pose):.1f} "
        f"confidence={sum(pose['confidence']) / len(JOINTS):.2f} "
        + " ".join(f"{name}={','.join(f'{value:.4f}' for value in place)}" for name, place in places.items())
    )


def note(text):
    """One line on standard error, whatever a message held."""
    print("note:", " ".join(text.split()), file=sys.stderr, flush=True)


def subscribe(endpoint, stream):
    """A socket that keeps the newest pose. ZeroMQ connects again by itself, however often the publisher restarts."""
    socket = zmq.Context.instance().socket(zmq.SUB)
    socket.setsockopt(zmq.CONFLATE, 1)  # before connect, or it has no effect
    socket.setsockopt(zmq.LINGER, 0)
    socket.subscribe(f"pose/{stream}\0".encode())  # with the NUL, or pose/1 also matches pose/10
    socket.connect(endpoint)
    return socket


def follow(socket, pause_ms):
    """Print the newest pose whenever there is one."""
    missed = Missed()
    while True:
        if not socket.poll(SILENCE_MS):
            note(f"no pose for {SILENCE_MS / 1000:g} s; still waiting")
            socket.poll()
        try:
            pose = read_pose(socket.recv())
        except ValueError as error:
            note(f"message skipped: {error}")
            continue
        missed.saw(pose["seq"])
        print(line(pose, missed.count), flush=True)
        time.sleep(pause_ms / 1000)


def main(endpoint="tcp://127.0.0.1:5570", stream="0", pause_ms="0"):
    try:
        follow(subscribe(endpoint, stream), float(pause_ms))
    except (zmq.ZMQError, ValueError) as error:
        sys.exit(f"error: {endpoint} {stream} {pause_ms}: {error}")
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main(*sys.argv[1:])
