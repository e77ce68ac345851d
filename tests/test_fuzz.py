"""Every input that comes from outside, damaged: an error of ours in one line, or a value; never anything else.

A short part of what ``python tools/fuzz.py`` does, with the same targets and the same inputs for the same seed.
"""

from __future__ import annotations

import dataclasses
import io
import json
import random
import resource
import zipfile

import msgspec
import mutations
import pytest
from fuzz_targets import TARGETS, drawn, judge
from mcap.records import Chunk

from egostream.errors import EgostreamError
from tools.fuzzing.child import alarm, bound_memory
from tools.fuzzing.findings import keep

MOST_MIB = 1024


@pytest.fixture
def bounded_memory():
    """No more than 1 GiB on top of what there is."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    bound_memory(MOST_MIB)
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize("name", TARGETS)
def test_damage_is_said_or_read(tmp_path, bounded_memory, name):
    target = TARGETS[name]
    for number in range(target.quick):
        data = drawn(target, random.Random(f"{name}:0:{number}"))
        try:
            with alarm():
                judge(target, data, tmp_path)
        except BaseException as error:
            found = keep(tmp_path / "finding", name, data, type(error).__name__, str(error))
            error.add_note(found.with_suffix(".txt").read_text())
            raise


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_whole_is_read(tmp_path, name):
    """The targets would hold as well if they refused everything: one seed at least has to get to the end."""
    refused = []
    for seed in TARGETS[name].seeds():
        try:
            TARGETS[name].call(seed, tmp_path)
        except EgostreamError as error:
            refused.append(str(error))
    assert len(refused) < len(TARGETS[name].seeds()), refused


def deep(before: bytes, after: bytes = b"") -> bytes:
    """Brackets that nest deeper than Python goes, between two parts of a JSON object."""
    return before + b"[" * 3000 + b"]" * 3000 + after


def packed_truth(header: str, data: bytes = b"\0" * 360) -> bytes:
    """A truth file whose joints have this header."""
    text = header.encode().ljust(117) + b"\n"
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(TARGETS["truth"].seeds()[0])) as before, zipfile.ZipFile(changed, "w") as after:
        for name in before.namelist():
            joints = b"\x93NUMPY\x01\0" + len(text).to_bytes(2, "little") + text + data
            after.writestr(name, joints if name == "joints.npy" else before.read(name))
    return changed.getvalue()


def changed_json(name: str, **fields: object) -> bytes:
    """A target's first seed, a JSON object, with other fields."""
    return json.dumps(json.loads(TARGETS[name].seeds()[0]) | fields).encode()


#: A bundle whose element has the size -4.
OSC_BACK = b"#bundle\0" + bytes(8) + b"\xff\xff\xff\xfc" + bytes(8)
#: What fuzzing found, by kind: each of these was a traceback, a line that nobody wrote, or memory that was not there.
FOUND = {
    "an OSC element of a negative size, which is read for ever": lambda: ("osc", OSC_BACK),
    "the same in a bundle inside": lambda: ("osc", OSC_BACK[:16] + len(OSC_BACK).to_bytes(4, "big") + OSC_BACK),
    "nested JSON of weights": lambda: ("weights", deep(b'{"network": ', b"}")),
    "JSON of weights whose repr nests deeper than it did": lambda: (
        "weights", mutations.as_json(json.loads(TARGETS["weights"].seeds()[0]) | {"network": {"a": mutations.DEEP}})
    ),
    "nested JSON of a manifest": lambda: ("manifest", deep(b'{"parity": {"a": ', b"}}")),
    "nested msgpack of an answer": lambda: ("answer", b"\x81\xa2ok" + b"\x91" * 3000 + b"\xc0"),
    "an answer that is not UTF-8": lambda: ("answer", b"\x81\xa2\xffo\xc2"),
    "a picture that is no bytes": lambda: ("answer", TARGETS["answer"].seeds()[0][:-4] + b"\xc0"),
    "an array that asks for 180 GB": lambda: (
        "truth", packed_truth("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000, 15, 3), }")
    ),
    "an array's header that no parser ends": lambda: (
        "truth", packed_truth("{'descr': '<f4', 'fortran_order': False, 'shape': (2, ((15, 3), }")
    ),
    "an error as long as its input": lambda: ("truth", packed_truth("{'descr': " + "9" * 5000)),
    "bundles inside of bundles": lambda: ("osc", TARGETS["osc"].seeds()[-1]),
    "an unknown OSC type": lambda: ("osc", b"/tracking/vrsystem/head/pose\0\0\0\0,q\0\0"),
    "a path that is no address": lambda: ("page", b"//[\n127.0.0.1:5580\n"),
    "a URL that is none": lambda: ("source", b"https://[::1"),
    "a file's URL that is none": lambda: ("source", b"file://["),
    "a time beyond all numbers": lambda: ("head-file", b"t_s,qx,qy,qz,qw\n0,0,0,0,1\n1e300,0,0,0,1\n"),
    "a name that a terminal would obey": lambda: ("head-file", b"\x1b[2J,\t\n"),
    "a digest that a terminal would obey": lambda: ("scales", changed_json("scales", weights_id="\x1b[2J", sha256="")),
    "a backend of 5000 letters": lambda: ("manifest", changed_json("manifest", backend="x" * 5000)),
    "a port of 5000 digits": lambda: ("config", b'publish = "tcp://127.0.0.1:' + b"9" * 5000 + b'"'),
    "a key's path that is not UTF-8": lambda: ("cli", b"run\0--server-key\0\xad\xf5\0--print-config"),
    "a graph's name that is not UTF-8": lambda: (
        "topology", TARGETS["topology"].seeds()[0].replace(b"heatmap/bj", b"heat\xff\xff\xff/bj")
    ),
    "a time step of nothing": lambda: ("weights", changed_json("weights", step_ms=5e-324)),
    "a fit that is no fit": lambda: (
        "calibration",
        b'\n{"Intrinsics":{"MappingCoefficients":[0.4e-6,3.6e-9],"ImageSize":[68,24],"DistortionCenter":[0,8],'
        b'"":[[],[0.1,1]]},"":[],"":"","":true}',
    ),
}  # fmt: skip


def test_a_damaged_message_of_a_recording_is_sent_again_without_what_is_damaged():
    """Keys that this version does not know are passed on as they are, unless they cannot be read."""
    from egostream.publish.message import unpack
    from egostream.replay.messages import moved

    pose = TARGETS["message"].seeds()[-1]
    head, _, body = pose.partition(b"\0")
    fields = msgspec.msgpack.decode(body) | {"new": "x", "t_capture_ns": 0, "t_publish_ns": (1 << 63) + 5}
    wire = head + b"\0" + msgspec.msgpack.encode(fields)
    again = moved(wire, -fields["t_publish_ns"])
    assert unpack(again).t_publish_ns == 0 and unpack(again).t_capture_ns == -(1 << 63)
    assert msgspec.msgpack.decode(again.partition(b"\0")[2])["new"] == "x"
    assert unpack(moved(wire.replace(b"\xa3new\xa1x", b"\xa3new\xa1\xff"), 0)).joints == unpack(pose).joints


@pytest.mark.parametrize("kind", FOUND)
def test_what_was_found_stays_mended(tmp_path, bounded_memory, kind, capfd):
    name, data = FOUND[kind]()
    with alarm():
        judge(TARGETS[name], data, tmp_path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", ["zstd", "lz4"])
def test_a_chunk_takes_no_more_memory_than_a_record_may(tmp_path, monkeypatch, kind):
    """A few kilobytes that unpack to much more than they may, whatever size they say."""
    from egostream.record import reader

    monkeypatch.setattr(reader, "MOST_RECORD", 1 << 16)
    squeeze = {"zstd": "zstandard", "lz4": "lz4.frame"}[kind]
    packed = pytest.importorskip(squeeze).compress(b"\0" * (1 << 22))
    chunk = Chunk(kind, packed, 0, 0, 0, 5)
    with pytest.raises(ValueError, match="a chunk of more than"):
        reader.opened(chunk)
    small = dataclasses.replace(chunk, data=pytest.importorskip(squeeze).compress(b"abc"))
    assert reader.opened(small).data == b"abc" and reader.opened(small).compression == ""


def test_an_error_is_one_line_that_a_terminal_can_show():
    error = EgostreamError("no \x1b[2Jfile\n'" + "x" * 9000 + "\u202e'. Make one: this")
    assert str(error).startswith("no ?[2Jfile?'xxx") and str(error).endswith("x?'. Make one: this")
    assert len(str(error)) < 1600 and error.args == (str(error),)
