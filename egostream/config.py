"""The settings of ``egostream run``: one frozen object, filled by defaults, then a TOML file, then flags."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from egostream.errors import EgostreamError, first_line
from egostream.files import read_small, runtime_folder

PACES = ("live", "every-frame", "max-rate")
TEMPORALS = ("auto", "window", "causal")
MOTIONS = ("auto", "every-frame", "trained-step")
FILTERS = ("auto", "off", "one-euro")
#: Degrees that a camera's picture can be turned by.
ROTATIONS = (0, 90, 180, 270)
STATURES = 0.5, 2.6  # metres, of anyone who wears a headset


#: Where a run is controlled: a Unix socket that only its user can open. ZeroMQ's wheels have none on Windows.
DEFAULT_CONTROL = "tcp://127.0.0.1:5571" if sys.platform == "win32" else f"ipc://{runtime_folder() / 'control'}"


class Preset(NamedTuple):
    """What ``auto`` stands for: of each list, the first that the backend and the weights have."""

    precisions: tuple[str, ...]  # on a processor
    gpu_precisions: tuple[str, ...]
    temporals: tuple[str, ...]
    motion: str  # on a processor; a GPU has the time for every frame
    filter: str


#: int8 on a GPU is not measured yet, and has to be named; so has that of a backend where it does not pay.
PRESETS = {
    "performance": Preset(("int8", "bf16", "fp32"), ("fp16", "fp32"), ("causal", "window"), "trained-step", "off"),
    "balanced": Preset(("int8", "bf16", "fp32"), ("fp16", "fp32"), ("causal", "window"), "trained-step", "one-euro"),
    "accuracy": Preset(("fp32",), ("fp32",), ("window", "causal"), "every-frame", "one-euro"),
}
#: Bytes of a stream's name: it is part of topics, of which a client may send so much (``publisher.MAX_SUBSCRIPTION``).
LONGEST_NAME = 200
#: Bytes of a configuration; one of 32 streams has 20 kB.
LARGEST_FILE = 1 << 20
#: Cameras that one run serves: as many as an engine takes at once.
MAX_STREAMS = 32


class StreamConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One of several streams: what differs from the settings of the run. None: as the run says."""

    source: str | None = None
    stream: str | None = None  # by default its number, counted from 0
    calibration: str | None = None
    assume_canonical: bool | None = None
    rotate: int | None = None
    flip: bool | None = None
    pace: str | None = None
    loop: bool | None = None
    fps: float | None = None
    width: int | None = None
    height: int | None = None
    stature: float | None = None


class RunConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All settings of a run, each with its unit and what turns it off."""

    # What to watch
    source: str = "sample"  # camera index, device path, video, image folder, stream URL, or "sample"
    calibration: str = ""  # calibration JSON of the camera; empty: none given
    assume_canonical: bool = False  # treat the frames as the canonical camera's; off: refuse without a calibration
    rotate: int = 0  # degrees clockwise that turn the picture upright, the body at its bottom: 0, 90, 180, 270
    flip: bool = False  # the picture comes mirrored: undo it, before it is turned
    force: bool = False  # take a camera that covers less than a third of the network's view; off: refuse it
    pace: str = "live"  # recordings: live, every-frame or max-rate
    loop: bool = False  # recordings: start again at the end
    fps: float = 0.0  # wanted camera rate, or rate of a recording; 0: the camera's or file's own (folders: 30)
    width: int = 0  # wanted camera resolution in pixels; 0: the calibration's
    height: int = 0
    # What to run
    weights: str = ""  # weights folder, or what tools/build_engine.py made of one; empty: the default weights
    engines: str = ""  # folder made by tools/build_engine.py; empty: the cache, compiled at first use
    backend: str = "auto"  # tensorrt, openvino, onnxruntime; auto: the first of them that can run here
    preset: str = "balanced"  # performance, balanced or accuracy: what auto means for the three below and filter
    precision: str = "auto"  # int8, fp16, bf16, fp32; auto: as the preset says
    temporal: str = "auto"  # window or causal; auto: that of --weights, or of the shipped ones as the preset says
    motion: str = "auto"  # every-frame, or trained-step: poses do not wait for it; auto: as the preset says
    rays: bool = True  # turn joints to the rays of their keypoints, as far as these are sure
    stature: float = 0.0  # the wearer's, in metres: scales the pose; 0: unknown, everybody comes out of mean size
    filter: str = "auto"  # off or one-euro: smooths the joints; auto: as the preset says
    filter_cutoff_hz: float = 4.0  # of a joint that rests; lower is steadier
    filter_beta: float = 6.0  # Hz more for each metre per second; higher follows faster
    threads: int = 0  # processor threads for the network; 0: the backend's choice
    # Where to publish
    stream: str = "0"  # name of this stream in topics: pose/<stream>, status/<stream>
    publish: str = "tcp://127.0.0.1:5570"  # ZeroMQ endpoint of poses and status
    head: str = ""  # ZeroMQ endpoint where head poses are received, tcp://127.0.0.1:5572 by custom; empty: none
    control: str = DEFAULT_CONTROL  # ZeroMQ endpoint of control requests: this user's, or on loopback; empty: none
    server_key: str = ""  # CURVE secret certificate (egostream keys); empty: no encryption
    client_keys: str = ""  # folder of CURVE public certificates that may connect; empty: anyone with the server's
    insecure: bool = False  # allow a non-loopback endpoint without CURVE
    # What to start beside it
    bridge: tuple[str, ...] = ()  # vmc, vrchat, vmt, websocket, lsl; each also with =HOST:PORT
    record: str = ""  # MCAP file to record into, from the first pose on; empty: none
    metrics: str = ""  # HOST:PORT where figures for Prometheus are served, 127.0.0.1:9570 by custom; empty: none
    view: bool = False  # the page that shows the run (egostream view); off: none
    view_port: int = 5580  # where it is served on 127.0.0.1; 0: any port that is free
    # When to stop
    seconds: float = 0.0  # stop after this long; 0: run until told
    # Several cameras at once: one [[streams]] table each; what a table leaves out is as above
    streams: tuple[StreamConfig, ...] = ()
    batch_wait_ms: float = (
        1.0  # several cameras: how long a fresh frame waits for others that are about to come, to be run with them
    )


def stream_configs(config: RunConfig) -> list[RunConfig]:
    """The settings of each stream, as those of a run that has it alone."""
    if not config.streams:
        return [config]
    return [
        msgspec.structs.replace(config, streams=(), **{"stream": str(number), **msgspec.to_builtins(stream)})
        for number, stream in enumerate(config.streams)
    ]


def stream_flags(
    sources: Sequence[str],
    names: Sequence[str],
    calibrations: Sequence[str],
    statures: Sequence[float] = (),
    rotations: Sequence[int] = (),
) -> dict[str, Any]:
    """Settings from options that may be repeated, once per camera.

    Raises EgostreamError when their numbers do not fit.
    """
    single: dict[str, Sequence] = {
        "source": sources,
        "stream": names,
        "calibration": calibrations,
        "stature": statures,
        "rotate": rotations,
    }
    if all(len(values) < 2 for values in single.values()):
        return {key: values[0] for key, values in single.items() if values}
    common = 0, 1, len(sources)
    for key, values, fits in (
        ("stream", names, (0, len(sources))),
        ("calibration", calibrations, common),
        ("stature", statures, common),
        ("rotate", rotations, common),
    ):
        if len(values) not in fits:
            raise EgostreamError(
                f"{len(sources)} cameras and {len(values)} times --{key}: give one for each camera, in their order"
            )
    flags = {key: single[key][0] for key in ("calibration", "stature", "rotate") if len(single[key]) == 1}
    each = {key: values for key, values in single.items() if len(values) == len(sources)}
    return flags | {"streams": [dict(zip(each, row)) for row in zip(*each.values())]}


def load_config(
    path: Path | None, flags: dict[str, Any], beneath: Callable[[str], dict[str, Any]] = lambda source: {}
) -> RunConfig:
    """Defaults, then the file, then the flags that were given (not None). Validated once, here.

    beneath: the settings of a source's own, which count where neither the file nor a flag says otherwise.
    Raises EgostreamError naming the file and the key.
    """
    values = read_toml(path) if path is not None else {}
    given = {key: value for key, value in flags.items() if value is not None}
    if isinstance(values.get("streams"), list) and "streams" not in given:
        values["streams"] = [overridden(stream, given, path) for stream in values["streams"]]
    try:
        config = msgspec.convert(over(beneath, {**values, **given}), RunConfig)
    except msgspec.ValidationError as error:
        where = f"config {path}" if path else "settings"
        raise EgostreamError(f"{where}: {first_line(error)}. All keys: egostream run --print-config") from None
    check(config)
    return config


def over(beneath: Callable[[str], dict[str, Any]], values: dict[str, Any]) -> dict[str, Any]:
    """Settings over those of their sources' own. A stream's own are for it alone, the rest is by the first stream."""
    default, streams = values.get("source", RunConfig().source), values.get("streams") or []
    if not isinstance(streams, list | tuple) or not all(isinstance(stream, dict) for stream in streams):
        return values
    if not streams:
        return {**beneath(str(default)), **values}
    sources = [str(stream.get("source", default)) for stream in streams]
    own = set(StreamConfig.__struct_fields__)
    filled = [
        {key: value for key, value in beneath(source).items() if key in own and key not in values} | stream
        for source, stream in zip(sources, streams)
    ]
    common = {key: value for key, value in beneath(sources[0]).items() if key not in own}
    return {**common, **values, "streams": filled}


def read_toml(path: Path) -> dict[str, Any]:
    """The settings in a file, not yet checked. Raises EgostreamError when it cannot be read."""
    try:
        return tomllib.loads(read_small(Path(path), LARGEST_FILE).decode("utf-8").replace("\r\n", "\n"))
    except FileNotFoundError:
        raise EgostreamError(f"no config file {path}. Print one to start from: egostream run --print-config") from None
    except RecursionError:
        raise EgostreamError(f"config {path} is not readable TOML: it is nested too deeply") from None
    except (OSError, ValueError) as error:  # also TOML's and UTF-8's own, and numbers that Python refuses to read
        raise EgostreamError(f"config {path} is not readable TOML: {first_line(error)}") from None


def overridden(stream: dict, given: dict, path: Path | None) -> dict:
    """A [[streams]] table without what a flag gives for all.

    Raises EgostreamError for a flag that can only mean one stream.
    """
    for key in ("source", "stream"):
        if key in given:
            raise EgostreamError(
                f"--{key} {given[key]}: config {path} has [[streams]], which one is meant? "
                "Change it there, or leave --config out"
            )
    return {key: value for key, value in stream.items() if key not in given} if isinstance(stream, dict) else stream


def check(config: RunConfig) -> None:
    """Raise EgostreamError for values that no run could use."""
    for key, value in msgspec.structs.asdict(config).items():
        if isinstance(value, str) and "\0" in value and key != "stream":
            raise EgostreamError(f"{key} is {value!r}: no name and no address has a zero byte")
    choices = (("pace", PACES), ("temporal", TEMPORALS), ("preset", PRESETS), ("motion", MOTIONS), ("filter", FILTERS))
    for key, known in choices:
        if (value := getattr(config, key)) not in known:
            raise EgostreamError(f"{key} is {value!r}; choose one of {', '.join(known)}")
    for key in ("fps", "width", "height", "threads", "seconds", "batch_wait_ms", "filter_beta"):
        if not 0 <= (value := getattr(config, key)) < 1e9:  # also refuses NaN
            raise EgostreamError(f"{key} is {value}; it must be 0 (off) or positive")
    if not 0 <= config.view_port < 65536:
        raise EgostreamError(f"view_port is {config.view_port}; 1 to 65535 is possible, and 0 for any that is free")
    if not 0 < config.filter_cutoff_hz < 1e9:
        raise EgostreamError(
            f"filter_cutoff_hz is {config.filter_cutoff_hz}; it must be positive. To smooth nothing: --filter off"
        )
    if config.rotate not in ROTATIONS:
        raise EgostreamError(
            f"rotate is {config.rotate}; give the degrees clockwise that turn the camera's picture upright: "
            f"one of {', '.join(map(str, ROTATIONS))}"
        )
    if config.stature and not STATURES[0] <= config.stature <= STATURES[1]:
        raise EgostreamError(
            f"stature is {config.stature:g}; give metres, from {STATURES[0]} to {STATURES[1]}, or 0 when it is unknown"
        )
    name = config.stream
    if not (name and name.isprintable() and len(name.encode()) <= LONGEST_NAME) or "/" in name or " " in name:
        raise EgostreamError(
            f"stream is {name[:LONGEST_NAME]!r}; a printable name without spaces or slashes is needed, of up to "
            f"{LONGEST_NAME} bytes"
        )
    if config.streams:
        check_streams(config)


def check_streams(config: RunConfig) -> None:
    """Raise EgostreamError for streams that one run cannot serve together."""
    if len(config.streams) > MAX_STREAMS:
        raise EgostreamError(
            f"{len(config.streams)} streams; one run serves up to {MAX_STREAMS}. Start a second: --publish, --control"
        )
    names = set()
    for stream in stream_configs(config):
        check(stream)
        if stream.stream in names:
            raise EgostreamError(f"two streams are named {stream.stream!r}: each needs a topic of its own")
        names.add(stream.stream)


def as_toml(config: RunConfig) -> str:
    """The settings as TOML that ``load_config`` reads back."""
    values = msgspec.to_builtins(config)
    streams = values.pop("streams")
    return toml_lines(values) + "".join(f"\n[[streams]]\n{toml_lines(stream)}" for stream in streams)


def toml_lines(values: dict) -> str:
    """Settings as TOML, one a line."""
    texts = {
        key: str(value).lower() if isinstance(value, bool) else msgspec.json.encode(shown(value)).decode()
        for key, value in values.items()
    }
    return "".join(f"{key} = {text}\n" for key, text in texts.items())


def shown(value: Any) -> Any:
    """A setting as TOML can hold it: names of files need not be UTF-8, and have a question mark for what is not."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    return [shown(one) for one in value] if isinstance(value, list | tuple) else value


def filter_name(config: RunConfig) -> str:
    """The filter of a run: named, or the preset's."""
    return PRESETS[config.preset].filter if config.filter == "auto" else config.filter
