"""MATLAB's camera and fisheye parameters: ``jsonencode`` of the object or of ``toStruct``, or what MATLAB prints.

MATLAB counts pixels from 1, egostream from 0: centres move by one.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from egostream.calibration.camera import Calibration
from egostream.calibration.fields import focals, image_size, numbers, pair
from egostream.calibration.kannala_brandt import KannalaBrandtLens
from egostream.calibration.lens import Lens
from egostream.calibration.numerals import written_number
from egostream.calibration.ocam import stretched
from egostream.calibration.ocam_inverse import lens_of_rays
from egostream.calibration.pinhole import PinholeLens
from egostream.calibration.readers.asked import Asked, Cameras
from egostream.calibration.readers.matrices import camera_matrix, flat, without_zeros
from egostream.calibration.text import Document

MARKS = ("MappingCoefficients", "RadialDistortion", "DistortionCoefficients", "IntrinsicMatrix", "PrincipalPoint")
LONGEST = 2000  # characters of a printed field
FEW_DIGITS = "MATLAB printed it with few digits: jsonencode(toStruct(params)) has all"
#: MATLAB prints the size of a matrix within an object, not its numbers.
NO_STRETCH = "MATLAB printed no numbers of StretchMatrix, taken as none: jsonencode(toStruct(params)) has them"
STRETCH_LEFT_OUT = re.compile(r"StretchMatrix[ \t]{0,99}[:=][ \t]{0,99}\[?\d{1,3}[x\u00d7]\d{1,3}")


def cameras(document: Document, asked: Asked) -> Cameras | None:
    """The file's camera; None where it is no such file."""
    if document.kind == "text":
        data = printed_fields(document.text)
    else:
        data = document.data
        inner = data.get("Intrinsics")
        data = data | inner if isinstance(inner, dict) else data
    if not any(mark in data for mark in MARKS):
        return None
    return {"camera": partial(camera, document, data, asked)}


def printed_fields(text: str) -> dict[str, Any]:
    """The numbers of a printed object or struct: ``Name: [1 2; 3 4]``, ``Name: 5``, with ``=`` for ``:`` too."""
    found: dict[str, Any] = {}
    for line in text.splitlines():
        name, _, body = line.replace("=", ":", 1).partition(":")
        name, body = name.strip(), body.strip(" \t;[]")
        if not name.isalpha() or not body or len(body) > LONGEST or set(body) - set("-+0123456789.eE,; "):
            continue
        rows = [
            [written_number(word) for word in re.split(r"[ ,]+", row.strip()) if word]
            for row in body.split(";")
            if row.strip()
        ]
        found[name] = rows if len(rows) > 1 else (rows or [[]])[0]
    return found


def camera(document: Document, data: dict[str, Any], asked: Asked) -> Calibration:
    """The camera of the file. Raises KeyError or ValueError."""
    size = None
    if data.get("ImageSize") not in (None, []):
        height, width = pair(data["ImageSize"])
        size = image_size([width, height])
    size = asked.frame_size(size)
    warnings = warnings_of(document)
    if "MappingCoefficients" in data:
        return Calibration(document.stem, size, fisheye(data, size), "MATLAB fisheyeParameters", warnings)
    return Calibration(document.stem, size, perspective(data), "MATLAB cameraParameters", warnings)


def warnings_of(document: Document) -> tuple[str, ...]:
    """What a print lacks."""
    if document.kind != "text":
        return ()
    return (FEW_DIGITS, NO_STRETCH) if STRETCH_LEFT_OUT.search(document.text) else (FEW_DIGITS,)


def fisheye(data: dict[str, Any], size: tuple[int, int]) -> Lens:
    """Scaramuzza's lens of ``fisheyeIntrinsics``: a0, a2, a3, a4, with z forward. Raises KeyError or ValueError."""
    a0, *higher = numbers(data["MappingCoefficients"])
    cx, cy = (one - 1 for one in pair(data["DistortionCenter"]))
    values = numbers(flat(data.get("StretchMatrix", [[1, 0], [0, 1]])), 4)
    a = (-a0, 0.0, *(-value for value in higher))
    straight = lens_of_rays((cx, cy), a, size)
    return stretched((cx, cy), straight.w, a, [values[:2], values[2:]], straight.end)


def perspective(data: dict[str, Any]) -> Lens:
    """The lens of ``cameraIntrinsics`` or ``cameraIntrinsicsKB``. Raises KeyError or ValueError."""
    fx, fy, cx, cy, skew = matrix_of(data)
    if "DistortionCoefficients" in data:
        return KannalaBrandtLens(fx, fy, cx - 1, cy - 1, numbers(data["DistortionCoefficients"], 4), skew)
    radial = numbers(data["RadialDistortion"])
    tangential = pair(data["TangentialDistortion"]) if "TangentialDistortion" in data else (0.0, 0.0)
    if len(radial) not in (2, 3):
        raise ValueError(f"RadialDistortion has 2 or 3 numbers, got {len(radial)}")
    distortion = without_zeros((*radial[:2], *tangential, *radial[2:]))
    return PinholeLens(fx, fy, cx - 1, cy - 1, distortion, skew)


def matrix_of(data: dict[str, Any]) -> tuple[float, float, float, float, float]:
    """fx, fy, cx, cy and skew, still counted from 1. Raises KeyError or ValueError.

    ``K`` is upright, the older ``IntrinsicMatrix`` lies on its side.
    """
    if "FocalLength" in data and "PrincipalPoint" in data:
        skew = data.get("Skew", 0.0)
        (one,) = numbers(skew if isinstance(skew, list) else [skew])
        return *focals(*pair(data["FocalLength"])), *pair(data["PrincipalPoint"]), one
    if "K" in data:
        return camera_matrix(data["K"])
    matrix = numbers(flat(data["IntrinsicMatrix"]), 9)
    return camera_matrix([[matrix[column * 3 + row] for column in range(3)] for row in range(3)])
