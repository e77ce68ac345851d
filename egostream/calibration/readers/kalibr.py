"""Kalibr's camchain YAML, and the sensor.yaml of the EuRoC datasets."""

from __future__ import annotations

from functools import partial
from typing import Any

from egostream.calibration.camera import Calibration
from egostream.calibration.double_sphere import parse_double_sphere
from egostream.calibration.eucm import parse_eucm
from egostream.calibration.fields import focals, image_size, numbers, shown
from egostream.calibration.fov import parse_fov
from egostream.calibration.kannala_brandt import KannalaBrandtLens
from egostream.calibration.lens import Lens
from egostream.calibration.mei import parse_mei
from egostream.calibration.pinhole import PinholeLens
from egostream.calibration.readers.asked import Asked, Cameras
from egostream.calibration.readers.matrices import without_zeros
from egostream.calibration.text import Document

#: Kalibr's distortion models, also as datasets spell them.
DISTORTIONS = {
    "radtan": "radtan", "radial-tangential": "radtan", "plumb_bob": "radtan", "equidistant": "equi", "equi": "equi",
    "fov": "fov", "none": "none", "": "none",
}  # fmt: skip


def cameras(document: Document, asked: Asked) -> Cameras | None:
    """The cameras ``cam0``, ``cam1``, ... of the file; None where it has none."""
    data = document.data
    if "camera_model" in data and "intrinsics" in data:
        return {"cam0": partial(camera, document.stem, data)}
    chain = {
        key: one for key, one in data.items() if isinstance(one, dict) and {"camera_model", "intrinsics"} <= set(one)
    }
    found: Cameras = {
        str(key): partial(camera, f"{document.stem} {key}" if len(chain) > 1 else document.stem, value)
        for key, value in chain.items()
    }
    return found or None


def camera(name: str, data: dict[str, Any]) -> Calibration:
    """One camera of the chain. Raises KeyError or ValueError."""
    size = image_size(data["resolution"])
    return Calibration(name, size, lens_of(data), "Kalibr YAML")


def lens_of(data: dict[str, Any]) -> Lens:
    """The lens of one of Kalibr's pairs of projection and distortion. Raises KeyError or ValueError."""
    projection, stated = str(data["camera_model"]).lower(), data.get("distortion_model", "none")
    distortion = DISTORTIONS.get("" if stated is None else str(stated).lower(), "")
    terms = data.get("distortion_coeffs", data.get("distortion_coefficients", []))
    terms = numbers([] if terms is None else terms)
    if distortion == "none":
        if any(terms):
            raise ValueError(f"distortion_model none with the coefficients {shown(terms)}")
        terms = ()
    intrinsics = data["intrinsics"]
    if projection == "pinhole":
        return pinhole(intrinsics, distortion, terms)
    own = {"omni": ("xi",), "ds": ("xi", "alpha"), "eucm": ("alpha", "beta")}.get(projection)
    if own is None or distortion not in (("none", "radtan") if projection == "omni" else ("none",)):
        raise ValueError(
            f"{shown(data['camera_model'])} with distortion {shown(stated)} is not among Kalibr's pairs read here"
        )
    *first, fx, fy, cx, cy = numbers(intrinsics, len(own) + 4)
    fields: dict[str, Any] = {"focal": focals(fx, fy), "center": (cx, cy), **dict(zip(own, first))}
    if projection == "omni":
        return parse_mei(fields | {"distortion": numbers(terms, 4) if terms else (0, 0, 0, 0)})
    return parse_double_sphere(fields) if projection == "ds" else parse_eucm(fields)


def pinhole(intrinsics: Any, distortion: str, terms: tuple[float, ...]) -> Lens:
    """The lens of Kalibr's pinhole with one of its distortions. Raises ValueError."""
    fx, fy, cx, cy = numbers(intrinsics, 4)
    focals(fx, fy)
    if distortion == "radtan":
        return PinholeLens(fx, fy, cx, cy, without_zeros(numbers(terms, 4)))
    if distortion == "equi":
        return KannalaBrandtLens(fx, fy, cx, cy, numbers(terms, 4))
    if distortion == "fov":
        (w,) = numbers(terms, 1)
        return parse_fov({"focal": (fx, fy), "center": (cx, cy), "w": w})
    if distortion == "none":
        return PinholeLens(fx, fy, cx, cy)
    raise ValueError("a distortion_model that is not among radtan, equidistant, fov and none")
