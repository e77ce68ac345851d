"""Every input that comes from outside, as a fuzz target: what reads it, inputs to begin with, and how they are damaged.

A target's ``call`` gets an input and an empty folder of its own. An error of ours in one printable line is its answer,
or what the docs say; anything else that it raises is a finding. ``tests/test_fuzz.py`` and ``tools/fuzz.py`` share it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import warnings
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import msgspec
import mutations
import numpy as np
import typer
from calibration_files import ASKED, SAMPLES
from made_messages import pose_message
from mutations import joined_parts, split_parts

from egostream.calibration.file import canonical_calibration, load_calibration
from egostream.config import RunConfig, StreamConfig, as_toml, load_config, stream_configs
from egostream.errors import EgostreamError
from egostream.files import asset

LONGEST_ERROR = 2000
#: What the library of commands raises for words that it refuses; older versions of typer take it from click.
REFUSED = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
Seeds = Callable[[], list[bytes]]


class Target(NamedTuple):
    """One kind of input."""

    call: Callable[[bytes, Path], None]
    seeds: Seeds
    damage: Callable[[bytes, random.Random], bytes]
    quick: int = 100  # inputs of a test run, which take less than half a second


def drawn(target: Target, rng: random.Random) -> bytes:
    """An input of a target: one of its seeds, mostly damaged."""
    seed = rng.choice(target.seeds())
    return seed if rng.random() < 0.02 else target.damage(seed, rng)


def judge(target: Target, data: bytes, folder: Path) -> None:
    """Give an input to its target. Raises what is a finding: any exception or warning but an error of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it would be a line on the terminal that nobody wrote
        with ours():
            target.call(data, folder)


@contextlib.contextmanager
def ours() -> Iterator[None]:
    """Context that takes an error of ours, and checks that it is one line that a terminal can show."""
    try:
        yield
    except EgostreamError as error:
        text = str(error)
        assert text and len(text) < LONGEST_ERROR, f"an error of {len(text)} characters: {text[:200]!r}"
        odd = sorted({c for c in text if not c.isprintable()})
        assert not odd, f"an error with {odd}: {text[:500]!r}"


def written(folder: Path, name: str, data: bytes) -> Path:
    """A file in a folder."""
    path = folder / name
    path.write_bytes(data)
    return path


# -- settings ---------------------------------------------------------------------------------------------------------


@cache
def config_seeds() -> list[bytes]:
    """A whole configuration, one of two streams, and a short one."""
    two = (StreamConfig(source="0", stream="left", rotate=90), StreamConfig(source="1", stature=1.7, fps=30.0))
    configs = RunConfig(), RunConfig(streams=two, publish="ipc:///tmp/poses", head="tcp://127.0.0.1:5572")
    return [*(as_toml(config).encode() for config in configs), b'source = "a.mp4"\nrays = false\nbridge = ["vmc"]\n']


def read_config(data: bytes, folder: Path) -> None:
    """A configuration is refused, or says the same once it is written and read again, and its endpoints are looked at.

    NaN is equal to nothing, but to itself in text.
    """
    from egostream.publish.endpoints import check_endpoint, ipc_path, local_endpoint

    config = load_config(written(folder, "run.toml", data), {})
    again = load_config(written(folder, "again.toml", as_toml(config).encode()), {})
    assert as_toml(again) == as_toml(config) and len(stream_configs(config)) >= 1
    for name in ("publish", "control", "head"):
        if endpoint := getattr(config, name):
            local_endpoint(endpoint), ipc_path(endpoint)
            check_endpoint(name, endpoint, config)


@cache
def word_seeds() -> list[bytes]:
    """Command lines, one of each command."""
    lines = (
        "run --source 0 --calibration lens.json --stature 1.78 --stream left --print-config",
        "run --camera 0 --camera 2 --stream left --stream right --rotate 90 --rotate 0 --print-config",
        "run --publish tcp://*:5570 --server-key k --head tcp://127.0.0.1:5572 --bridge vmc --print-config",
        "view --stream 0 --port 5580 --host 127.0.0.1", "echo --count 3 --timeout 1 --json", "lens lens.json --json",
        "record -o walk.mcap --seconds 10", "replay walk.mcap --check", "annotate a.mp4 -o poses/ --smooth 4",
        "bench --max-rate --seconds 30 --streams 1,2", "mount lens.json --position 0 0.06 -0.05 --angles 1 2 3",
        "bridge vmc --to 127.0.0.1:39539", "bridge websocket --to 127.0.0.1:5581", "head csv poses.csv --loop",
        "head vrchat --host 127.0.0.1", "cache --keep 2 --json", "keys -o keys --name anna", "status --json", "doctor",
    )  # fmt: skip
    return [line.replace(" ", "\0").encode() for line in lines]


def parse_words(data: bytes, folder: Path) -> None:
    """A command line is refused in words, or understood; ``run --print-config`` and ``lens`` are run as well.

    The others would open sockets and cameras, and write where they are told.
    """
    from egostream.terminal.bench import parse_counts
    from egostream.view.settings import view_settings

    words = [os.fsdecode(word) for word in data.split(b"\0")]
    lens = (folder / "lens.json").exists() or (folder / "lens.json").write_text(SAMPLES["ours"].text)
    assert lens
    told = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        with contextlib.suppress(REFUSED, typer.Exit, typer.Abort):
            command, context = understood(words)
            is_harmless = command == "lens" and not (context.params["output"] or context.params["plot"])
            if context.params.get("print_config") or is_harmless:
                context.command.invoke(context)
            elif command == "bench":
                parse_counts(context.params["streams"])
            elif command == "view":
                asked = {key: context.params[key] for key in ("endpoint", "control", "host", "port", "stream")}
                view_settings(**asked)


@cache
def command_line() -> Any:
    """The commands of the program."""
    from egostream.terminal.cli import app

    return typer.main.get_command(app)


def understood(words: list[str]) -> tuple[str, Any]:
    """The innermost command that words name, and its options as they were parsed. Raises click's exceptions."""
    context = command_line().make_context("egostream", list(words))
    while hasattr(context.command, "resolve_command"):  # a group
        before = getattr(context, "_protected_args", None) or getattr(context, "protected_args", [])
        if not (rest := [*before, *context.args]):
            raise typer.Exit  # nothing but --: the program says that a command is missing
        name, command, rest = context.command.resolve_command(context, rest)
        assert command is not None
        context = command.make_context(name, rest, parent=context)
    return context.info_name or "", context


@cache
def source_seeds() -> list[bytes]:
    """Texts of sources, passwords in some of them."""
    texts = (
        "0", "/dev/video2", "sample", "./sample", "walk.mp4", "walk.mcap#left", "images/", "file:///tmp/a%20b.mp4",
        "rtsp://user:secret-7@10.0.0.2:554/ch1", "http://h/video.mjpg?user=u&pwd=secret-7", "~/a.avi",
        "srt://h:9000?streamid=secret-7&mode=caller", "rtmps://u:secret-7/x@h/live", "udp://@239.0.0.1:1234",
        "https://[::1]:8443/a?b=c;token=secret-7#t", "session.sdp",
    )  # fmt: skip
    return [text.encode() for text in texts]


def look_at_source(data: bytes, folder: Path) -> None:
    """A source's text is sorted into a kind without the network, and a password that it has is never shown."""
    from egostream.annotate.sources import recordings_at
    from egostream.capture.source_text import for_ffmpeg, local_path, mcap_of, scheme_of
    from egostream.capture.sources import WEB_SCHEMES, check_source, clip_path, what_is
    from egostream.capture.web import name_of
    from egostream.redact import without_password

    source = os.fsdecode(data).replace("\0", "")
    with contextlib.chdir(folder):
        for look in (local_path, mcap_of, scheme_of, clip_path, for_ffmpeg, name_of, without_password):
            with ours():
                look(source)
        if scheme_of(source) not in WEB_SCHEMES and not any(mark in source for mark in ("/", "*", "..", "~")):
            with ours():
                what_is(source)
            with ours():
                check_source(source)
            with ours():
                list(recordings_at(source))


# -- cameras and ground truth -----------------------------------------------------------------------------------------


@cache
def calibration_seeds() -> list[bytes]:
    """Files of other programs, each after what is asked of it."""
    return [f"{sample.asked}\n{sample.text}".encode() for sample in SAMPLES.values()]


def damage_calibration(data: bytes, rng: random.Random) -> bytes:
    """A calibration file after some accidents, and at times another camera asked of it."""
    asked, _, text = data.decode().partition("\n")
    asked = rng.choice(("", "#0", "#cam9", "#640x480", "#x", f"{asked}#")) if rng.random() < 0.1 else asked
    return asked.encode() + b"\n" + mutations.mutated(text, rng)


def read_calibration(data: bytes, folder: Path) -> None:
    """What is read is a camera: finite numbers everywhere, and pixels that come back from their rays."""
    asked, _, text = data.partition(b"\n")
    path = written(folder, "damaged.json", text)
    camera = load_calibration(f"{path}{os.fsdecode(asked)}".replace("\0", ""))
    (pixels, _), (width, height) = camera.lens.project(ASKED), camera.size
    assert np.isfinite(pixels).all() and 0 <= camera.lens.cx < width and 0 <= camera.lens.cy < height
    beside = [[camera.lens.cx + 1, camera.lens.cy], [width / 2, height / 3], [-1e6, 5]]
    rays, seen = camera.lens.unproject(np.array(beside))
    assert np.isfinite(rays).all() and seen[0]
    assert camera.name.isprintable() and camera.name.encode()


@cache
def truth_seeds() -> list[bytes]:
    """The sample's truth, and a small one whose arrays lie open."""
    small = io.BytesIO()
    shapes = {"joints": np.zeros((2, 15, 3), "f4"), "keypoints": np.zeros((2, 15, 2), "f4")}
    np.savez(small, visible=np.ones((2, 15), bool), fps=np.float64(30), **shapes)
    return [small.getvalue(), small.getvalue(), asset("sample", "sample.truth.npz").read_bytes()]


def damage_truth(data: bytes, rng: random.Random) -> bytes:
    """A truth file with other bytes; or with an array whose header says something odd, its checksum right."""
    if rng.random() < 0.4:
        return mutations.mutated_bytes(data, rng)
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(changed, "w") as after:
        spoiled = rng.choice(before.namelist())
        for name in before.namelist():
            content = before.read(name)
            if name == spoiled:
                end = content.index(b"\n")
                header = mutations.mutated(content[10:end].decode("latin-1"), rng).ljust(end - 10)
                content = content[:8] + len(header).to_bytes(2, "little") + header + content[end:]
            after.writestr(name, content)
    return changed.getvalue()


def read_truth(data: bytes, folder: Path) -> None:
    """A clip's truth can be used, whole."""
    from egostream.truth import ClipError, truth_beside

    written(folder, "clip.truth.npz", data)
    truth = truth_beside(written(folder, "clip.avi", b""))
    assert truth is not None and len(truth) > 0
    assert ClipError(truth).add(0, np.zeros((15, 3))) >= 0


@cache
def stamp_seeds() -> list[bytes]:
    """Files of stamps in their forms, for the images a.png and b.png."""
    texts = (
        "# name, time\na.png, 12.000000\nb.png, 12.033367\n",
        "1403636579763555584 a.png\n1403636579813555456 b.png\n",
    )
    return [text.encode() for text in texts]


def read_stamp_file(data: bytes, folder: Path) -> None:
    """Images get times that grow."""
    from egostream.capture.stamp_file import read_stamps

    images, times_ns = read_stamps(written(folder, "timestamps.txt", data), [folder / "a.png", folder / "b.png"])
    assert len(images) == 2 and times_ns[0] == 0 < times_ns[1] < times_ns[2]


@cache
def avi_seeds() -> list[bytes]:
    """The sample's header and its first frames; and the header alone, where most of what is read stands."""
    data = asset("sample", "sample.avi").read_bytes()
    return [data[:150_000], data[: data.index(b"movi") + 2000]]


def read_avi(data: bytes, folder: Path) -> None:
    """Our own reader of Motion-JPEG gets to the file's end, however its chunks lie."""
    from egostream.capture.avi import open_jpeg_avi

    avi = open_jpeg_avi(written(folder, "clip.avi", data))
    if avi is not None:
        assert sum(packet.content.size <= len(data) for packet in avi.packets()) <= len(data)
        assert avi.count() <= len(data)


@cache
def picture_seeds() -> list[bytes]:
    """Encoded pictures: a JPEG of the canonical camera's size, and small ones of both formats."""
    import cv2

    width, height = canonical_calibration().size
    small, large = np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3), np.full((height, width, 3), 90, np.uint8)
    return [
        cv2.imencode(suffix, image)[1].tobytes()
        for suffix, image in ((".jpg", small), (".png", small), (".jpg", large))
    ]


@cache
def rectifier() -> object:
    """Of the canonical camera."""
    from egostream.calibration.view import CameraView
    from egostream.capture.rectify import Rectifier

    return Rectifier(CameraView(shipped_weights().input))


def decode_picture(data: bytes, folder: Path) -> None:
    """A camera's picture becomes the network's, or one bad frame."""
    from egostream.capture.decode import BadFrame, decode
    from egostream.types import CameraFrame

    with contextlib.suppress(BadFrame):
        image = decode(CameraFrame(0, 0, 0, np.frombuffer(data, np.uint8)), rectifier())
        assert image.dtype == np.uint8 and image.ndim == 3


# -- weights and engines ----------------------------------------------------------------------------------------------


@cache
def shipped_weights() -> Any:
    """The weights that a run takes unasked, checked once: all their bytes are summed."""
    from egostream.graph.default_weights import default_weights

    return default_weights()


@cache
def weights_record() -> dict:
    """weights.json of the shipped weights, whose files are short ones here: nothing but their bytes is looked at."""
    from egostream.graph.weights import folder_id

    record = json.loads((shipped_weights().folder / "weights.json").read_bytes())
    files = {name: hashlib.sha256(name.encode()).hexdigest() for name in record["files"]}
    return {**record, "files": files, "id": folder_id(files)}


def damage_weights(data: bytes, rng: random.Random) -> bytes:
    """A weights.json that changed, mostly with the id that belongs to what it lists now."""
    from egostream.graph.weights import folder_id

    changed = mutations.mutated_json(data, rng)
    with contextlib.suppress(Exception):
        record = json.loads(changed)
        if rng.random() < 0.7:
            record["id"] = folder_id(record["files"])
            return mutations.as_json(record)
    return changed


def read_weights(data: bytes, folder: Path) -> None:
    """What its record vouches for is there; a record that says otherwise is refused."""
    from egostream.graph.weights import load_weights

    for name in weights_record()["files"]:
        if not (folder / name).exists():
            written(folder, name, name.encode())
    written(folder, "weights.json", data)
    weights = load_weights(folder)
    assert weights.window >= 2 and weights.step_ns > 0 and isinstance(weights.variant, str)


@cache
def tensor_seeds() -> list[bytes]:
    """A small file of tensors, packed as ours are."""
    from safetensors.numpy import save

    packed = {"a": np.ones((2, 3), np.int8), "a:scale": np.ones(2, np.float32), "b": np.ones((4, 2), np.float16)}
    return [save(packed), save({"c": np.zeros((0, 3), np.float32), "d": np.ones((), np.float32)})]


def read_tensors(data: bytes, folder: Path) -> None:
    """Tensors of a graph come out as numbers."""
    from egostream.graph.weights import load_tensors

    written(folder, "heatmap.safetensors", data)
    tensors = load_tensors(msgspec.structs.replace(shipped_weights(), folder=folder), "heatmap")
    assert all(isinstance(value, np.ndarray) for value in tensors.values())


@cache
def topology_seeds() -> list[bytes]:
    """A small graph, laid out as the shipped ones are: tensors elsewhere, and a constant inside."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    from egostream.graph.bind import strip_tensors

    weight = numpy_helper.from_array(np.ones((4, 2), np.float32), "heatmap/b")
    constant = helper.make_node("Constant", [], ["k"], value=numpy_helper.from_array(np.ones(2, np.float32)))
    nodes = [
        helper.make_node("MatMul", ["x", "heatmap/b"], ["y"]),
        constant,
        helper.make_node("Add", ["y", "k"], ["z"]),
    ]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size]) for name, size in (("x", 4), ("z", 2))]
    graph = helper.make_graph(nodes, "heatmap", ports[:1], ports[1:], [weight])
    return [strip_tensors(helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)]))]


def read_topology(data: bytes, folder: Path) -> None:
    """A topology takes its tensors from its own file alone."""
    from egostream.graph.bind import bind_graph

    written(folder, "heatmap.onnx", data)
    written(folder, "heatmap.safetensors", tensor_seeds()[0])
    bind_graph(msgspec.structs.replace(shipped_weights(), folder=folder), "heatmap")


def read_scales(data: bytes, folder: Path) -> None:
    """int8.json holds positive scales of these weights."""
    from egostream.graph.scales import FILE, load_quantization

    written(folder, FILE, data)
    table = load_quantization(msgspec.structs.replace(shipped_weights(), folder=folder))
    assert all(scale > 0 for scales in table.scales.values() for scale in scales.values()) and table.digest


@cache
def scale_seeds() -> list[bytes]:
    """The shipped table, and one without a checksum, of which every change is looked at."""
    from egostream.graph.scales import FILE

    shipped = (shipped_weights().folder / FILE).read_bytes()
    return [shipped, mutations.as_json({**json.loads(shipped), "sha256": ""})]


@cache
def engine_manifest() -> dict:
    """The manifest of an engine of this machine's, whose bytes are ``engine``."""
    from egostream.engine.backends import backend

    runner = backend("openvino")
    ports = {
        "inputs": {"frame": ["uint8", [1, 256, 256, 3]], "motion": ["float32", [1, 384]]},
        "outputs": {"joints": ["float32", [1, 15, 3]], "heatmaps": ["float32", [1, 15, 64, 64]]},
    }
    return {
        "graph": "pose", "backend": "openvino", "backend_version": runner.version(), "device": runner.device(),
        "format": runner.format, "precision": "int8", "temporal": "causal", "window": 32, "batch": 1,
        "weights_id": "0" * 64, "engine_sha256": hashlib.sha256(b"engine").hexdigest(), **ports,
    }  # fmt: skip


def read_engine_manifest(data: bytes, folder: Path) -> None:
    """A manifest is checked against its graph, its engine's bytes and the library that would load them."""
    from egostream.engine.load import check_engine, ports_problem, read_manifest

    engine = written(folder, "engine.blob", b"engine")
    written(folder, "engine.blob.json", data)
    manifest = read_manifest(engine)
    for is_gpu in (False, True):
        assert isinstance(ports_problem(manifest, is_gpu), str)
    check_engine(engine, {"graph": "pose"})


CERTIFICATE = b'metadata\n    name = "a"\ncurve\n    public-key = "%s"\n    secret-key = "%s"\n'


@cache
def certificate_seeds() -> list[bytes]:
    """A pair of CURVE's test keys (RFC 26), and their public half alone."""
    import zmq

    secret = b"JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"
    pair = CERTIFICATE % (zmq.curve_public(secret), secret)
    return [pair, pair[: pair.index(b"    secret")]]


def read_certificate(data: bytes, folder: Path) -> None:
    """Keys are whole, and of one pair."""
    from egostream.publish.curve import load_key

    path = written(folder, "a.key_secret", data)
    path.chmod(0o600)
    public, secret = load_key(path, need_secret=True)
    assert len(public) == 40 and secret is not None


# -- messages and requests --------------------------------------------------------------------------------------------


@cache
def message_seeds() -> list[bytes]:
    """A pose with all that it may have, and a status."""
    from egostream.publish.message import PlacedHead, pack

    head = PlacedHead(position=[0.0, 1.6, 0.0], orientation=[0.0, 0.0, 0.0, 1.0], space="room")
    pose = pose_message(
        joints_world=[[0.0] * 3] * 15, head=head, world="headset", motions=[1, 2], stages_ns={"grab": 5}
    )
    return [pack("pose", pose), pack("status", status_message()), pack("pose", pose_message())]


def status_message() -> object:
    """A status of a run with head poses."""
    from egostream.publish import message

    camera = message.CameraStatus(
        state="streaming", source="0", mode="", fps=30.0, bad_frames=0, note="", calibration="c", size=(640, 480)
    )
    weights = message.WeightsStatus(
        id="w", trained=True, variant="v", temporal="causal", window=32, step_ms=66.7, description=""
    )
    head = message.HeadStatus(state="late", received=1, refused={"axes": 1}, poses_without={"late": 2}, has_mount=True)
    return message.StatusMessage(
        stream="0", t_publish_ns=1, clock_offset_ns=0, skeleton=message.SkeletonStatus(), weights=weights,
        engine=message.EngineStatus(backend="openvino", version="1", device="cpu", precision="fp32"), camera=camera,
        poses=1, fps=30.0, latency_ms={"p50": 9.0}, dropped_frames=0, window_resets=0, restarts={"infer": 0}, head=head,
    )  # fmt: skip


def receive_message(data: bytes, folder: Path) -> None:
    """What a client is handed is a pose or a status, in numbers that it can use."""
    from egostream.publish.client import PoseSubscriber
    from egostream.publish.message import StatusMessage, unpack, unpack_as

    with ours():
        unpack_as(StatusMessage, data)
    with ours():
        assert unpack(data).stream is not None
    subscriber = PoseSubscriber.__new__(PoseSubscriber)  # without its sockets; the next message is this one
    subscriber.last_poses = {}
    subscriber.same_host = True
    subscriber.poses = SimpleNamespace(poll=lambda timeout: 1, recv=lambda: data)
    pose = subscriber.newest(1.0)
    assert pose is not None and np.isfinite(pose.joints).all() and pose.unity().shape == pose.openxr().shape == (15, 3)
    assert pose.joints_world is None or pose.joints_world.shape == (15, 3)
    assert isinstance(pose.age_ns(), int) and isinstance(pose.t_capture_wall_ns, int) and pose.world is not None


@cache
def request_seeds() -> list[bytes]:
    """Requests that a run knows."""
    requests = (
        {"cmd": "status"}, {"cmd": "ping"}, {"cmd": "reset", "stream": "0"}, {"cmd": "stop"},
        {"cmd": "pictures", "stream": "left", "after": 3, "exact": False, "seq": None}, {"cmd": "pictures", "seq": 7},
    )  # fmt: skip
    return [msgspec.msgpack.encode(request) for request in requests]


@cache
def supervisor() -> object:
    """A supervisor of two streams that has started nothing: its answers are what is asked for.

    Boards are as new ones are, and no picture is kept: both without shared memory.
    """
    from egostream.handover.board import StreamBoard
    from egostream.handover.picture_ring import PictureRing
    from egostream.supervise.supervisor import Supervisor

    run = Supervisor.__new__(Supervisor)
    run.names = ["0", "left"]
    run.links = [SimpleNamespace(board=private(StreamBoard), pictures=private(PictureRing)) for _ in run.names]
    run.stop = lambda: None
    return run


def private(kind: type) -> object:
    """A shared record that is shared with nobody."""
    record = kind.__new__(kind)
    record.record = np.zeros((), kind.dtype)
    return record


def answer_request(data: bytes, folder: Path) -> None:
    """A request gets a short answer that the msgpack library can write; none needs the last resort."""
    from egostream.supervise.control import ControlServer

    server = ControlServer.__new__(ControlServer)
    server.answer = supervisor().answer
    answer = server.respond([data, b"more"])
    assert isinstance(answer["ok"], bool) and len(msgspec.msgpack.encode(answer)) < 4096
    assert "cannot be answered" not in answer.get("error", "") or "describe" in str(data), answer


@cache
def answer_seeds() -> list[bytes]:
    """Answers of a run, as its control socket sends them."""
    picture = {"number": 1, "seq": 2, "segment": 0, "t_capture_ns": 3, "format": "jpeg", "data": b"\xff\xd8"}
    answers = {"ok": True, "lost": 0, "pictures": [picture]}, {"ok": False, "error": "no stream"}, {"ok": True}
    return [msgspec.msgpack.encode(answer) for answer in answers]


def ask_run(data: bytes, folder: Path) -> None:
    """Whatever answers a client, it gets pictures whose fields are theirs, or one line."""
    from egostream.publish.control import ControlClient

    client = ControlClient.__new__(ControlClient)
    client.endpoint, client.timeout_s = "tcp://127.0.0.1:1", 1.0
    client.socket = SimpleNamespace(
        send=lambda request: None, poll=lambda timeout: 1, recv=lambda flags: data, close=int
    )
    with ours():
        assert isinstance(client.ask({"cmd": "status"}), dict)
    pictures, lost = client.pictures("0")
    assert isinstance(lost, int)
    for picture in pictures:
        assert type(picture.number) is type(picture.seq) is type(picture.t_capture_ns) is int
        assert isinstance(picture.data, bytes) and isinstance(picture.format, str)


@cache
def head_seeds() -> list[bytes]:
    """Three head poses in a row, with orientation and place, by gravity alone, and by both."""
    from egostream.publish.message import HeadMessage, pack

    poses = {"position": (0.0, 1.6, 0.0), "orientation": (0.0, 0.0, 0.0, 1.0), "space": "room"}
    rows = []
    for kind in (poses, {"gravity": (0.0, -9.8, 0.0)}, {"orientation": (0.0, 0.0, 0.6, 0.8)}):
        messages = [HeadMessage(stream="0", t_ns=HEAD_NS + n * 10_000_000, clock_offset_ns=0, **kind) for n in range(3)]
        rows.append(joined_parts([pack("head", message) for message in messages]))
    return rows


HEAD_NS = 1_000_000_000_000


def take_head_poses(data: bytes, folder: Path) -> None:
    """Head poses are believed or refused by a known reason, and a frame's pose stays finite in the room."""
    from egostream.head import receiver as heads
    from egostream.head.room import Room

    receiver = heads.HeadReceiver.__new__(heads.HeadReceiver)
    receiver.heads = {"0": heads.StreamHead("0", lambda text: None)}
    receiver.socket = SimpleNamespace(recv=no_message)
    room = Room(receiver, receiver.heads["0"], mounted_camera(), lambda text: None)
    for place, message in enumerate(split_parts(data)):
        if message.startswith(b"head/0\0"):  # others do not pass the subscription
            with at_offset(heads):
                receiver.take(message, HEAD_NS + place * 10_000_000)
        placed = room.place(HEAD_NS + place * 9_000_000, np.ones((15, 3)))
        if isinstance(placed.joints_world, list):
            assert np.isfinite(placed.joints_world).all()
        msgspec.msgpack.encode(placed)
    assert set(receiver.heads["0"].refused) <= set(heads.ADVICE)


def no_message(flags: int) -> bytes:
    """What a socket without messages does."""
    import zmq

    raise zmq.Again


@contextlib.contextmanager
def at_offset(module: object) -> Iterator[None]:
    """Context in which this machine's clocks are those of the seeds."""
    before, module.clock_offset_ns = module.clock_offset_ns, lambda: 0
    try:
        yield
    finally:
        module.clock_offset_ns = before


@cache
def mounted_camera() -> object:
    """The canonical camera, in front of the head."""
    import dataclasses

    return dataclasses.replace(canonical_calibration(), T_head_camera=np.eye(4).tolist())


CSV = (
    "t_s,x,y,z,qx,qy,qz,qw\n0.0,0,1.6,0,0,0,0,1\n0.1,0,1.6,0.1,0,0,0.6,0.8\n",
    "t_ns,gx,gy,gz\n5,0,-9.8,0\n9,0,-9.8,1\n",
)


def read_head_file(data: bytes, folder: Path) -> None:
    """A file of head poses gives times that grow, and messages that can be sent."""
    from egostream.head.csv_file import read_head_csv

    rows = read_head_csv(written(folder, "head.csv", data))
    assert rows[0].t_ns == 0 and all(row.t_ns >= 0 for row in rows)


@cache
def osc_seeds() -> list[bytes]:
    """VRChat's datagram, alone and in a bundle."""
    from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
    from pythonosc.osc_message_builder import OscMessageBuilder

    from egostream.head.vrchat import ADDRESS

    message = OscMessageBuilder(ADDRESS)
    for value in (0.0, 1.6, 0.1, 10.0, 20.0, 30.0):
        message.add_arg(value)
    inner, outer = OscBundleBuilder(IMMEDIATELY), OscBundleBuilder(IMMEDIATELY)
    inner.add_content(message.build())
    outer.add_content(inner.build())
    nested = message.build().dgram
    for _ in range(2000):  # 60,000 bytes: a datagram's most
        nested = b"#bundle\0" + b"\0" * 7 + b"\1" + len(nested).to_bytes(4) + nested
    return [message.build().dgram, inner.build().dgram, outer.build().dgram, nested]


def take_osc(data: bytes, folder: Path) -> None:
    """A datagram holds head poses of finite numbers, or none."""
    from egostream.head.vrchat import unity_pose, values_of

    for values in values_of(data):
        pose = unity_pose(values)
        assert np.isfinite(pose.position).all() and np.isfinite(pose.orientation).all()


REQUESTS = (
    b"/",
    b"/socket?token=abc", b"/page.js", b"/?HOST_INFO", b"/tracking/vrsystem/head/pose?VALUE", b"/%00", b"//[",
    b"/a;b=c",
)  # fmt: skip


def ask_page(data: bytes, folder: Path) -> None:
    """A browser's request: path, Host and Origin in three lines. The page's server and VRChat's answer it."""
    from egostream.head.vrchat import handler
    from egostream.view.gate import has_token, is_our_host, is_own_origin
    from egostream.view.server import PageServer

    path, _, rest = data.decode("latin-1").partition("\n")
    host, _, origin = rest.partition("\n")
    headers = SimpleNamespace(get_all=lambda name: [host] if name == "Host" else [origin] if origin else [])
    answer = lambda status, text: (int(status), text)
    server = PageServer.__new__(PageServer)
    server.settings, server.files = SimpleNamespace(host="127.0.0.1"), {"index.html": b"", "page.js": b""}
    request = SimpleNamespace(path=path, headers=headers)
    refusal = server.respond(SimpleNamespace(respond=answer), request)
    assert is_our_host(host, "127.0.0.1") or refusal[0] == 403
    assert refusal is not None or is_own_origin([origin] if origin else [], host)
    assert not has_token(path, "secret-token") or "secret-token" in path or "%" in path
    replies: list[int] = []
    get = handler("127.0.0.1", 9000)
    asked = get.__new__(get)
    asked.path, asked.wfile, asked.send_response = path, io.BytesIO(), replies.append
    asked.send_header, asked.end_headers = lambda name, value: None, lambda: None
    asked.do_GET()
    assert replies[0] in (200, 400, 404)


def page_seeds() -> list[bytes]:
    """Requests of browsers and of others."""
    return [path + b"\n127.0.0.1:5580\nhttp://127.0.0.1:5580" for path in REQUESTS] + [
        b"/\nlocalhost\n",
        b"/\n[::1]:1\n",
    ]


# -- recordings -------------------------------------------------------------------------------------------------------


@cache
def mcap_seeds() -> list[bytes]:
    """Recordings: as they are written, without checksums, and with compressed chunks."""
    import tempfile

    from made_recordings import write_recording

    with tempfile.TemporaryDirectory() as folder:
        write_recording(Path(folder) / "a.mcap", 3)
        data = (Path(folder) / "a.mcap").read_bytes()
    plain = without_checksums(data)
    return [plain, plain, data, compressed(data, "zstd"), compressed(data, "lz4")]


def without_checksums(data: bytes) -> bytes:
    """A recording whose chunks have no checksums, so that damage inside of them is met."""
    changed = bytearray(data)
    for at, opcode, _ in records_of(data):
        if opcode == 6:
            changed[at + 33 : at + 37] = bytes(4)
    return bytes(changed)


def records_of(data: bytes) -> Iterator[tuple[int, int, int]]:
    """An MCAP file's records: where each begins, its opcode, where it ends."""
    at = 8
    while at + 9 <= len(data) - 8:
        end = at + 9 + int.from_bytes(data[at + 1 : at + 9], "little")
        yield at, data[at], end
        at = end


def compressed(data: bytes, kind: str) -> bytes:
    """A recording whose chunks are compressed, without checksums."""
    import lz4.frame
    import zstandard

    squeeze = zstandard.compress if kind == "zstd" else lz4.frame.compress
    pieces = [data[:8]]
    for at, opcode, end in records_of(data):
        record = data[at:end]
        if opcode == 6:
            packed = squeeze(record[49:])
            body = record[9:33] + bytes(4) + len(kind).to_bytes(4, "little") + kind.encode()
            body += len(packed).to_bytes(8, "little") + packed
            record = b"\x06" + len(body).to_bytes(8, "little") + body
        pieces.append(record)
    return b"".join(pieces) + data[-8:]


def read_recording(data: bytes, folder: Path) -> None:
    """A recording is read, played, and sent again, up to where it makes no sense; ``damage`` says where."""
    from egostream.capture.mcap_recording import McapRecording
    from egostream.record.reader import RecordedFrame, RecordedMessage, RecordingReader, read_schedule
    from egostream.replay.messages import moved

    path = written(folder, "a.mcap", data)
    reader = RecordingReader(path)
    for entry in reader.entries():
        if isinstance(entry, RecordedMessage):
            moved(entry.wire, 5_000_000_000 - entry.message.t_publish_ns)
        else:
            assert isinstance(entry, RecordedFrame) and isinstance(entry.picture, bytes)
    with ours():
        if reader.damage:
            raise EgostreamError(reader.damage)  # people read it
    read_schedule(path, "")
    clip = McapRecording(path)
    clip.open()
    times = []
    while clip.look(1):
        times.append((clip.begins_ns(), clip.ends_ns(), clip.next_part()))
        assert clip.read() is not None
    assert times == sorted(times) and clip.fps > 0 and clip.count == len(times)


@cache
def start_seeds() -> list[bytes]:
    """What a recording says at its start: facts, calibration, settings."""
    from made_recordings import about

    stream = about("0", source="0", rotate=90, weights="w", assume_canonical=True)
    start = {"streams": ["0"], "facts": {"egostream": "1", "weights": "w", "layout": "1"}}
    return [json.dumps({**start, "calibration": stream.calibration, "config": stream.config}).encode()]


def damage_start(data: bytes, rng: random.Random) -> bytes:
    """A start of which the facts, the calibration or the settings changed."""
    start = json.loads(data)
    kind = rng.choice(("calibration", "config", "config", "tree"))
    if kind == "tree":
        return mutations.mutated_json(data, rng)
    return json.dumps({**start, kind: mutations.mutated(start[kind], rng).decode(errors="replace")}).encode()


def read_start(data: bytes, folder: Path) -> None:
    """A recording whose start was forged, its checksum right, gives a camera and settings of a run, or one line."""
    from mcap.writer import Writer

    from egostream.record.layout import ABOUT, StreamAbout, calibration_name, config_name, digest
    from egostream.record.reader import RecordingReader
    from egostream.terminal.recorded import settings_of_camera, settings_of_preset, settings_of_replay

    try:
        start = json.loads(data)
        names = [str(name) for name in start["streams"]]
        facts = {str(key): str(value) for key, value in start["facts"].items()} | {"streams": json.dumps(names)}
        streams = [StreamAbout(name, str(start["calibration"]), str(start["config"])) for name in names]
        facts["sha256"] = digest(facts, streams)
        output = io.BytesIO()
        writer = Writer(output)
        writer.start()
        writer.add_metadata(ABOUT, facts)
        for one in streams:
            writer.add_attachment(0, 0, calibration_name(one.name), "", one.calibration.encode())
            writer.add_attachment(0, 0, config_name(one.name), "", one.config.encode())
        writer.finish()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, UnicodeError, msgspec.MsgspecError):
        return  # no start that could be written
    path = written(folder, "a.mcap", output.getvalue())
    stream = RecordingReader(path).about.stream("")
    with ours():
        stream.settings()
    with ours():
        stream.camera()
    for settings in (settings_of_camera, settings_of_replay, settings_of_preset):
        with ours():
            load_config(None, {"source": str(path)}, settings)


texts = lambda *some: lambda: [text.encode() if isinstance(text, str) else text for text in some]
json_seeds = lambda record: lambda: [json.dumps(record()).encode()]

TARGETS: dict[str, Target] = {
    "config": Target(read_config, config_seeds, mutations.mutated_text),
    "cli": Target(parse_words, word_seeds, mutations.mutated_words, 60),
    "source": Target(look_at_source, source_seeds, mutations.mutated_bytes),
    "calibration": Target(read_calibration, calibration_seeds, damage_calibration, 100),
    "truth": Target(read_truth, truth_seeds, damage_truth),
    "stamps": Target(read_stamp_file, stamp_seeds, mutations.mutated_text),
    "avi": Target(read_avi, avi_seeds, mutations.mutated_bytes),
    "picture": Target(decode_picture, picture_seeds, mutations.mutated_bytes, 60),
    "weights": Target(read_weights, json_seeds(weights_record), damage_weights, 60),
    "tensors": Target(read_tensors, tensor_seeds, mutations.mutated_bytes),
    "topology": Target(read_topology, topology_seeds, mutations.mutated_bytes),
    "scales": Target(read_scales, scale_seeds, mutations.mutated_json, 60),
    "manifest": Target(read_engine_manifest, json_seeds(engine_manifest), mutations.mutated_json),
    "certificate": Target(read_certificate, certificate_seeds, mutations.mutated_text),
    "message": Target(receive_message, message_seeds, mutations.mutated_message),
    "request": Target(answer_request, request_seeds, mutations.mutated_msgpack),
    "answer": Target(ask_run, answer_seeds, mutations.mutated_msgpack),
    "head": Target(take_head_poses, head_seeds, mutations.mutated_messages),
    "head-file": Target(read_head_file, texts(*CSV), mutations.mutated_text),
    "osc": Target(take_osc, osc_seeds, mutations.mutated_bytes),
    "page": Target(ask_page, page_seeds, mutations.mutated_bytes),
    "recording": Target(read_recording, mcap_seeds, mutations.mutated_bytes, 60),
    "recording-start": Target(read_start, start_seeds, damage_start, 60),
}
