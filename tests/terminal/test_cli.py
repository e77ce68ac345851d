"""The commands as a person types them."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
import zmq
from conftest import ROOT
from rich.console import Console

from egostream.calibration.file import canonical_calibration
from egostream.config import RunConfig, as_toml, load_config
from egostream.errors import EgostreamError
from egostream.graph.default_weights import default_weights
from egostream.handover.board import StreamBoard
from egostream.publish.client import OPENXR, UNITY, PoseSubscriber, TrackedPose
from egostream.publish.endpoints import is_loopback
from egostream.publish.message import PoseMessage, pack, topic, unpack
from egostream.redact import without_password
from egostream.terminal import doctor
from egostream.terminal.run import announce, echo_flags
from tools.entry import run_tool

COMMANDS = ("run", "echo", "bench", "cameras", "doctor", "keys", "stop")


def egostream(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "egostream", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command):
    done = egostream(command, "--help")
    assert done.returncode == 0 and f"Example: egostream {command}" in done.stdout


TOOLS = """build_engine import_checkpoint calibrate bench_backends bench_gpu export_graphs
quantize make_sample make_synthetic train_heatmap train_pose
evaluate pack_weights contact_sheet""".split()


def test_every_tool_says_how_to_call_it():
    ask = lambda tool: subprocess.run(
        [sys.executable, f"tools/{tool}.py", "--help"], cwd=ROOT, capture_output=True, text=True
    )
    with ThreadPoolExecutor(2) as two:  # each spends seconds on importing PyTorch
        for tool, done in zip(TOOLS, two.map(ask, TOOLS)):
            assert done.returncode == 0 and f"python tools/{tool}.py" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (EgostreamError("no data"), 1, "no data"), (OSError(28, "No space left on device"), 1, "No space left"),
        (ModuleNotFoundError("No module named 'torch'"), 1, "pip install -e '.[train]'"), (KeyboardInterrupt(), 130, "half is kept"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_every_tool_ends_in_one_line(monkeypatch, capsys, error, code, line):
    def main():
        raise error

    monkeypatch.setattr(sys, "argv", ["tools/some_tool.py"])
    with pytest.raises(SystemExit) as ended:
        run_tool(main, stopped="half is kept")
    said = (
        capsys.readouterr().err if ended.value.code == code else str(ended.value.code)
    )  # Python prints a code that is text, with status 1
    assert said.startswith("some_tool: ") and line in said and (code == 1) == isinstance(ended.value.code, str)


@pytest.mark.parametrize(
    ("config", "scales", "hinted"),
    [
        (RunConfig(), False, True), (RunConfig(), True, False), (RunConfig(precision="bf16"), False, False),
        (RunConfig(preset="accuracy"), False, False),
    ],
    ids=["by default", "has them", "named", "not wanted"],
)  # fmt: skip
def test_run_says_how_it_could_be_faster(tmp_path, config, scales, hinted):
    weights = default_weights()
    if not scales:
        weights = msgspec.structs.replace(weights, folder=tmp_path)
    stream = SimpleNamespace(config=config, camera=canonical_calibration())
    console = Console(file=io.StringIO(), width=500)
    motion = "every-frame" if config.preset == "accuracy" else "trained-step"
    announce(
        console,
        SimpleNamespace(
            weights=weights, config=config, streams=(stream,), backend="openvino", precision="bf16", motion=motion
        ),
    )
    said = console.file.getvalue()
    assert (
        f"openvino bf16, paper causal T=32, motion every {'frame' if motion == 'every-frame' else '67 ms'}, weights"
        in said
    )
    assert (f"python tools/quantize.py {weights.folder}" in said) == hinted


def test_help_shows_all_commands_and_a_first_step():
    done = egostream()
    assert all(command in done.stdout for command in COMMANDS) and "egostream run --source sample" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--source", "nowhere.mp4", "--assume-canonical"], "no source 'nowhere.mp4'"),
        (["run", "--source", "nowhere.mp4"], "no source 'nowhere.mp4'"),
        (["run", "--source", "0"], "no calibration for source 0.*tools/calibrate.py"),
        (["run", "--camera", "97", "--assume-canonical"], "no camera 97.*egostream cameras"),
        (["run", "--calibration", "nofile.json"], "no calibration file nofile.json"),
        (["run", "--pace", "fast"], "pace is 'fast'; choose one of live, every-frame, max-rate"),
        (["run", "--every-frame", "--pace", "live"], "exclude each other"),
        (["run", "--fps", "-3"], "fps is -3.0"),
        (["run", "--fps", "nan"], "fps is nan"),
        (["run", "--stream", "a/b"], "stream is 'a/b'"),
        (["run", "--backend", "tensorflow"], "no backend 'tensorflow'"),
        (["run", "--precision", "fp4"], "cannot run fp4"),
        (["run", "--weights", "nowhere"], "not a weights folder"),
        (["run", "--engines", "nowhere"], "has no manifest.*build_engine.py"),
        (["run", "--publish", "tcp://0.0.0.0:5570"], "can be reached from outside.*egostream keys"),
        (["run", "--publish", "tcp://*:5570"], "can be reached from outside"),
        (["run", "--publish", "banana"], "not of the form tcp://"),
        (["run", "--publish", "tcp://127.0.0.1:*"], "is not one that clients could know"),
        (["run", "--publish", "tcp://127.0.0.1:99999"], "port 99999"),
        (["run", "--source", "x" * 5000, "--assume-canonical"], "no source"),
        (["run", "--control", "tcp://0.0.0.0:5571", "--insecure"], "must be on loopback"),
        (["run", "--server-key", "nofile"], "not a CURVE certificate"),
        (["run", "--client-keys", "x"], "needs --server-key"),
        (["run", "--config", "nofile.toml"], "no config file nofile.toml"),
        (["echo", "--timeout", "0.5", "--endpoint", "ipc:///tmp/egostream-test-none"], "no pose on .* for 0.5 s"),
        (["echo", "--endpoint", "banana"], "cannot connect to banana"),
        (["stop", "--control", "ipc:///tmp/egostream-test-none"], "no answer from"),
        (["stop", "--control", "banana"], "cannot connect to banana"),
        (["bench", "--source", "nowhere.mp4", "--assume-canonical"], "no source 'nowhere.mp4'"),
        (["bench", "--plot", "nowhere/latency.png"], "in an existing folder is needed"),
    ],
)
def test_bad_input_is_one_line_and_status_one(arguments, message):
    done = egostream(*arguments)
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert lines[-1].startswith("egostream: ") and re.search(message, lines[-1]), done.stderr


def test_temporal_form_must_match_the_weights(weights_of):
    done = egostream("run", "--weights", str(weights_of("window").folder), "--temporal", "causal")
    assert done.returncode == 1 and "were trained for window" in done.stderr


def test_config_file_and_flags_fill_one_object(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('source = "7"\nthreads = 3\nstream = "left"\n')
    config = load_config(path, {"threads": 1, "stream": None})
    assert (config.source, config.threads, config.stream) == ("7", 1, "left")
    printed = egostream("run", "--config", str(path), "--threads", "1", "--print-config")
    (tmp_path / "printed.toml").write_text(printed.stdout)
    assert load_config(tmp_path / "printed.toml", {}) == config


def test_config_round_trips_awkward_strings(tmp_path):
    config = RunConfig(source='C:\\cams\\"left" ünï', calibration="a b.json")
    path = tmp_path / "x.toml"
    path.write_text(as_toml(config), encoding="utf-8")
    assert load_config(path, {}) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sauce = 1", "unknown field `sauce`"),
        ('threads = "two"', r"Expected `int`, got `str` - at `\$.threads`"),
        ("threads = ", "not readable TOML"),
        ("streams = 5", r"Expected `array`, got `int` - at `\$.streams`"),
    ],
)
def test_bad_config_names_the_file_and_the_key(tmp_path, text, message):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(EgostreamError, match=message) as caught:
        load_config(path, {})
    assert "bad.toml" in str(caught.value)


def test_json_outputs_are_json(tmp_path):
    assert isinstance(json.loads(egostream("cameras", "--json").stdout), list)
    findings = json.loads(egostream("doctor", "--json").stdout)
    assert {"system", "backend", "weights", "cache"} <= {finding["topic"] for finding in findings}
    keys = json.loads(egostream("keys", "-o", str(tmp_path / "keys"), "--json").stdout)
    assert keys["secret"].endswith("server.key_secret")
    again = egostream("keys", "-o", str(tmp_path / "keys"))
    assert again.returncode == 1 and "exists" in again.stderr


def test_bench_reports_what_it_promises(tmp_path):
    done = egostream(
        "bench", "--max-rate", "--seconds", "3", "--warmup", "1", "--json", "--plot", str(tmp_path / "latency.png")
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    expected = {
        "poses_per_second",
        "latency_ms",
        "stages_ms",
        "dropped_frames",
        "rss_mib",
        "cpu_percent",
        "source",
        "backend",
        "precision",
        "temporal",
        "weights",
        "machine",
    }
    assert expected <= set(result)
    assert list(result["latency_ms"]) == ["p50", "p95", "p99", "worst"]
    assert {"decode", "rectify", "handover", "window", "network", "publish", "transport"} <= set(result["stages_ms"])
    assert (
        result["poses_per_second"] > 1
        and result["dropped_frames"] == 0
        and result["latency_ms"]["worst"] >= result["latency_ms"]["p50"] > 0
    )
    assert result["rss_mib"] > 100 and result["cpu_percent"] > 10
    assert (tmp_path / "latency.png").read_bytes()[:4] == b"\x89PNG"


def test_loopback_is_recognised():
    inside = ["tcp://127.0.0.1:1", "tcp://localhost:1", "tcp://127.8.9.1:1", "tcp://[::1]:1", "ipc:///tmp/x"]
    outside = [
        "tcp://0.0.0.0:1",
        "tcp://*:1",
        "tcp://192.168.1.2:1",
        "tcp://eth0:1",
        "tcp://[::]:1",
        "tcp://127.0.0.1.evil.org:1",
        "udp://127.0.0.1:1",
    ]
    assert all(map(is_loopback, inside)) and not any(map(is_loopback, outside))


def test_the_echo_command_that_run_prints():
    assert echo_flags(RunConfig()) == ""
    config = RunConfig(publish="tcp://*:9", stream="left", server_key="keys/server.key_secret")
    assert echo_flags(config) == " --endpoint tcp://127.0.0.1:9 --stream left --server-key keys/server.key"


def test_client_keys_must_hold_a_key(tmp_path):
    keys = json.loads(egostream("keys", "-o", str(tmp_path / "keys"), "--json").stdout)
    done = egostream("run", "--server-key", keys["secret"], "--client-keys", str(tmp_path))
    assert done.returncode == 1 and "nobody could connect" in done.stderr
    (tmp_path / "bad.key_secret").write_text('curve\n  public-key = "short"\n  secret-key = "short"\n')
    malformed = egostream("run", "--server-key", str(tmp_path / "bad.key_secret"))
    assert malformed.returncode == 1 and "CURVE keys have 40 characters" in malformed.stderr
    alone = egostream("echo", "--client-key", keys["secret"])
    assert alone.returncode == 1 and "needs the server's public key" in alone.stderr
    public = egostream("run", "--server-key", keys["public"])
    assert public.returncode == 1 and "ends in .key_secret" in public.stderr


def test_docs_have_no_placeholder_left():
    for path in [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md")]:
        assert "@@" not in path.read_text(), path


def test_age_through_a_tunnel_goes_by_wall_clocks(tmp_path):
    """The endpoint is on this machine, but the publisher's monotonic clock began elsewhere."""
    endpoint, context = f"ipc://{tmp_path}/poses", zmq.Context()
    with context.socket(zmq.PUB) as publisher, PoseSubscriber(endpoint, "1") as poses:
        publisher.bind(endpoint)
        here, elsewhere = time.monotonic_ns(), time.monotonic_ns() - int(9e12)
        for t_ns, offset, same in ((here, time.time_ns() - here, True), (elsewhere, time.time_ns() - elsewhere, False)):
            message = pack("pose", pose_message(t_capture_ns=t_ns, clock_offset_ns=offset))
            for _ in range(100):  # until the subscription has arrived, and what came before is past
                publisher.send(message)
                if (pose := poses.newest(0.05)) is not None and pose.t_capture_ns == t_ns:
                    break
            assert pose.same_clock is same and 0 <= pose.age_ns() < 20e9
    context.term()


def test_doctor_tells_the_rest_when_the_weights_are_damaged(monkeypatch):
    def damaged():
        raise EgostreamError("weights are damaged")

    monkeypatch.setattr(doctor, "shipped_weights", damaged)
    findings = list(doctor.check_weights())
    assert ("error", "weights", "weights are damaged", "") in findings


def test_a_source_that_is_not_unicode_can_be_shown():
    name = b"caf\xe9.avi".decode(errors="surrogateescape")  # as Python reads such a file's name
    without_password(name).encode()
    board = StreamBoard()
    board.say("capture_note", f"no source {name}")
    assert board.text("capture_note") == "no source caf?.avi"
    board.close()


def test_unity_and_openxr_axes():
    """A point right of, above and before the camera; Unity is left-handed, OpenXR right-handed with z backward."""
    joints = np.zeros((15, 3))
    joints[6] = [1.0, -2.0, 3.0]
    pose = TrackedPose(
        pose_message(t_capture_ns=5, clock_offset_ns=100), joints, np.ones(15), np.zeros((15, 2)), 0, True
    )
    assert pose.unity()[6].tolist() == [1, 2, 3] and pose.openxr()[6].tolist() == [1, 2, -3]
    assert np.prod(UNITY) == -1 and np.prod(OPENXR) == 1  # a mirror, and a rotation
    assert pose.joint("left_wrist").tolist() == [1, -2, 3]
    assert (pose.t_capture_wall_ns, pose.clock_offset_ns) == (105, 100)


def pose_message(**changes):
    values = {"stream": "1", "seq": 3, "t_capture_ns": 1, "t_publish_ns": 2, "clock_offset_ns": 0, "stages_ns": {}, "joints": [[0.0] * 3] * 15,
              "confidence": [1.0] * 15, "keypoints": [[0.0] * 2] * 15, "weights": "w", "dropped_frames": 0}  # fmt: skip
    return PoseMessage(**{**values, **changes})


def test_messages_round_trip_and_topics_do_not_overlap():
    message = pose_message()
    assert unpack(pack("pose", message)) == message
    assert not pack("pose", pose_message(stream="10")).startswith(topic("pose", "1"))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "not an egostream message"),
        (b"pose/0\0\xc1", "malformed"),
        (b"pose/0\0\x81\xa1\xff\x01", "malformed"),
        (b"weather/0\0\x80", "not an egostream message"),
        (pack("pose", pose_message(v=99)), "version 99"),
        (b"pose/0\0" + msgspec.msgpack.encode({"v": 2, "wrists": []}), "version 2"),  # whatever that one has
    ],
)
def test_foreign_messages_are_refused_by_name(data, problem):
    with pytest.raises(EgostreamError, match=problem):
        unpack(data)


def test_newer_messages_with_more_keys_are_read():
    """Additive changes only: an old client reads a newer publisher."""
    import msgpack

    head, _, body = pack("pose", pose_message()).partition(b"\0")
    extended = msgpack.packb(msgpack.unpackb(body) | {"velocity": [1, 2]})
    assert unpack(head + b"\0" + extended) == pose_message()


def test_worker_imports_stay_light():
    """What a spawned child imports before its own work: no command line, no network, no client."""
    code = "import sys, egostream.__main__, egostream.supervise.processes; print([m for m in ('typer', 'rich', 'openvino', 'torch', 'onnx', 'onnxruntime') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout.strip() == "[]"


def test_the_runtime_never_needs_torch(tmp_path):
    """No process of a run imports PyTorch or our tools: both are made to fail on import, for children too."""
    for name in ("torch", "torchvision", "tools"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('the runtime imported this')")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "egostream", "run", "--seconds", "5", "--publish", f"ipc://{tmp_path}/poses", "--control", ""],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0 and "process ended" not in done.stderr, done.stderr
    assert int(re.search(r"^(\d+) poses,", done.stderr, re.M)[1]) > 10
