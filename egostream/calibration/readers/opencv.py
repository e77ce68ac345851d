"""What programs write with OpenCV: FileStorage in YAML, XML and JSON, and the same fields by other hands."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from egostream.calibration.camera import Calibration
from egostream.calibration.fields import number, shown, text_field
from egostream.calibration.lens import Lens
from egostream.calibration.readers.asked import Asked, Cameras
from egostream.calibration.readers.matrices import fisheye, flat, omnidir, pinhole
from egostream.calibration.text import Document

#: Names of fields in files met, without case, underscores and spaces; those of a stereo pair end in 1 and 2.
MATRIX = ("cameramatrix", "intrinsicmatrix", "camera", "mtx", "cameraintrinsics", "intrinsics", "k", "m")
DISTORTION = (
    "distortioncoefficients", "distortioncoeffs", "distcoeffs", "distcoeff", "distcoefs", "distortion", "dist", "d",
)  # fmt: skip
SIZE = ("imagesize", "calibimagesize", "size", "resolution", "imagedimensions", "dim")
WIDTH, HEIGHT = ("imagewidth", "width"), ("imageheight", "height")
#: Fields that say which model it is, and words of their values.
STATED = ("fisheyemodel", "fisheye", "isfisheye", "model", "cameramodel", "distortionmodel", "cameratype", "type")
FISHEYE_WORDS = ("fisheye", "equidistant", "equi", "kannala", "kb4")
PINHOLE_WORDS = ("pinhole", "plumb", "radtan", "radial", "rational", "brown", "perspective", "standard")
MODELS = ("fisheye", "pinhole", "omnidir")


def cameras(document: Document, asked: Asked) -> Cameras | None:
    """The file's camera, or both of a stereo pair; None where it is no such file.

    Four distortion numbers fit both the pinhole and the fisheye: unless the file says which, both are offered, of a
    pair as ``1-fisheye``, ``1-pinhole`` and so on.
    """
    data = {re.sub(r"[ _-]", "", str(key)).lower(): value for key, value in document.data.items()}
    found: Cameras = {}
    for ending in ("", "1", "2"):
        matrix, distortion = (first(data, [name + ending for name in names]) for names in (MATRIX, DISTORTION))
        if matrix is None or (distortion is None and not is_opencv(matrix)):
            continue
        read = partial(camera, document, data, matrix, distortion, asked, ending)
        model = model_of(document, data, ending, asked)
        if model == "either" and distortion is not None and count(distortion) == 4:
            found |= {f"{ending}-{one}".lstrip("-"): partial(read, one) for one in ("fisheye", "pinhole")}
            continue
        found[ending or (asked.camera if asked.camera in MODELS else "camera")] = partial(read, model)
    return found or None


def is_opencv(value: Any) -> bool:
    """Whether a value is a matrix as OpenCV writes them."""
    return isinstance(value, dict) and value.get("type_id") == "opencv-matrix"


def first(data: dict[str, Any], names: Any) -> Any:
    """The first of several fields that is there; None when none is."""
    return next((data[name] for name in names if data.get(name) is not None), None)


def count(distortion: Any) -> int:
    """How many distortion numbers there are; -1 where they are none."""
    try:
        return len(flat(distortion))
    except (KeyError, TypeError, ValueError):
        return -1


def model_of(document: Document, data: dict[str, Any], ending: str, asked: Asked) -> str:
    """``fisheye``, ``pinhole`` or ``omnidir``, as the file or the user says; ``either`` where nobody does."""
    if "xi" + ending in data:
        return "omnidir"
    for value in (data[name] for name in STATED if name in data):
        if isinstance(value, bool | int | float):
            return "fisheye" if value else "pinhole"
        words = str(value)[:100].lower()
        if any(word in words for word in FISHEYE_WORDS):
            return "fisheye"
        if any(word in words for word in PINHOLE_WORDS):
            return "pinhole"
    if not ending and asked.camera in MODELS:
        return asked.camera
    return "fisheye" if "fisheye" in document.text.lower() else "either"


def camera(
    document: Document, data: dict[str, Any], matrix: Any, distortion: Any, asked: Asked, ending: str, model: str
) -> Calibration:
    """One camera of the file as ``model``. Raises KeyError or ValueError."""
    values = first(data, SIZE)
    width, height = first(data, WIDTH), first(data, HEIGHT)
    if width is not None and height is not None:
        values = [width, height]
    size = asked.frame_size(list(flat(values)) if values is not None else None)
    distortion = distortion if distortion is not None else []
    name = text_field(data, "cameraname", document.stem)
    layout = f"OpenCV {model if model != 'either' else 'pinhole'} {document.kind}"
    return Calibration(name, size, lens_of(model, matrix, distortion, data, ending), layout)


def lens_of(model: str, matrix: Any, distortion: Any, data: dict[str, Any], ending: str) -> Lens:
    """The lens of a camera matrix and distortion numbers. Raises KeyError or ValueError."""
    if model == "omnidir":
        xi = data["xi" + ending]
        values = flat(xi) if not isinstance(xi, int | float) else (number(xi),)
        if len(values) != 1:
            raise ValueError(f"xi is one number, got {shown(xi)}")
        return omnidir(matrix, distortion, values[0])
    if model == "fisheye":
        return fisheye(matrix, distortion)
    return pinhole(matrix, distortion)
