"""Every client of docs/clients against a real publisher in another process, by the lines that it prints."""

from __future__ import annotations

import random
import time

import msgpack
import pytest
from built_clients import AXES, CLIENTS, RunningClient, check_places
from live_publisher import STREAM, joints_of, pose_of
from processes import wait_for

from egostream.publish.message import ENCODER, pose_message

TOPIC = f"pose/{STREAM}\0".encode()
HOUR_NS = 3600 * 10**9


def fields(seq: int, /, **changes) -> dict:
    """A pose's map as the publisher packs it, with changes."""
    return {**msgpack.unpackb(ENCODER.encode(pose_message(STREAM, pose_of(seq), "weights", 0))), **changes}


def packed(map: object) -> bytes:
    return TOPIC + msgpack.packb(map)


def without(key: str) -> bytes:
    return packed({k: value for k, value in fields(0).items() if k != key})


WHOLE = packed(fields(0))
GARBAGE = {
    "nothing": TOPIC,
    "noise": TOPIC + random.Random(0).randbytes(400),
    "cut off": WHOLE[: len(WHOLE) // 2],
    "more bytes": WHOLE + b"\0",
    "no map": packed([1, 2]),
    "another version": packed(fields(0, v=2)),
    "other axes": packed(fields(0, frame="moon")),
    "no joints": without("joints"),
    "no version": without("v"),
    "14 joints": packed(fields(0, joints=[[0.0] * 3] * 14)),
    "joints of two numbers": packed(fields(0, joints=[[0.0] * 2] * 15)),
    "joints in words": packed(fields(0, joints=[["a"] * 3] * 15)),
    "no number": packed(fields(0, joints=[[float("nan")] * 3] * 15)),
    "no end": packed(fields(0, confidence=[float("inf")] * 15)),
    "a number in words": packed(fields(0, seq="1")),
    "a fraction": packed(fields(0, t_capture_ns=0.5)),
    "a truth": packed(fields(0, seq=True)),
    "no text": packed(fields(0, stream=5)),
    "not UTF-8": TOPIC + b"\x81\xa2\xff\xfe\x01",
    "a deep nest": TOPIC + b"\x91" * 100_000,
    "a deep map": TOPIC + b"\x81\xa1a" * 100_000,
    "a long array": TOPIC + b"\xdd\xff\xff\xff\xff",
    "a long map": TOPIC + b"\xdf\xff\xff\xff\xff",
    "a long text": TOPIC + b"\xdb\xff\xff\xff\xff",
    "a long extension": TOPIC + b"\xc9\xff\xff\xff\xff\x01",
    "a large message": TOPIC + bytes(3_000_000),
}


def test_each_client_stays_small():
    files = [file for kind in ("*.py", "*.[ch]pp", "*.cs", "*.mjs", "*.html") for file in CLIENTS.glob(f"*/{kind}")]
    assert len(files) >= 9
    for file in files:
        assert len(file.read_text().splitlines()) < 200, file


def test_joints_are_in_the_axes_of_the_engine(client, live, name):
    seq = live.publish()
    line = client.line_of(seq)
    assert (line.stream, line.confidence) == (STREAM, 0.75)
    check_places(line, joints_of(seq), AXES[name])


@pytest.mark.parametrize("shift_ns", [0, HOUR_NS, -HOUR_NS])
def test_the_age_is_by_the_clock_that_both_have(client, live, shift_ns):
    """shift_ns: how much later another machine's monotonic clock began. On the same one the wall clock, here half a
    second off as after a correction, says nothing."""
    seq, offset_ns = live.seq + 1, time.time_ns() - time.monotonic_ns()
    captured = time.monotonic_ns() - 5 * 10**9 - shift_ns
    correction_ns = 0 if shift_ns else 500_000_000
    live.seq = seq
    live.send(packed(fields(seq, t_capture_ns=captured, clock_offset_ns=offset_ns + shift_ns + correction_ns)))
    assert 4_990 < client.line_of(seq).age_ms < 65_000


def test_gaps_are_counted(client, live):
    before = client.line_of(live.publish()).missed
    assert client.line_of(live.publish(skip=4)).missed == before + 4
    assert client.line_of(live.publish()).missed == before + 4


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_costs_one_line(client, live, kind):
    before = len(client.skipped())
    live.send(GARBAGE[kind])
    client.wait(lambda: len(client.skipped()) > before)
    client.line_of(live.publish())
    assert len(client.skipped()) == before + 1, client.notes[-5:]


def test_keys_of_later_releases_are_left_alone(client, live, name):
    """Before and after the known keys, and of every kind that msgpack has."""
    seq = live.seq = live.seq + 1
    later = {"later": [None, True, b"\0", 2**64 - 1, -(2**63), 0.5, msgpack.ExtType(42, b"x"), {"x" * 300: {7: []}}]}
    more = {"world": "headset", "head": {"position": [0.0] * 3}, "joints_world": [[9.0] * 3] * 15, "z": [0] * 70_000}
    before = len(client.skipped())
    live.send(packed({**later, **fields(seq), **more}))
    check_places(client.line_of(seq), joints_of(seq), AXES[name])
    assert len(client.skipped()) == before


def test_whole_numbers_are_numbers_too(client, live):
    """Some languages pack 1.0 as 1."""
    seq = live.seq = live.seq + 1
    live.send(packed(fields(seq, joints=[[1, -1, 1000]] * 15)))
    assert abs(client.line_of(seq).places[0]).tolist() == [1, 1, 1000]


def test_the_newest_pose_wins(commands, live, name):
    """While the client pauses, poses go by: the next line is of the newest, not of the next."""
    slow = RunningClient(commands(name), live.endpoint, STREAM, "300")
    try:
        live.reach(slow)
        before, last = len(slow.lines), live.publish(200)
        line = slow.line_of(last)
        assert len(slow.lines) - before < 20 and line.missed >= 180
    finally:
        slow.close()


def test_a_stream_whose_name_begins_alike_is_another(client, live):
    before = len(client.lines), len(client.notes)
    live.send(TOPIC[:-1] + b"2\0" + WHOLE[len(TOPIC) :])
    client.line_of(live.publish())
    assert (len(client.lines), len(client.notes)) == (before[0] + 1, before[1])


def test_a_publisher_that_starts_anew_is_found(client, live):
    missed = client.line_of(live.publish(skip=1000)).missed
    live.close()
    live.start()
    before = len(client.lines)
    client.wait(lambda: live.publish() >= 0 and len(client.lines) > before)
    assert live.seq < 1000 and client.line_of(live.seq).missed - missed <= live.seq
    client.wait(lambda: any("began anew" in note for note in client.notes))


def test_silence_is_said_once(client, live):
    before = len(client.notes)
    client.wait(lambda: "note: no pose for 2 s; still waiting\n" in client.notes[before:])
    client.line_of(live.publish())
    assert client.notes[before:].count("note: no pose for 2 s; still waiting\n") == 1


def test_an_endpoint_that_is_none_is_named(commands, name):
    running = RunningClient(commands(name), "nowhere")
    try:
        assert wait_for(lambda: running.process.poll() is not None, 30)
        assert running.process.returncode == 1 and not running.lines
        assert wait_for(lambda: running.notes) and running.notes[0].startswith("error: nowhere")
        assert len(running.notes) == 1
    finally:
        running.close()
