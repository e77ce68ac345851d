"""Calibration files: our own JSON (calib/README.md), and the layouts met in public datasets."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egostream.calibration.fields import image_size
from egostream.calibration.kannala_brandt import parse_kannala_brandt
from egostream.calibration.lens import Lens
from egostream.calibration.ocam import parse_dataset_ocam, parse_event_ocam, parse_ocam
from egostream.calibration.pinhole import parse_pinhole
from egostream.errors import EgostreamError
from egostream.files import asset

HINT = "See calib/README.md for the fields"

#: Lens models of our own layout: the field ``model`` -> what reads its other fields. A new model is a line here.
MODELS: dict[str, Callable[[dict[str, Any]], Lens]] = {
    "ocam": parse_ocam,
    "kannala_brandt": parse_kannala_brandt,
    "pinhole": parse_pinhole,
}


@dataclass(frozen=True)
class Calibration:
    """A camera: the size of its frames in pixels, and its lens."""

    name: str
    size: tuple[int, int]  # width, height
    lens: Lens


def load_calibration(path: Path | str) -> Calibration:
    """Read a calibration file of any known layout. Raises EgostreamError when it is malformed or inconsistent."""
    path = Path(path)
    data = read_json(path)
    try:
        calibration = parse_calibration(data, path.stem)
    except KeyError as error:
        raise EgostreamError(f"calibration {path} lacks the field {error.args[0]}. {HINT}") from None
    except (TypeError, ValueError, IndexError, OverflowError) as error:
        raise EgostreamError(f"calibration {path} is malformed: {error}. {HINT}") from None
    if problem := calibration.lens.problem(calibration.size):
        raise EgostreamError(f"calibration {path}: {problem}. Calibrate again: see calib/README.md")
    return calibration


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a calibration file. Raises EgostreamError when there is none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EgostreamError(
            f"no calibration file {path}. Make one (calib/README.md), or try --assume-canonical"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise EgostreamError(f"calibration {path} is not readable JSON: {error}. {HINT}") from None
    if not isinstance(data, dict):
        raise EgostreamError(f"calibration {path} is not a JSON object. {HINT}")
    return data


def canonical_calibration(name: str = "canonical") -> Calibration:
    """A calibration shipped in calib/ by name: the camera that weights were trained for."""
    return load_calibration(asset("calib", f"{name}.json"))


def parse_calibration(data: dict[str, Any], fallback_name: str) -> Calibration:
    """The calibration in a file's JSON object, told by its fields which layout it has. Raises KeyError or ValueError.

    fallback_name: for a file that names no camera.
    """
    name = str(data.get("name", fallback_name))
    if "model" in data:
        return Calibration(name, image_size(data["size"]), parse_lens(data))
    if "polynomialC2W" in data:
        return Calibration(name, image_size(data["size"]), parse_dataset_ocam(data))
    if "invpol" in data:
        return Calibration(name, image_size([data["width"], data["height"]]), parse_event_ocam(data))
    raise KeyError("model")


def parse_lens(data: dict[str, Any]) -> Lens:
    """The lens of our own layout. Raises KeyError or ValueError."""
    model = data["model"]
    parse = MODELS.get(str(model))
    if parse is None:
        raise ValueError(f"model {model!r} is unknown; known: {', '.join(MODELS)}")
    return parse(data)


def same_camera(a: Calibration, b: Calibration) -> bool:
    """Whether both calibrations are of one camera: frames of one size through the same lens, whatever the names."""
    return a.size == b.size and a.lens == b.lens
