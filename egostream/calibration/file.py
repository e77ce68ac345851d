"""Calibration files: our own JSON (calib/README.md), and the layouts met in public datasets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from egostream.calibration.kannala_brandt import KannalaBrandtLens
from egostream.calibration.lens import Lens
from egostream.calibration.ocam import OcamLens
from egostream.calibration.pinhole import PinholeLens
from egostream.errors import EgostreamError
from egostream.files import asset

HINT = "See calib/README.md for the fields"


@dataclass(frozen=True)
class Calibration:
    """A camera: image size in pixels and its lens."""

    name: str
    size: tuple[int, int]  # width, height
    lens: Lens


def load_calibration(path: Path | str) -> Calibration:
    """Read a calibration file of any known layout. Raises EgostreamError when it is malformed or inconsistent."""
    path = Path(path)
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
    try:
        calibration = parse(data, path.stem)
    except KeyError as error:
        raise EgostreamError(f"calibration {path} lacks the field {error.args[0]}. {HINT}") from None
    except (TypeError, ValueError, IndexError, OverflowError) as error:
        raise EgostreamError(f"calibration {path} is malformed: {error}. {HINT}") from None
    check_lens(calibration.lens, calibration.size, f"calibration {path}")
    return calibration


def canonical_calibration(name: str = "canonical") -> Calibration:
    """A calibration shipped in calib/ by name: the lens that weights were trained for."""
    return load_calibration(asset("calib", f"{name}.json"))


def parse(data: dict[str, Any], fallback_name: str) -> Calibration:
    name = str(data.get("name", fallback_name))
    if "model" in data:
        return Calibration(name, image_size(data["size"]), parse_lens(data))
    if "polynomialC2W" in data:
        return Calibration(name, image_size(data["size"]), parse_dataset_ocam(data))
    if "invpol" in data:
        return Calibration(name, image_size([data["width"], data["height"]]), parse_event_ocam(data))
    raise KeyError("model")


def parse_lens(data: dict) -> Lens:
    """Our own layout."""
    model = data["model"]
    if model == "ocam":
        cx, cy = numbers(data["center"], 2)
        return OcamLens(cx, cy, polynomial(data["polynomial_w2c"]), polynomial(data["polynomial_c2w"]))
    if model in ("kannala_brandt", "pinhole"):
        (fx, fy), (cx, cy) = numbers(data["focal"], 2), numbers(data["center"], 2)
        if min(fx, fy) <= 0:
            raise ValueError(f"focal must be positive, got {data['focal']}")
        if model == "kannala_brandt":
            return KannalaBrandtLens(fx, fy, cx, cy, numbers(data["k"], 4))
        distortion = numbers(data.get("distortion", []))
        if len(distortion) not in (0, 4, 5, 8):
            raise ValueError(f"distortion has {len(distortion)} numbers, OpenCV takes 0, 4, 5 or 8")
        return PinholeLens(fx, fy, cx, cy, distortion)
    raise ValueError(f"model {model!r} is unknown; known: ocam, kannala_brandt, pinhole")


def parse_dataset_ocam(data: dict) -> OcamLens:
    """EgoPW, SceneEgo and kin: centre in the intrinsic matrix or ``image_center``; the other fields have no reader."""
    if "image_center" in data:
        cx, cy = numbers(data["image_center"], 2)
    else:
        cx, cy = (float(data["intrinsic"][row][2]) for row in (0, 1))
    return OcamLens(cx, cy, polynomial(data["polynomialW2C"]), polynomial(data["polynomialC2W"]))


def parse_event_ocam(data: dict) -> OcamLens:
    """EventEgo3D: t = atan(+Z/n) and z forward, so odd terms of one polynomial and all of the other change sign."""
    w = [value * (-1) ** i for i, value in enumerate(polynomial(data["invpol"]))]
    return OcamLens(float(data["xc"]), float(data["yc"]), tuple(w), tuple(-value for value in polynomial(data["pol"])))


def numbers(values: Any, count: int | None = None) -> tuple[float, ...]:
    array = np.asarray(values, float)
    if array.ndim != 1 or (count is not None and array.size != count):
        raise ValueError(f"expected {count or 'a list of'} numbers, got {values!r:.60}")
    if not np.isfinite(array).all():
        raise ValueError(f"not finite: {values!r}")
    return tuple(array.tolist())


def polynomial(values: Any) -> tuple[float, ...]:
    coefficients = numbers(values)
    if len(coefficients) < 2:
        raise ValueError(f"a polynomial of {len(coefficients)} coefficients describes no lens")
    return coefficients


def image_size(values: Any) -> tuple[int, int]:
    width, height = numbers(values, 2)
    if width < 16 or height < 16 or width % 1 or height % 1:
        raise ValueError(f"size must be [width, height] in whole pixels of at least 16, got {values!r}")
    return int(width), int(height)


def same_camera(a: Calibration, b: Calibration) -> bool:
    return a.size == b.size and a.lens == b.lens


def check_lens(lens: Lens, size: tuple[int, int], source: str) -> None:
    """Refuse a lens whose two directions disagree, or that is not defined over a useful part of its image.

    Raises EgostreamError naming ``source``.
    """
    width, height = size
    center = np.array([[lens.cx, lens.cy]])
    if not ((0 <= center) & (center < (width, height))).all():
        raise EgostreamError(
            f"{source}: the optical centre ({lens.cx:.1f}, {lens.cy:.1f}) lies outside the {width}x{height} image. Calibrate again: see calib/README.md"
        )
    if isinstance(lens, OcamLens):
        reach = min(np.pi / 2, lens.max_theta)
        if reach < np.radians(30):
            raise EgostreamError(
                f"{source}: the image radius stops growing at {np.degrees(reach):.0f} degrees from the axis. Calibrate again: see calib/README.md"
            )
        if (error := np.degrees(lens.disagreement(reach))) > 1.0:
            raise EgostreamError(
                f"{source}: its two polynomials disagree by {error:.1f} degrees (1 allowed): one of them belongs to another lens. Calibrate again: see calib/README.md"
            )
    elif isinstance(lens, KannalaBrandtLens) and lens.max_theta < np.radians(30):
        raise EgostreamError(
            f"{source}: the image radius stops growing at {np.degrees(lens.max_theta):.0f} degrees from the axis. Calibrate again: see calib/README.md"
        )
