"""RealSense cameras, the T265 among them: JSON of scripts and of Intel's tools, and librealsense's prints."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from egostream.calibration.camera import Calibration
from egostream.calibration.fields import focals, image_size, number, numbers, pair, shown
from egostream.calibration.fov import parse_fov
from egostream.calibration.kannala_brandt import KannalaBrandtLens
from egostream.calibration.lens import Lens
from egostream.calibration.numerals import written_number
from egostream.calibration.pinhole import PinholeLens
from egostream.calibration.readers.asked import Asked, Cameras
from egostream.calibration.readers.matrices import without_zeros
from egostream.calibration.text import Document

#: librealsense's numbers of its distortion models (rs2_distortion).
NUMBERED = {0: "none", 2: "inverse_brown_conrady", 3: "ftheta", 4: "brown_conrady", 5: "kannala_brandt4"}
NUMERAL = r"[-+]?[0-9.]{1,40}(?:e[-+]?\d{1,4})?"  # bounded, as all repeats: a file of digits is searched at once
PRINT = re.compile(
    rf"(\d{{1,6}})x(\d{{1,6}})\s{{1,9}}p\[({NUMERAL}) ({NUMERAL})\]\s{{1,9}}f\[({NUMERAL}) ({NUMERAL})\]"
    r"\s{1,9}([A-Za-z0-9 ]{1,40}?)\s{0,9}\[([-+0-9.e ]{0,400})\]",
    re.I,
)
LAYOUT = "RealSense"


def cameras(document: Document, asked: Asked) -> Cameras | None:
    """The cameras of the file; None where it is no such file."""
    if document.kind == "text":
        return printed(document)
    data = document.data
    listed = data.get("cameras", data.get("Cameras"))
    if isinstance(listed, list) and any(isinstance(one, dict) and "focal_length_px" in one for one in listed):
        return {f"cam{i}": partial(tool, document, one, asked) for i, one in enumerate(listed) if isinstance(one, dict)}
    if "ppx" in data and "fx" in data:
        return {"camera": partial(intrinsics, document, data, asked)}
    nested = {str(key): one for key, one in data.items() if isinstance(one, dict) and "ppx" in one and "fx" in one}
    return {key: partial(intrinsics, document, one, asked) for key, one in nested.items()} or None


def intrinsics(document: Document, data: dict[str, Any], asked: Asked) -> Calibration:
    """An ``rs2_intrinsics`` written field by field. Raises KeyError or ValueError."""
    values = [data["width"], data["height"]] if "width" in data and "height" in data else None
    size = asked.frame_size(values)
    focal, center = focals(number(data["fx"]), number(data["fy"])), (number(data["ppx"]), number(data["ppy"]))
    lens = lens_of(data["model"], numbers(data["coeffs"]), focal, center)
    return Calibration(document.stem, size, lens, f"{LAYOUT} intrinsics JSON")


def tool(document: Document, data: dict[str, Any], asked: Asked) -> Calibration:
    """A camera of the JSON of T265 calibration tools. Raises KeyError or ValueError."""
    distortion = data["distortion"]
    if not isinstance(distortion, dict):
        raise ValueError(f"distortion must be an object, got {shown(distortion)}")
    size = asked.frame_size(data.get("size_px"))
    lens = lens_of(
        distortion["type"], numbers(distortion["k"]), focals(*pair(data["focal_length_px"])), pair(data["center_px"])
    )
    return Calibration(document.stem, size, lens, f"{LAYOUT} calibration JSON")


def lens_of(model: Any, terms: tuple[float, ...], focal: tuple[float, float], center: tuple[float, float]) -> Lens:
    """The lens of one of librealsense's models. Raises ValueError for those that have no lens of ours."""
    if isinstance(model, int) and not isinstance(model, bool):
        model = NUMBERED.get(model, str(model))
    name = re.sub(r"[ _-]", "", str(model).lower().removeprefix("distortion.")).removeprefix("rs2distortion")
    if not any(terms) and name in ("none", "brownconrady", "inversebrownconrady", "modifiedbrownconrady"):
        return PinholeLens(*focal, *center)
    if name in ("kannalabrandt4", "fisheye"):
        if len(terms) not in (4, 5) or any(terms[4:]):
            raise ValueError(f"Kannala Brandt4 has four coefficients, got {shown(terms)}")
        return KannalaBrandtLens(*focal, *center, terms[:4])
    if name == "brownconrady":
        return PinholeLens(*focal, *center, without_zeros(numbers(terms, 5)))
    if name == "ftheta" and terms and not any(terms[1:]):
        return parse_fov({"focal": focal, "center": center, "w": terms[0]})
    raise ValueError(
        f"the distortion model {shown(str(model))} is not read; Kannala Brandt4, FTheta, Brown Conrady and None are"
    )


def printed(document: Document) -> Cameras | None:
    """The cameras of an ``rs-enumerate-devices -c``, or of one printed ``rs2_intrinsics``."""
    found: Cameras = {}
    for index, match in enumerate(PRINT.finditer(document.text)):
        found[str(index)] = partial(printed_line, document, match)
    for block in re.split(r"^[ \t]*Intrinsic of ", document.text, flags=re.MULTILINE)[1:]:
        title = block.split("\n", 1)[0]
        name = "-".join(re.findall(r"[A-Za-z0-9]+", title.split("/")[0].strip('" '))) or "camera"
        size = re.search(r"\d{1,6}x\d{1,6}", title)
        key = f"{name}-{size[0]}" if size and name in found else name
        found[key] = partial(printed_block, document, block)
    return found or None


def printed_line(document: Document, match: re.Match) -> Calibration:
    """The camera of a print in one line. Raises ValueError."""
    width, height, *values = (written_number(match[i]) for i in range(1, 7))
    terms = numbers([written_number(word) for word in match[8].split()])
    lens = lens_of(match[7].strip(), terms, focals(values[2], values[3]), (values[0], values[1]))
    return Calibration(document.stem, image_size([width, height]), lens, f"{LAYOUT} intrinsics print")


def printed_block(document: Document, block: str) -> Calibration:
    """The camera of one block of ``rs-enumerate-devices -c``. Raises KeyError or ValueError."""
    pairs = (line.partition(":") for line in block.splitlines())
    lower = {key.strip().lower(): value.strip() for key, mark, value in pairs if mark}
    size = image_size([written_number(lower["width"]), written_number(lower["height"])])
    focal, center = ([written_number(lower[key]) for key in keys] for keys in (("fx", "fy"), ("ppx", "ppy")))
    terms = numbers([written_number(word) for word in lower["coeffs"].split()])
    lens = lens_of(lower["distortion"], terms, focals(*pair(focal)), pair(center))
    return Calibration(document.stem, size, lens, f"{LAYOUT} rs-enumerate-devices")
