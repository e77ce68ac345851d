"""Every input that comes from outside, mutated: an error of ours in one line, or a value; never another exception.

EGOSTREAM_FUZZ_EXAMPLES sets how many inputs each target gets, 300 by default:

    EGOSTREAM_FUZZ_EXAMPLES=100000 python -m pytest tests/test_fuzz.py
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_messages import pose_message

from egostream.config import RunConfig, as_toml, load_config
from egostream.engine.load import ports_problem, read_manifest
from egostream.errors import EgostreamError
from egostream.files import asset
from egostream.graph.default_weights import default_weights
from egostream.graph.scales import FILE, load_quantization
from egostream.graph.weights import load_weights
from egostream.publish.curve import load_key, make_keys
from egostream.publish.message import pack, unpack
from egostream.supervise.control import ControlServer
from egostream.truth import truth_beside

EXAMPLES = int(os.environ.get("EGOSTREAM_FUZZ_EXAMPLES", "300"))
FUZZED = settings(
    max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True
)
WEIGHTS = default_weights()
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=20)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5)
)


@st.composite
def mutated(draw: st.DrawFn, seed: bytes) -> bytes:
    """Some bytes with a few of them changed, taken out, doubled or cut off."""
    data = bytearray(seed)
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        match draw(st.sampled_from(["change", "remove", "double", "cut", "insert"])):
            case "change" if data:
                data[at] = draw(st.integers(0, 255))
            case "remove":
                del data[at : at + draw(st.integers(1, 40))]
            case "double":
                data[at:at] = data[at : at + draw(st.integers(1, 200))]
            case "cut":
                del data[at:]
            case "insert":
                data[at:at] = draw(st.binary(max_size=8))
    return bytes(data)


def replaced(record: dict, keys: list, value: object) -> dict:
    """A copy of a record with another value at a place of it."""
    copied = json.loads(json.dumps(record, default=str))
    place = copied
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    return copied


def only_ours(call, *arguments) -> None:
    """Call it; what it raises must be an error of ours, in one line."""
    try:
        call(*arguments)
    except EgostreamError as error:
        assert "\n" not in str(error) and len(str(error)) < 2000


POSE = pack("pose", pose_message())


@FUZZED
@given(mutated(POSE))
def test_messages(data):
    only_ours(unpack, data)


FIELDS = st.sampled_from(sorted(msgspec.to_builtins(pose_message())))


@FUZZED
@given(FIELDS, VALUES)
def test_fields_of_messages(field, value):
    head, _, body = POSE.partition(b"\0")
    try:
        data = msgspec.msgpack.encode(msgspec.msgpack.decode(body) | {field: value})
    except (msgspec.MsgspecError, OverflowError, UnicodeEncodeError):
        return  # no msgpack
    only_ours(unpack, head + b"\0" + data)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory) -> Path:
    """A folder for the inputs."""
    return tmp_path_factory.mktemp("fuzz")


@FUZZED
@given(data=mutated(as_toml(RunConfig()).encode()))
def test_configurations(scratch, data):
    path = scratch / "run.toml"
    path.write_bytes(data)
    only_ours(load_config, path, {})


@FUZZED
@given(data=mutated(b"".join(part for part in [b'{"cmd": "pictures", "after": 3}', b"\x82\xa3cmd\xa6status"])))
def test_control_requests(data):
    """A server without its socket; what answers is a run that fails at whatever it is asked."""
    server = ControlServer.__new__(ControlServer)
    server.answer = lambda request: {"ok": True, "told": request["cmd"]}
    answer = server.respond([data])
    assert isinstance(answer["ok"], bool)
    if not answer["ok"]:
        assert len(msgspec.msgpack.encode(answer)) < 4096


@FUZZED
@given(value=VALUES)
def test_control_values(value):
    try:
        data = msgspec.msgpack.encode({"cmd": value, "stream": value})
    except (msgspec.MsgspecError, OverflowError, UnicodeEncodeError):
        return
    server = ControlServer.__new__(ControlServer)
    server.answer = lambda request: {"ok": True, "told": {}[str(request)]}
    assert not server.respond([data])["ok"]


MANIFEST = {
    "graph": "pose", "backend": "openvino", "backend_version": "1", "device": "cpu", "precision": "int8",
    "temporal": "causal", "window": 32, "batch": 1, "weights_id": "0" * 64, "engine_sha256": "0" * 64,
    "inputs": {"frame": ["uint8", [1, 256, 256, 3]], "motion": ["float32", [1, 384]]},
    "outputs": {"joints": ["float32", [1, 15, 3]], "heatmaps": ["float32", [1, 15, 64, 64]]},
}  # fmt: skip
PLACES = st.sampled_from([[key] for key in MANIFEST] + [["inputs", "frame"], ["outputs", "joints"], ["inputs", "x"]])


def check_manifest(path: Path) -> None:
    """Read a manifest as a run does."""
    manifest = read_manifest(path.with_suffix(""))
    ports_problem(manifest, is_gpu=False)
    ports_problem(manifest, is_gpu=True)


@FUZZED
@given(place=PLACES, value=VALUES)
def test_values_of_manifests(scratch, place, value):
    path = scratch / "engine.blob.json"
    try:
        path.write_text(json.dumps(replaced(MANIFEST, place, value)))
    except (TypeError, UnicodeEncodeError):
        return  # no JSON
    only_ours(check_manifest, path)


@FUZZED
@given(data=mutated(json.dumps(MANIFEST).encode()))
def test_bytes_of_manifests(scratch, data):
    path = scratch / "engine.blob.json"
    path.write_bytes(data)
    only_ours(check_manifest, path)


@FUZZED
@given(data=mutated((WEIGHTS.folder / "weights.json").read_bytes()))
def test_weights(scratch, data):
    """The record alone: what it vouches for is missing, so that none of these may load."""
    (scratch / "weights.json").write_bytes(data)
    with pytest.raises(EgostreamError):
        load_weights(scratch)


@FUZZED
@given(data=mutated((WEIGHTS.folder / FILE).read_bytes()))
def test_scales(scratch, data):
    (scratch / FILE).write_bytes(data)
    only_ours(load_quantization, msgspec.structs.replace(WEIGHTS, folder=scratch))


@FUZZED
@given(data=mutated(b'metadata\ncurve\n    public-key = "' + b"a" * 40 + b'"\n    secret-key = "' + b"b" * 40 + b'"\n'))
def test_certificates(scratch, data):
    path = scratch / "a.key_secret"
    path.write_bytes(data)
    path.chmod(0o600)
    only_ours(load_key, path, True)


def test_a_real_certificate_still_loads(tmp_path):
    """The target above refuses nearly all; this is what it must not refuse."""
    assert load_key(make_keys(tmp_path, "a")[1], need_secret=True)[1]


@FUZZED
@given(data=mutated(asset("sample", "sample.truth.npz").read_bytes()))
def test_truths(scratch, data):
    (scratch / "clip.avi").write_bytes(b"")
    (scratch / "clip.truth.npz").write_bytes(data)
    only_ours(truth_beside, scratch / "clip.avi")
