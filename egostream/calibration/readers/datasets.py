"""The JSON of public datasets of head-worn fisheyes: EgoPW, SceneEgo and kin, EgoRear, EventEgo3D."""

from __future__ import annotations

from functools import partial
from typing import Any

from egostream.calibration.camera import Calibration
from egostream.calibration.fields import image_size, number, numbers, pair, polynomial, text_field
from egostream.calibration.ocam import DATASETS_LEAVE_OUT, STRAIGHT, OcamLens, checked_affine, stretched
from egostream.calibration.readers.asked import Asked, Cameras
from egostream.calibration.text import Document


def cameras(document: Document, asked: Asked) -> Cameras | None:
    """The file's camera; None where it is no such file."""
    data = document.data
    if "polynomialC2W" in data or "polynomialW2C" in data:
        read = centred if "image_center" in data else scene_ego
    elif "invpol" in data and "pol" in data:
        read = event_ego
    else:
        return None
    return {"camera": partial(read, document)}


def scene_ego(document: Document) -> Calibration:
    """A file of EgoPW, SceneEgo and kin: the centre stands in the intrinsic matrix. Raises KeyError or ValueError."""
    data = document.data
    cx, cy = (number(data["intrinsic"][row][2]) for row in (0, 1))
    lens = row_first(data, (cx, cy), affine_of(data))
    return Calibration(
        text_field(data, "name", document.stem), image_size(data["size"]), lens, "EgoPW and SceneEgo JSON"
    )


def centred(document: Document) -> Calibration:
    """A file with ``image_center``. Raises KeyError or ValueError.

    EgoRear writes its size as [height, width] and takes its affine terms from py-OCamCalib, whose first axis runs
    along u. OCamCalib's own first axis runs down the rows. A file is EgoRear's when it has ``imageCircleRadius``, or
    when its centre lies nearer the middle of a [height, width] frame.
    """
    data = document.data
    center, size = pair(data["image_center"]), image_size(data["size"])
    is_turned = off_middle(center, size[::-1]) < off_middle(center, size)
    if is_turned:
        size = size[1], size[0]
    affine = affine_of(data)
    if is_turned or "imageCircleRadius" in data:
        c, d, e = affine
        lens = (
            stretched(center, *polynomials(data), [[c, d], [e, 1.0]])
            if affine != STRAIGHT
            else row_first(data, center, affine)
        )
        return Calibration(text_field(data, "name", document.stem), size, lens, "EgoRear JSON")
    return Calibration(text_field(data, "name", document.stem), size, row_first(data, center, affine), "ocam JSON")


def row_first(data: dict[str, Any], center: tuple[float, float], affine: tuple[float, ...]) -> OcamLens:
    """The lens of polynomials and of affine terms as OCamCalib means them. Raises KeyError or ValueError."""
    return OcamLens(*center, *polynomials(data), affine)


def polynomials(data: dict[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The polynomials world to camera and camera to world. Raises KeyError or ValueError."""
    return polynomial(data["polynomialW2C"]), polynomial(data["polynomialC2W"])


def off_middle(center: tuple[float, float], size: tuple[int, int]) -> float:
    """How far a centre lies from the middle of a frame, in parts of its sides."""
    return max(abs(center[axis] / size[axis] - 0.5) for axis in (0, 1))


def affine_of(data: dict[str, Any]) -> tuple[float, ...]:
    """Affine terms c, d, e, unless they are so small that the datasets' readers leave them out. Raises ValueError."""
    terms = data["affine"] if "affine" in data else [data.get(key, one) for key, one in zip("cde", STRAIGHT)]
    affine = checked_affine(numbers(terms, 3))
    is_small = max(abs(term - straight) for term, straight in zip(affine, STRAIGHT)) <= DATASETS_LEAVE_OUT
    return STRAIGHT if is_small else affine


def event_ego(document: Document) -> Calibration:
    """A file of EventEgo3D. Raises KeyError or ValueError.

    There t = atan(+Z/n) and z points forward: odd terms of one polynomial and all of the other change sign. Its
    affine terms are those of OpenCV-like axes: u = c x + d y, v = e x + y.
    """
    data = document.data
    w = tuple(value * (-1) ** order for order, value in enumerate(polynomial(data["invpol"])))
    a = tuple(-value for value in polynomial(data["pol"]))
    center, affine = (number(data["xc"]), number(data["yc"])), affine_of(data)
    if affine == STRAIGHT:
        lens = OcamLens(*center, w, a)
    else:
        c, d, e = affine
        lens = stretched(center, w, a, [[c, d], [e, 1.0]])
    size = image_size([data["width"], data["height"]])
    return Calibration(text_field(data, "name", document.stem), size, lens, "EventEgo3D JSON")
