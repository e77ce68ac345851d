"""A weights folder: tensors (safetensors, one file per graph), topologies (ONNX without tensors) and weights.json.

    weights.json             what the weights are: variant, temporal form, window T, trained step, input geometry, id
    heatmap.safetensors ...  tensors, one file per graph: fp32, or packed: fp16, and int8 beside its "<name>:scale"
    heatmap.onnx ...         topologies: every initialiser names its tensor file and carries no data

``compose.py`` makes other graphs of these four.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from pathlib import Path

import msgspec
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from egostream.calibration.view import InputGeometry
from egostream.errors import EgostreamError, first_line
from egostream.files import read_small, sha256_file, write_folder, write_text
from egostream.graph.built import no_weights_text
from egostream.graph.ports import BODY_FORM, GRAPHS

SCHEMA = 1  # of weights.json
BACKBONES = ("resnet50", "none")  # the first where weights.json names none
#: Names of the validation error in ``metrics``, as the training tools write them.
VALIDATED_BY = ("val_mpjpe_mm", "val_mpjpe")
#: Error from which on weights have learnt nothing, mm. The mean of 30 rendered recordings' joints, as the pose of every
#: frame, is 315 mm off in 30 others, of the camera's own axes.
NOTHING_LEARNT_MM = 300.0
#: Suffix of the name of a packed tensor's scales, one for each index of its first axis.
SCALE = ":scale"
#: Frames that a window may have, and milliseconds between two of them: far beyond any network's, yet numbers that work.
MOST_WINDOW, STEPS_MS = 4096, (1.0, 10_000.0)


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """weights.json, and where it was read from."""

    network: dict  # the NetworkSpec that built it: variant, temporal, window, switches
    step_ms: float  # time between the frames of a window, as trained
    input: InputGeometry
    trained: bool
    id: str = ""  # SHA-256 over the tensor files' and topologies' SHA-256
    description: str = ""
    metrics: dict = {}
    files: dict[str, str] = {}  # file name -> SHA-256
    schema: int = SCHEMA
    folder: Path | None = None

    @property
    def variant(self) -> str:
        """Which network it is, as ``tools/network`` names it."""
        return self.network["variant"]

    @property
    def temporal(self) -> str:
        """The temporal form: ``window`` or ``causal``."""
        return self.network["temporal"]

    @property
    def form(self) -> str:
        """By what the graphs' inputs and outputs are known: the temporal form, or ``BODY_FORM`` without a backbone."""
        return BODY_FORM if self.network.get("backbone") == "none" else self.temporal

    @property
    def graphs(self) -> tuple[str, ...]:
        """The graphs that these weights have, in data-flow order."""
        return graphs_of(self.network)

    @property
    def window(self) -> int:
        """Frames of a window, with the newest: T."""
        return self.network["window"]

    def path(self, name: str) -> Path:
        """One of their files, in the folder that they were read from."""
        assert self.folder is not None, "these weights lie in no folder"
        return self.folder / name

    @property
    def validation_mm(self) -> float:
        """Mean error of the joints on the frames that they were validated on, mm; 0: it is not in weights.json."""
        found = (self.metrics.get(name) for name in VALIDATED_BY)
        return next((float(mm) for mm in found if isinstance(mm, int | float) and 0 < mm < math.inf), 0.0)

    @property
    def has_failed(self) -> bool:
        """Whether they were trained, and are no better than a pose that never moves."""
        return self.trained and self.validation_mm >= NOTHING_LEARNT_MM

    @property
    def step_ns(self) -> int:
        """Time between the frames of a window, as trained, in nanoseconds."""
        return round(self.step_ms * 1e6)


def graphs_of(network: dict) -> tuple[str, ...]:
    """The graphs of a network, in data-flow order: the four, or three of them without a backbone."""
    return tuple(graph for graph in GRAPHS if graph != "backbone" or network.get("backbone") != "none")


def load_weights(folder: Path) -> Weights:
    """Read and check a weights folder.

    Raises EgostreamError when a file is missing, malformed, or is not the one that weights.json names.
    """
    path = Path(folder) / "weights.json"
    if not os.path.isfile(path):  # also false of names that are too long
        raise EgostreamError(no_weights_text(Path(folder)))
    try:
        weights = msgspec.json.decode(read_small(path), type=Weights)
        problem = record_problem(weights)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OSError) as error:
        raise EgostreamError(
            f"{path} is malformed: {first_line(error)}. Make the folder again from its checkpoint"
        ) from None
    if weights.schema != SCHEMA:
        raise EgostreamError(
            f"{path} has schema {weights.schema}, this egostream reads {SCHEMA}. Make the folder again"
        )
    if problem:
        raise EgostreamError(f"{path} is malformed: {problem}. Make the folder again from its checkpoint")
    for name, expected in weights.files.items():
        check_file(path.parent / name, expected)
    return msgspec.structs.replace(weights, folder=path.parent)


def record_problem(weights: Weights) -> str:
    """What is wrong with a weights.json, in words; empty when nothing is."""
    network = weights.network
    wanted = {f"{graph}.{suffix}" for graph in graphs_of(network) for suffix in ("safetensors", "onnx")}
    if missing := wanted - set(weights.files):
        return f"files lacks {min(missing)}"
    if odd := [name for name in weights.files if not is_file_name(name)]:
        return f"files names {odd[0][:80]!r}, which is no file of this folder"
    if weights.id != folder_id(weights.files):
        return "id is not the SHA-256 over its files"
    if network.get("temporal") not in ("window", "causal") or not isinstance(network.get("variant"), str):
        return f"network names no known form: {repr(network)[:200]}"
    if network.get("backbone", "resnet50") not in BACKBONES:
        return f"network.backbone is {repr(network['backbone'])[:80]}"
    if type(network.get("window")) is not int or not 2 <= network["window"] <= MOST_WINDOW:
        return f"network.window is {repr(network.get('window'))[:80]}"
    return "" if STEPS_MS[0] <= weights.step_ms <= STEPS_MS[1] else f"step_ms is {weights.step_ms}"


def is_file_name(name: str) -> bool:
    """Whether a name is that of a file in a folder: no path, and nothing that a system or terminal may choke on."""
    return name.isprintable() and 0 < len(name.encode()) <= 255 and not set(name) & set("/\\")


def folder_id(files: dict[str, str]) -> str:
    """The id of weights: SHA-256 over file names and their SHA-256. files: file name -> SHA-256."""
    return hashlib.sha256("".join(f"{name} {value}\n" for name, value in sorted(files.items())).encode()).hexdigest()


def check_file(path: Path, expected: str) -> None:
    """Raise EgostreamError unless ``path`` holds exactly the bytes whose SHA-256 was recorded for it."""
    if not path.is_file():
        raise EgostreamError(f"{path} is missing though its folder lists it. Copy or make the folder again")
    if (found := sha256_file(path)) != expected:
        raise EgostreamError(
            f"{path} has changed since it was made (SHA-256 {found[:12]}, recorded {expected[:12]}). "
            "Make the folder again"
        )


def load_tensors(weights: Weights, graph: str) -> dict[str, np.ndarray]:
    """All tensors of one graph by name, unpacked to fp32. ``weights`` must have been loaded or saved.

    Raises EgostreamError when the file cannot be read.
    """
    path = weights.path(f"{graph}.safetensors")
    try:
        with safe_open(path, "numpy") as file:
            stored = {key: file.get_tensor(key) for key in file.keys()}
    except (OSError, SafetensorError, ValueError, TypeError, MemoryError) as error:
        raise EgostreamError(f"{path} cannot be read: {first_line(error)}. Make the weights folder again") from None
    return {key: unpack(stored, key) for key in stored if not key.endswith(SCALE)}


def unpack(stored: dict[str, np.ndarray], key: str) -> np.ndarray:
    """One tensor as it is computed with: int8 times its scales, fp16 widened, anything else as it is."""
    value = stored[key]
    if value.dtype == np.int8 and key + SCALE in stored:
        scale = stored[key + SCALE].astype(np.float32)
        return value * scale.reshape(-1, *[1] * (value.ndim - 1))
    return value.astype(np.float32) if value.dtype == np.float16 else value


def save_weights(
    folder: Path, weights: Weights, tensors: dict[str, dict[str, np.ndarray]], topologies: dict[str, bytes]
) -> Weights:
    """Write a weights folder, whole or not at all, and return what ``load_weights`` will return.

    tensors: graph -> name -> array. topologies: graph -> bytes of its ONNX file. The id and the files' SHA-256 of
    ``weights`` are computed here. Raises EgostreamError when the disk is full or the folder holds something else.
    """

    def fill(staging: Path) -> None:
        for graph, named in tensors.items():
            data = save({key: np.ascontiguousarray(value) for key, value in named.items()})
            (staging / f"{graph}.safetensors").write_bytes(data)  # not its own writer: a full disk must be an OSError
        for graph, model in topologies.items():
            (staging / f"{graph}.onnx").write_bytes(model)
        files = {path.name: sha256_file(path) for path in sorted(staging.iterdir())}
        record = msgspec.structs.replace(weights, id=folder_id(files), files=files, folder=None)
        write_text(staging / "weights.json", json.dumps(msgspec.to_builtins(record), indent=2) + "\n")

    write_folder(folder, {".json", ".safetensors", ".onnx"}, fill)
    return load_weights(folder)
