"""What would fail later is refused at once, in a line."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from egostream.calibration.camera import Calibration
from egostream.calibration.file import as_json, load_calibration
from egostream.calibration.reach import check_reach
from egostream.calibration.view import CameraView
from egostream.errors import EgostreamError
from egostream.graph.default_weights import default_weights
from egostream.graph.weights import Weights, load_weights
from egostream.locks import lock
from tools.adapting.options import AdaptOptions
from tools.adapting.plan import PEOPLE_FRAMES, Plan
from tools.adapting.said import Teller

PACKAGES = ("torch", "torchvision", "lightning", "tensorboard", "onnxscript", "moderngl", "scipy", "onnxruntime")
INSTALL = "pip install -e '.[train,onnxruntime]' (without a GPU, see first: docs/training.md, Install)"
#: What is kept of a run but its pictures (a trial: 0.8 GiB), and of each picture with its cached features.
FIXED_BYTES, FRAME_BYTES = 2 * 2**30, 40_000


def check_packages() -> None:
    """Raise EgostreamError where a package is missing that a part needs."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise EgostreamError(f"{', '.join(missing)}: not installed. Install what training needs: {INSTALL}")


def read_camera(options: AdaptOptions, weights: Weights, teller: Teller) -> Calibration:
    """The camera; what is known against it is said. Raises EgostreamError for a broken file, or too narrow a lens."""
    camera = load_calibration(options.calibration)
    for line in check_reach(CameraView(weights.input, camera), is_forced=False):
        teller.say(f"WARNING: calibration {camera.name}: {line}")
    return camera


def read_weights(options: AdaptOptions) -> Weights:
    """The weights to start from. Raises EgostreamError for those that no part can go on from."""
    weights = load_weights(options.weights) if options.weights else default_weights()
    if not weights.trained:
        raise EgostreamError(f"weights {weights.folder} are untrained. Name trained ones: --weights FOLDER")
    if weights.variant != "paper" or weights.input.calibration != "canonical":
        raise EgostreamError(
            f"weights {weights.folder} are of the {weights.variant} variant and {weights.input.calibration} camera; "
            "only the paper's variant and the canonical camera can be adapted. Name others: --weights FOLDER"
        )
    return weights


def check_files(options: AdaptOptions) -> None:
    """Raise EgostreamError for a file or folder that is named and not there."""
    for flag, path in (("--body", options.body), ("--clip", options.clip), *(("--motion", p) for p in options.motion)):
        if path and not path.exists():
            raise EgostreamError(f"{flag} {path} is not there. Name another, or leave it out")
    if options.clip:
        from egostream.capture.clips import ImageFolder, Video

        with_frames = ImageFolder(options.clip) if options.clip.is_dir() else Video(options.clip)
        with_frames.open()
        with_frames.close()


@contextlib.contextmanager
def claimed(out: Path) -> Iterator[int | None]:
    """Context that makes the out folder and keeps others from it: by a descriptor, None on systems without locks.

    Whoever inherits the descriptor keeps others from it, too. Raises EgostreamError where the folder cannot be made or
    written, or another run is at work on it.
    """
    make_folder(out)
    claim = lock(out)
    if claim is None and importlib.util.find_spec("fcntl"):
        raise EgostreamError(f"another adapt.py is at work on {out}, or still ending. Wait for it, or end it")
    try:
        yield claim
    finally:
        if claim is not None:
            os.close(claim)


def make_folder(out: Path) -> None:
    """Make the out folder. Raises EgostreamError where it cannot be made, or nothing can be written to it."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / f".{os.getpid()}.probe"
        probe.write_bytes(b"-")
        probe.unlink()
    except OSError as error:
        raise EgostreamError(f"cannot write --out {out}: {error.strerror}. Choose another --out") from None


def check_space(out: Path, plan: Plan | None = None) -> None:
    """Raise EgostreamError where the disk has no room for what will be made; without a plan, for the least."""
    frames = 0
    if plan:
        frames = (plan.people + plan.people_val) * PEOPLE_FRAMES
        frames += (plan.clips + plan.clips_val + plan.judged) * plan.clip_frames
    made = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) if out.is_dir() else 0
    needed = max(0, FIXED_BYTES + frames * FRAME_BYTES - made)
    there = next(folder for folder in (out, *out.parents) if folder.is_dir())
    if (free := shutil.disk_usage(there).free) < needed:
        raise EgostreamError(
            f"--out {out}: {needed / 2**30:.1f} GiB are needed, {free / 2**30:.1f} GiB are free. "
            "Free some, or choose another --out"
        )


def told_of(options: AdaptOptions, camera: Calibration, weights: Weights) -> dict[str, object]:
    """What a folder is of: see ``AdaptOptions.told``; the camera by its numbers, the weights by their id."""
    numbers = json.loads(as_json(camera))
    numbers.pop("name", None)
    digest = hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()[:16]
    return {"calibration": digest, "weights": weights.id} | options.told()
