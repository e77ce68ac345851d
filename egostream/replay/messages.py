"""A recording's messages sent again with their timing: for those who write clients and have no camera."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec

from egostream.config import RunConfig, StreamConfig
from egostream.errors import EgostreamError
from egostream.publish.message import clock_offset_ns, unpack
from egostream.publish.publisher import Publisher
from egostream.record.reader import RecordedMessage, RecordingReader

#: Stamps in messages, which are moved together so that each message was captured as long ago as in the recorded run.
STAMPS = ("t_capture_ns", "t_publish_ns")
#: Between the end of a file and its start, where it is sent over and over, ns.
LOOP_PAUSE_NS = 33_333_333
#: The last messages leave within this time, seconds: a publisher that is closed drops what it has not sent yet.
LAST_S = 0.2


class Sent(NamedTuple):
    """What was sent."""

    poses: int
    statuses: int


def publish_recording(
    path: Path, streams: list[str], config: RunConfig, as_recorded: bool, should_stop: Callable[[], bool]
) -> Sent:
    """Send the messages of some streams, or of all without any, as the recorded run sent them.

    as_recorded: byte for byte. Otherwise stamps are moved to now, and ``clock_offset_ns`` is this machine's.
    Raises EgostreamError where the file has none, or the endpoint cannot be bound.
    """
    reader = RecordingReader(path)
    names = [reader.about.stream(name).name for name in streams or (one.name for one in reader.about.streams)]
    counts = {"pose": 0, "status": 0}
    config = msgspec.structs.replace(config, streams=tuple(StreamConfig(stream=name) for name in names))
    with closing(Publisher(config, reader.about.weights)) as publisher:
        for message, shift_ns in timed(reader, set(names), config.loop, should_stop):
            wire = message.wire if as_recorded else moved(message.wire, shift_ns)
            publisher.publish_wire(wire)
            counts[wire.partition(b"/")[0].decode()] += 1
        time.sleep(LAST_S)
    if not counts["pose"] and not should_stop():
        raise EgostreamError(f"{path} holds no pose to send: {reader.damage or 'it is empty'}")
    return Sent(counts["pose"], counts["status"])


def timed(
    reader: RecordingReader, streams: set[str], loop: bool, should_stop: Callable[[], bool]
) -> Iterator[tuple[RecordedMessage, int]]:
    """Messages at their times, each with how far its stamps lie behind this machine's clock, ns."""
    is_first = True
    resume_ns = time.monotonic_ns()
    while (is_first or loop) and not should_stop():
        is_first, shift_ns, due_ns = False, None, resume_ns
        for entry in reader.entries():
            if not isinstance(entry, RecordedMessage) or entry.message.stream not in streams:
                continue
            if shift_ns is None:
                shift_ns = resume_ns - entry.message.t_publish_ns
            due_ns = max(due_ns, entry.message.t_publish_ns + shift_ns)
            if not wait_until(due_ns, should_stop):
                return
            yield entry, shift_ns
        if shift_ns is None:
            return
        resume_ns = max(due_ns + LOOP_PAUSE_NS, time.monotonic_ns())


def wait_until(due_ns: int, should_stop: Callable[[], bool]) -> bool:
    """Wait for a time of the monotonic clock; False when told to stop meanwhile."""
    while (left_ns := due_ns - time.monotonic_ns()) > 0:
        if should_stop():
            return False
        time.sleep(min(left_ns / 1e9, 0.1))
    return not should_stop()


def moved(wire: bytes, shift_ns: int) -> bytes:
    """A message whose stamps are moved by so much, for this machine's clocks. Keys that are not known stay."""
    head, _, body = wire.partition(b"\0")
    try:
        fields = msgspec.msgpack.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # a key that is not known is damaged
        fields = msgspec.to_builtins(unpack(wire))
    fields |= {name: within_int64(fields[name] + shift_ns) for name in STAMPS if name in fields}
    fields["clock_offset_ns"] = clock_offset_ns()
    return head + b"\0" + msgspec.msgpack.encode(fields)


def within_int64(value: int) -> int:
    """The nearest number that a message can hold: damaged stamps may lie an age apart."""
    return max(-(1 << 63), min(value, (1 << 63) - 1))
