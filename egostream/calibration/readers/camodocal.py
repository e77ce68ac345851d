"""camodocal's YAML, which VINS-Mono, VINS-Fusion and KITTI-360 share."""

from __future__ import annotations

from functools import partial
from typing import Any

from egostream.calibration.camera import Calibration
from egostream.calibration.fields import focals, image_size, number, shown, text_field
from egostream.calibration.kannala_brandt import KannalaBrandtLens
from egostream.calibration.lens import Lens
from egostream.calibration.mei import parse_mei
from egostream.calibration.pinhole import PinholeLens
from egostream.calibration.readers.asked import Asked, Cameras
from egostream.calibration.readers.matrices import without_zeros
from egostream.calibration.text import Document

MODELS = ("MEI", "KANNALA_BRANDT", "PINHOLE")


def cameras(document: Document, asked: Asked) -> Cameras | None:
    """The file's camera; None where it is no such file."""
    if "model_type" not in document.data or "projection_parameters" not in document.data:
        return None
    return {"camera": partial(camera, document)}


def camera(document: Document) -> Calibration:
    """The camera of the file. Raises KeyError or ValueError."""
    data = document.data
    size = image_size([data["image_width"], data["image_height"]])
    layout = f"camodocal YAML, {data['model_type']}"
    return Calibration(text_field(data, "camera_name", document.stem), size, lens_of(data), layout)


def lens_of(data: dict[str, Any]) -> Lens:
    """The lens of the file. Raises KeyError or ValueError."""
    model, projection = data["model_type"], data["projection_parameters"]
    if model not in MODELS:
        raise ValueError(f"model_type {shown(model)} is unknown; known: {', '.join(MODELS)}")
    if model == "KANNALA_BRANDT":
        mu, mv, u0, v0 = values(projection, "mu mv u0 v0")
        return KannalaBrandtLens(*focals(mu, mv), u0, v0, values(projection, "k2 k3 k4 k5"))
    terms = values(data["distortion_parameters"], "k1 k2 p1 p2")
    if model == "PINHOLE":
        fx, fy, cx, cy = values(projection, "fx fy cx cy")
        return PinholeLens(*focals(fx, fy), cx, cy, without_zeros(terms))
    fx, fy, cx, cy = values(projection, "gamma1 gamma2 u0 v0")
    (xi,) = values(data["mirror_parameters"], "xi")
    return parse_mei({"focal": focals(fx, fy), "center": (cx, cy), "xi": xi, "distortion": terms})


def values(data: Any, names: str) -> tuple[float, ...]:
    """Numbers of a mapping by their names. Raises KeyError or ValueError."""
    if not isinstance(data, dict):
        raise ValueError(f"expected {names}, got {shown(data)}")
    return tuple(number(data[name]) for name in names.split())
