"""The calibration JSON of Project Aria's glasses."""

from __future__ import annotations

from functools import partial
from typing import Any

from egostream.calibration.camera import Calibration
from egostream.calibration.fields import focals, image_size, numbers, shown
from egostream.calibration.kannala_brandt import KannalaBrandtLens
from egostream.calibration.lens import Lens
from egostream.calibration.pinhole import PinholeLens
from egostream.calibration.readers.asked import Asked, Cameras
from egostream.calibration.text import Document
from egostream.calibration.thin_prism_fisheye import ThinPrismFisheyeLens

#: Frames that factory calibrations of first-generation glasses are of, pixels. Those files do not say, later ones do.
#: Source: projectaria_tools' reader of sensor calibrations.
SIZES = {
    "camera-rgb": (2880, 2880),
    "camera-slam-left": (640, 480), "camera-slam-right": (640, 480),
    "camera-et-left": (640, 480), "camera-et-right": (640, 480),
}  # fmt: skip
MODELS = ("FisheyeRadTanThinPrism", "Fisheye624", "KannalaBrandtK3", "Linear")


def cameras(document: Document, asked: Asked) -> Cameras | None:
    """The cameras of the glasses by label; None where it is no such file."""
    listed = document.data.get("CameraCalibrations")
    if not isinstance(listed, list):
        return None
    sizes = document.data.get("ImageSizes")
    found: Cameras = {}
    for number, data in enumerate(listed):
        if isinstance(data, dict):
            size = sizes[number] if isinstance(sizes, list) and number < len(sizes) else None
            label = data.get("Label")
            found[label if isinstance(label, str) and label.isprintable() else str(number)] = partial(
                camera, data, size, asked
            )
    return found


def camera(data: dict[str, Any], size: Any, asked: Asked) -> Calibration:
    """One camera of the glasses. Raises KeyError or ValueError."""
    label, projection = data["Label"], data["Projection"]
    if not isinstance(label, str) or not label.isprintable() or len(label) > 200:
        raise ValueError(f"Label must be one printable line, got {shown(label)}")
    if not isinstance(projection, dict):
        raise ValueError(f"Projection must be an object, got {shown(projection)}")
    configured = data.get("ConfigData")
    if size is None and isinstance(configured, dict) and "ImageWidth" in configured:
        size = [configured["ImageWidth"], configured["ImageHeight"]]
    size = image_size(size) if size is not None else SIZES.get(label)
    if data.get("Calibrated") is False:
        raise ValueError(f"{label} was not calibrated")
    lens = lens_of(projection)
    return Calibration(label, asked.frame_size(size), lens, f"Project Aria JSON, {projection['Name']}")


def lens_of(projection: dict[str, Any]) -> Lens:
    """The lens of one of Aria's projections. Raises KeyError or ValueError."""
    model, parameters = projection["Name"], numbers(projection["Params"])
    if model not in MODELS:
        raise ValueError(f"projection {shown(model)} is unknown; known: {', '.join(MODELS)}")
    if model in MODELS[:2]:
        if len(parameters) not in (15, 16):
            raise ValueError(f"{model} has 15 or 16 parameters, got {len(parameters)}")
        fx, fy, cx, cy, *rest = parameters[:1] * (16 - len(parameters)) + parameters
        return ThinPrismFisheyeLens(*focals(fx, fy), cx, cy, tuple(rest[:6]), tuple(rest[6:8]), tuple(rest[8:]))
    fx, fy, cx, cy, *terms = numbers(parameters, 8 if model == "KannalaBrandtK3" else 4)
    focals(fx, fy)
    return KannalaBrandtLens(fx, fy, cx, cy, tuple(terms)) if terms else PinholeLens(fx, fy, cx, cy)
