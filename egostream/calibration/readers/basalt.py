"""basalt's calibration JSON."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from egostream.calibration.camera import Calibration
from egostream.calibration.double_sphere import parse_double_sphere
from egostream.calibration.eucm import parse_eucm
from egostream.calibration.fields import focals, image_size, number, shown
from egostream.calibration.fov import parse_fov
from egostream.calibration.kannala_brandt import KannalaBrandtLens
from egostream.calibration.lens import Lens
from egostream.calibration.pinhole import PinholeLens
from egostream.calibration.readers.asked import Asked, Cameras
from egostream.calibration.readers.matrices import without_zeros
from egostream.calibration.text import Document

#: Order of basalt's radial-tangential terms among OpenCV's distortion numbers.
RADTAN8 = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")


def cameras(document: Document, asked: Asked) -> Cameras | None:
    """The cameras ``cam0``, ``cam1``, ... of the file; None where it is no such file."""
    inner = document.data.get("value0", document.data)
    if not isinstance(inner, dict) or "intrinsics" not in inner or "resolution" not in inner:
        return None
    intrinsics, sizes = inner["intrinsics"], inner["resolution"]
    if isinstance(intrinsics, dict):
        intrinsics, sizes = [intrinsics], [sizes]
    if not isinstance(intrinsics, list) or not all(
        isinstance(one, dict) and "camera_type" in one for one in intrinsics
    ):
        return None
    if not isinstance(sizes, list) or len(sizes) != len(intrinsics):
        return {"cam0": partial(refuse, f"{len(intrinsics)} cameras with the sizes {shown(sizes)}")}
    names = [
        f"{document.stem} cam{number}" if len(intrinsics) > 1 else document.stem for number in range(len(intrinsics))
    ]
    return {
        f"cam{number}": partial(camera, name, one, size)
        for number, (name, one, size) in enumerate(zip(names, intrinsics, sizes))
    }


def refuse(why: str) -> Calibration:
    """Raise ValueError."""
    raise ValueError(why)


def camera(name: str, data: dict[str, Any], size: Any) -> Calibration:
    """One camera of the rig. Raises KeyError or ValueError."""
    known: dict[str, Callable[[dict[str, Any]], Lens]] = {
        "ds": parse_double_sphere, "eucm": parse_eucm, "ucm": ucm, "kb4": kb4, "fov": parse_fov,
        "pinhole": pinhole, "pinhole-radtan8": radtan8,
    }  # fmt: skip
    model = data["camera_type"]
    if not isinstance(model, str) or model not in known:
        raise ValueError(f"camera_type {shown(model)} is unknown; known: {', '.join(known)}")
    fields = dict(data["intrinsics"])
    fields["focal"] = focals(number(fields["fx"]), number(fields["fy"]))
    fields["center"] = (number(fields["cx"]), number(fields["cy"]))
    return Calibration(name, image_size(size), known[model](fields), f"basalt JSON, {model}")


def ucm(fields: dict[str, Any]) -> Lens:
    """basalt's unified model: EUCM with beta 1. Raises KeyError or ValueError."""
    return parse_eucm(fields | {"beta": 1.0})


def kb4(fields: dict[str, Any]) -> Lens:
    """Kannala and Brandt's lens. Raises KeyError or ValueError."""
    k = tuple(number(fields[key]) for key in ("k1", "k2", "k3", "k4"))
    (fx, fy), (cx, cy) = fields["focal"], fields["center"]
    return KannalaBrandtLens(fx, fy, cx, cy, k)


def pinhole(fields: dict[str, Any]) -> Lens:
    """An ideal pinhole."""
    return PinholeLens(*fields["focal"], *fields["center"])


def radtan8(fields: dict[str, Any]) -> Lens:
    """OpenCV's rational pinhole. Raises KeyError or ValueError."""
    (fx, fy), (cx, cy) = fields["focal"], fields["center"]
    return PinholeLens(fx, fy, cx, cy, without_zeros(tuple(number(fields[key]) for key in RADTAN8)))
