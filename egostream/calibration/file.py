"""Calibration files: our own JSON and what other programs write, told apart by what they hold (calib/README.md)."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from egostream.calibration.camera import Calibration
from egostream.calibration.double_sphere import parse_double_sphere
from egostream.calibration.eucm import parse_eucm
from egostream.calibration.fields import FOCAL_RANGE, image_size, shown, text_field
from egostream.calibration.fov import parse_fov
from egostream.calibration.kannala_brandt import parse_kannala_brandt
from egostream.calibration.lens import Lens
from egostream.calibration.mei import parse_mei
from egostream.calibration.ocam import parse_ocam
from egostream.calibration.pinhole import parse_pinhole
from egostream.calibration.readers import (
    aria,
    basalt,
    camodocal,
    datasets,
    kalibr,
    matlab,
    ocamcalib,
    opencv,
    realsense,
    ros,
)
from egostream.calibration.readers.asked import Asked, Cameras, pick, split_asked
from egostream.calibration.text import HINT, Document, in_a_line, read_document
from egostream.calibration.thin_prism_fisheye import parse_thin_prism_fisheye
from egostream.calibration.transform import parse_transform
from egostream.errors import EgostreamError
from egostream.files import asset

SCHEMA = 1  # of our own layout
OUR_LAYOUT = "egostream JSON"

#: Lens models of our own layout: the field ``model`` -> what reads its other fields. A new model is a line here.
MODELS: dict[str, Callable[[dict[str, Any]], Lens]] = {
    "double_sphere": parse_double_sphere,
    "eucm": parse_eucm,
    "fov": parse_fov,
    "mei": parse_mei,
    "thin_prism_fisheye": parse_thin_prism_fisheye,
    "ocam": parse_ocam,
    "kannala_brandt": parse_kannala_brandt,
    "pinhole": parse_pinhole,
}
#: Fields of our own layout that say nothing about the lens.
OTHER_FIELDS = {"schema", "name", "model", "size", "warnings", "fit", "comment", "$schema", "T_head_camera"}


#: Fields of models of our own layout that are left out where they say nothing.
OPTIONAL_FIELDS = {
    "ocam": {"affine", "max_theta"},
    "kannala_brandt": {"skew"},
    "pinhole": {"skew"},
    "mei": {"skew"},
}


def our_cameras(document: Document, asked: Asked) -> Cameras | None:
    """The camera of a file in our own layout; None where it is another's."""
    model = document.data.get("model")
    if document.kind == "JSON" and isinstance(model, str) and model in MODELS:
        return {"camera": partial(parse_calibration, document.data, document.stem)}
    return None


#: Readers in the order in which they are asked; the first that knows a file reads it. A new format is a line here.
READERS: tuple[Callable[[Document, Asked], Cameras | None], ...] = (
    datasets.cameras,
    ocamcalib.cameras,
    aria.cameras,
    basalt.cameras,
    kalibr.cameras,
    camodocal.cameras,
    realsense.cameras,
    matlab.cameras,
    ros.cameras,
    our_cameras,
    opencv.cameras,
)


def load_calibration(path: Path | str) -> Calibration:
    """Read a calibration file of any known format. Raises EgostreamError when it is malformed or inconsistent.

    ``FILE#cam1`` is one camera of several, ``FILE#640x480`` says the frames' size where the file does not.
    """
    path, asked = split_asked(path)
    document = read_document(path)
    try:
        with np.errstate(all="ignore"):
            cameras = cameras_of(document, asked)
            calibration = pick(path, cameras, asked)()
            problem = calibration.lens.problem(calibration.size) or focal_problem(calibration)
    except KeyError as error:
        raise EgostreamError(f"calibration {path} lacks the field {in_a_line(error).strip(chr(39))}. {HINT}") from None
    except (TypeError, ValueError, IndexError, OverflowError, AttributeError, RecursionError) as error:
        raise EgostreamError(f"calibration {path} is malformed: {in_a_line(error)}. {HINT}") from None
    width, height = calibration.size
    if asked.size not in (None, calibration.size):
        raise EgostreamError(f"calibration {path}: its frames are {width}x{height}, not as asked after the #")
    if problem:
        raise EgostreamError(f"calibration {path}: {problem}. Calibrate again: see calib/README.md")
    return calibration


def cameras_of(document: Document, asked: Asked) -> Cameras:
    """The cameras in a file, by name. Raises KeyError when no reader knows it."""
    for reader in READERS:
        cameras = reader(document, asked)
        if cameras is not None:
            return cameras
    return {"camera": partial(parse_calibration, document.data, document.stem)}


def focal_problem(calibration: Calibration) -> str:
    """What is wrong with how large the lens shows things, for the size of the frames; empty when nothing is."""
    lens, longest = calibration.lens, max(calibration.size)
    step = 1e-3
    pixels, valid = lens.project(np.array([[step, 0, 1], [-step, 0, 1], [0, step, 1], [0, -step, 1]]))
    if not valid.all():
        return "it sees nothing along its own axis"
    across, down = (float(np.hypot(*(pixels[i] - pixels[i + 1]))) / (2 * step) for i in (0, 2))
    for focal in (across, down):
        if not FOCAL_RANGE[0] <= focal / longest <= FOCAL_RANGE[1]:
            width, height = calibration.size
            return f"a focal length of {focal:.3g} px belongs to no lens before {width}x{height} pixels"
    return ""


def canonical_calibration(name: str = "canonical") -> Calibration:
    """A calibration shipped in calib/ by name: the camera that weights were trained for."""
    return load_calibration(asset("calib", f"{name}.json"))


def parse_calibration(data: dict[str, Any], fallback_name: str) -> Calibration:
    """The calibration in the JSON object of our own layout. Raises KeyError or ValueError.

    fallback_name: for a file that names no camera.
    """
    schema = data.get("schema", SCHEMA)
    if isinstance(schema, bool) or schema != SCHEMA:
        raise ValueError(f"schema {shown(schema)} is unknown; this egostream reads {SCHEMA}")
    name, model = text_field(data, "name", fallback_name), data["model"]
    size, lens = image_size(data["size"]), parse_lens(data)
    warnings = [*stored_warnings(data), *unused_fields(data, lens)]
    on_head = parse_transform(data["T_head_camera"]) if "T_head_camera" in data else None
    return Calibration(name, size, lens, f"{OUR_LAYOUT}, {model}", tuple(warnings), on_head)


def parse_lens(data: dict[str, Any]) -> Lens:
    """The lens of our own layout. Raises KeyError or ValueError."""
    model = data["model"]
    parse = MODELS.get(str(model))
    if parse is None:
        raise ValueError(f"model {shown(model)} is unknown; known: {', '.join(MODELS)}")
    return parse(data)


def stored_warnings(data: dict[str, Any]) -> list[str]:
    """What the program that wrote the file says against it. Raises ValueError unless these are printable lines."""
    warnings = data.get("warnings", [])
    if not isinstance(warnings, list) or len(warnings) > 20:
        raise ValueError(f"warnings must be a list of up to 20 lines, got {shown(warnings)}")
    for line in warnings:
        if not isinstance(line, str) or not line.isprintable() or len(line) > 500:
            raise ValueError(f"warnings must be printable lines, got {shown(line)}")
    return warnings


def unused_fields(data: dict[str, Any], lens: Lens) -> list[str]:
    """A warning where the file has fields that its model does not have: what they meant is lost."""
    known = set(lens.fields()) | OPTIONAL_FIELDS.get(str(data["model"]), set())
    unused = sorted(set(data) - known - OTHER_FIELDS)
    return [f"its fields are not used: {shown(', '.join(unused))}"] if unused else []


def as_json(calibration: Calibration) -> str:
    """The text of a file in our own layout that reads back as the same camera."""
    fields = calibration.lens.fields()
    data = {
        "schema": SCHEMA,
        "name": calibration.name,
        "model": fields["model"],
        "size": list(calibration.size),
        **fields,
    }
    if calibration.warnings:
        data["warnings"] = list(calibration.warnings)
    if calibration.T_head_camera is not None:
        data["T_head_camera"] = [list(row) for row in calibration.T_head_camera]
    return json.dumps(data, indent=2) + "\n"


def same_camera(a: Calibration, b: Calibration) -> bool:
    """Whether both calibrations are of one camera: frames of one size through the same lens, whatever the names."""
    return a.size == b.size and a.lens == b.lens


def calibration_of(text: str, fallback_name: str) -> Calibration:
    """The calibration in a text of our own layout. Raises EgostreamError when it is malformed or inconsistent."""
    try:
        with np.errstate(all="ignore"):
            calibration = parse_calibration(json.loads(text), fallback_name)
            problem = calibration.lens.problem(calibration.size) or focal_problem(calibration)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError, AttributeError, RecursionError) as error:
        raise EgostreamError(f"calibration {fallback_name} is malformed: {in_a_line(error)}") from None
    if problem:
        raise EgostreamError(f"calibration {fallback_name}: {problem}")
    return calibration
