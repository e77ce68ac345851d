"""Scaramuzza's polynomials: OCamCalib's calib_results.txt and py-OCamCalib's JSON."""

from __future__ import annotations

from functools import partial

import numpy as np

from egostream.calibration.camera import Calibration
from egostream.calibration.fields import image_size, number, numbers, pair, polynomial, shown, text_field
from egostream.calibration.numerals import written_number
from egostream.calibration.ocam import OcamLens, checked_affine, stretched
from egostream.calibration.ocam_inverse import lens_of_rays
from egostream.calibration.readers.asked import Asked, Cameras
from egostream.calibration.text import Document

#: Lines of a calib_results.txt: direct polynomial, inverse polynomial, centre, affine terms, size.
LINES = 5


def cameras(document: Document, asked: Asked) -> Cameras | None:
    """The file's camera; None where it is neither."""
    if document.kind == "text" and "polynomial coefficients" in document.text:
        return {"camera": partial(results_txt, document, asked)}
    if "taylor_coefficient" in document.data:
        return {"camera": partial(py_ocamcalib, document, asked)}
    return None


def results_txt(document: Document, asked: Asked) -> Calibration:
    """A calib_results.txt, whose first axis runs down the rows, the camera looking along -z. Raises ValueError.

    What stands after the five lines that OCamCalib writes is other programs' and is read past.
    """
    lines = [line.split() for line in document.text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if len(lines) < LINES:
        raise ValueError(f"a calib_results.txt has {LINES} lines of numbers, this has {len(lines)}")
    direct, inverse, center, affine, size = (numbers([written_number(word) for word in line]) for line in lines[:LINES])
    for polynomial_line in (direct, inverse):
        if polynomial_line[0] != len(polynomial_line) - 1:
            raise ValueError(f"{len(polynomial_line) - 1} coefficients where {polynomial_line[0]:g} are announced")
    row, column = pair(center)
    height, width = pair(size)
    lens = OcamLens(column, row, polynomial(inverse[1:]), polynomial(direct[1:]), checked_affine(affine))
    return Calibration(
        document.stem, asked.frame_size(image_size([width, height])), lens, "OCamCalib calib_results.txt"
    )


def py_ocamcalib(document: Document, asked: Asked) -> Calibration:
    """A JSON of py-OCamCalib: (x, y, z(r)) is the ray, z forward; the stretch acts on (x, y). Raises ValueError.

    It does not hold the frames' size. Its ``inverse_poly`` approximates; this lens goes back by the exact one.
    """
    data = document.data
    size = asked.frame_size()
    center, a = pair(data["distortion_center"]), tuple(-value for value in polynomial(data["taylor_coefficient"]))
    matrix = data.get("stretch_matrix", [[1, 0], [0, 1]])
    if not isinstance(matrix, list | tuple) or len(matrix) != 2:
        raise ValueError(f"stretch_matrix must have two rows, got {shown(matrix)}")
    straight = lens_of_rays(center, a, size)
    lens = stretched(center, straight.w, a, matrix, straight.end)
    if "inverse_poly" in data:
        check_inverse(straight, numbers(data["inverse_poly"]))
    return Calibration(text_field(data, "camera_name", document.stem), size, lens, "py-OCamCalib JSON")


def check_inverse(straight: OcamLens, inverse: tuple[float, ...]) -> None:
    """Raise ValueError when a file's own inverse polynomial, in theta and high to low order, is of another lens.

    straight: the lens before its stretch, as the inverse polynomial is.
    """
    theta = min(1.0, straight.max_theta)
    found = float(straight.radius(np.array(theta)))
    if abs(number(float(np.polyval(inverse, theta))) - found) > 0.02 * found:
        raise ValueError("its two polynomials disagree: one of them belongs to another lens")
