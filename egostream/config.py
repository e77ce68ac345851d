"""The settings of ``egostream run``: one frozen object, filled by defaults, then a TOML file, then flags."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec

from egostream.errors import EgostreamError

PACES = ("live", "every-frame", "max-rate")
TEMPORALS = ("auto", "window", "causal")
#: preset -> precisions, best first; the first that the backend and the weights have is used.
PRESETS = {"performance": ("int8", "bf16", "fp32"), "balanced": ("bf16", "fp32"), "accuracy": ("fp32",)}


class RunConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    # What to watch
    source: str = "sample"  # camera index, device path, video, image folder, stream URL, or "sample"
    calibration: str = ""  # calibration JSON of the camera; empty: none given
    assume_canonical: bool = False  # treat the frames as the canonical camera's; off: refuse without a calibration
    pace: str = "live"  # recordings: live, every-frame or max-rate
    loop: bool = False  # recordings: start again at the end
    fps: float = 0.0  # wanted camera rate, or rate of a recording; 0: the camera's or file's own (folders: 30)
    width: int = 0  # wanted camera resolution in pixels; 0: the calibration's
    height: int = 0
    # What to run
    weights: str = ""  # weights folder; empty: the default weights
    engines: str = ""  # folder made by tools/build_engine.py; empty: the cache, compiled at first use
    backend: str = "auto"  # openvino, onnxruntime; auto: the first installed
    preset: str = "balanced"  # performance, balanced or accuracy: which precision auto is
    precision: str = "auto"  # int8, bf16, fp32; auto: as the preset says
    temporal: str = "auto"  # window or causal; auto: what the weights were trained for
    threads: int = 0  # processor threads for the network; 0: the backend's choice
    # Where to publish
    stream: str = "0"  # name of this stream in topics: pose/<stream>, status/<stream>
    publish: str = "tcp://127.0.0.1:5570"  # ZeroMQ endpoint of poses and status
    control: str = "tcp://127.0.0.1:5571"  # ZeroMQ endpoint of control requests, loopback only; empty: none
    server_key: str = ""  # CURVE secret certificate (egostream keys); empty: no encryption
    client_keys: str = ""  # folder of CURVE public certificates that may connect; empty: anyone with the server's
    insecure: bool = False  # allow a non-loopback endpoint without CURVE
    # When to stop
    seconds: float = 0.0  # stop after this long; 0: run until told


def without_password(source: str) -> str:
    """A source for showing and publishing: a stream URL's user and password are nobody's business."""
    return re.sub(r"://[^/]*@", "://***@", source)


def load_config(path: Path | None, flags: dict) -> RunConfig:
    """Defaults, then the file, then the flags that were given (not None). Validated once, here.

    Raises EgostreamError naming the file and the key.
    """
    values: dict = {}
    if path is not None:
        try:
            values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise EgostreamError(f"no config file {path}. Print one to start from: egostream run --print-config") from None
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise EgostreamError(f"config {path} is not readable TOML: {error}") from None
    given = {key: value for key, value in flags.items() if value is not None}
    try:
        config = msgspec.convert({**values, **given}, RunConfig)
    except msgspec.ValidationError as error:
        where = f"config {path}" if path else "settings"
        raise EgostreamError(f"{where}: {error}. All keys: egostream run --print-config") from None
    check(config)
    return config


def check(config: RunConfig) -> None:
    """Raise EgostreamError for values that no run could use."""
    choices = (("pace", PACES), ("temporal", TEMPORALS), ("preset", PRESETS))
    for key, known in choices:
        if (value := getattr(config, key)) not in known:
            raise EgostreamError(f"{key} is {value!r}; choose one of {', '.join(known)}")
    for key in ("fps", "width", "height", "threads", "seconds"):
        if not 0 <= (value := getattr(config, key)) < 1e9:  # also refuses NaN
            raise EgostreamError(f"{key} is {value}; it must be 0 (off) or positive")
    if not config.stream or any(c in config.stream for c in "\0/ "):
        raise EgostreamError(f"stream is {config.stream!r}; a name without spaces or slashes is needed")


def as_toml(config: RunConfig) -> str:
    """The settings as TOML that ``load_config`` reads back."""
    lines = []
    for key, value in msgspec.to_builtins(config).items():
        text = str(value).lower() if isinstance(value, bool) else msgspec.json.encode(value).decode()
        lines.append(f"{key} = {text}")
    return "\n".join(lines) + "\n"
