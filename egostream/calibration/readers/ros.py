"""ROS's camera_info: the YAML of camera_calibration_parsers, and a message that ``ros2 topic echo`` printed."""

from __future__ import annotations

from functools import partial
from typing import Any

from egostream.calibration.camera import Calibration
from egostream.calibration.fields import image_size, shown, text_field
from egostream.calibration.lens import Lens
from egostream.calibration.readers.asked import Asked, Cameras
from egostream.calibration.readers.matrices import fisheye, pinhole
from egostream.calibration.text import Document

FISHEYES = ("equidistant", "fisheye", "Kannala Brandt4")
MODELS = ("plumb_bob", "rational_polynomial", *FISHEYES)


def cameras(document: Document, asked: Asked) -> Cameras | None:
    """The file's camera; None where it is no camera_info."""
    data = document.data
    has_matrix = any(isinstance(data.get(key), dict | list) for key in ("camera_matrix", "k", "K"))
    if "distortion_model" not in data or not has_matrix:
        return None
    return {"camera": partial(camera, document)}


def camera(document: Document) -> Calibration:
    """The camera of the file. Raises KeyError or ValueError."""
    data = document.data
    width, height = (data.get(f"image_{side}", data.get(side)) for side in ("width", "height"))
    if width is None or height is None:
        raise KeyError("image_width")
    refuse_parts(data)
    layout = f"ROS camera_info, {data['distortion_model']}"
    return Calibration(
        text_field(data, "camera_name", document.stem), image_size([width, height]), lens_of(data), layout
    )


def lens_of(data: dict[str, Any]) -> Lens:
    """The lens of the file. Raises KeyError or ValueError."""
    matrix = next(data[key] for key in ("camera_matrix", "k", "K") if key in data)
    terms: Any = next((data[key] for key in ("distortion_coefficients", "d", "D") if data.get(key) is not None), None)
    if terms is None:
        raise KeyError("distortion_coefficients")
    model = data["distortion_model"]
    if model not in MODELS:
        raise ValueError(f"distortion_model {shown(model)} is unknown; known: {', '.join(MODELS)}")
    return fisheye(matrix, terms) if model in FISHEYES else pinhole(matrix, terms)


def refuse_parts(data: dict[str, Any]) -> None:
    """Raise ValueError for a camera whose frames are a part of the sensor, or binned: the matrix is the sensor's."""
    if any(isinstance(data.get(key), int | float) and data[key] > 1 for key in ("binning_x", "binning_y")):
        raise ValueError("its frames are binned. Calibrate at the size that is streamed")
    roi = data.get("roi")
    if isinstance(roi, dict) and any(roi.get(key) for key in ("x_offset", "y_offset")):
        raise ValueError("its frames are a part of the sensor. Calibrate at the size that is streamed")
