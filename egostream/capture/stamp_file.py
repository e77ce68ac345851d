"""The file of stamps beside a folder's images: a line for each image, with its name and its time.

    # name, time            lines that begin with # are passed over, and a first line without a number
    img_0.jpg, 12.000000    a time with a point is in seconds
    img_1.jpg, 12.033367

    1403636579763555584 img_0.png      a whole number is in nanoseconds; time and name may stand in either order

Commas, semicolons, spaces and tabs separate. Further columns are passed over. Times decide the order of the images.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from egostream.capture.stamps import DEFAULT_INTERVAL_NS, NS
from egostream.errors import EgostreamError, first_line, printable
from egostream.files import read_small

#: Names that it may have; the first that is there is taken.
STAMP_FILES = ("timestamps.txt", "timestamps.csv")
#: Bytes of such a file; a million images have 40 MB.
LARGEST_FILE = 1 << 27
SECONDS = re.compile(r"([+-]?)([0-9]{1,12})\.([0-9]{1,30})")
NANOSECONDS = re.compile(r"[+-]?[0-9]{1,20}")


def read_stamps(path: Path, images: Sequence[Path]) -> tuple[list[Path], list[int]]:
    """The images in the order of their times, and when each happens, ns from the first one on; last, when that ends.

    Lines for images that are not there are passed over. Raises EgostreamError naming what does not fit.
    """
    times = parse_stamps(path)
    lacking = [image for image in images if image.name not in times]
    if lacking:
        raise EgostreamError(
            f"{path} has no time for {len(lacking)} of {len(images)} images, the first is {lacking[0].name}. "
            "Add a line for each, or give a rate: --fps 30"
        )
    ordered = sorted(images, key=lambda image: times[image.name])
    stamps = [times[image.name] - times[ordered[0].name] for image in ordered]
    for before, after, image in zip(stamps, stamps[1:], ordered[1:]):
        if after <= before:
            raise EgostreamError(f"{path} gives {image.name} the time of another image. Correct it, or give --fps 30")
    last_ns = stamps[-1] - stamps[-2] if len(stamps) > 1 else DEFAULT_INTERVAL_NS
    return ordered, [*stamps, stamps[-1] + last_ns]


def parse_stamps(path: Path) -> dict[str, int]:
    """Times by name, ns. Raises EgostreamError naming the line that is none, and a name that stands twice."""
    try:
        lines = read_small(path, LARGEST_FILE).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EgostreamError(f"{path} cannot be read: {first_line(error)}. Save it as UTF-8 text") from None
    times: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        fields = [field.strip().strip("\"'") for field in split_line(line)]
        name_and_time = find_name_and_time(fields)
        if name_and_time is None:
            if not times and number == 1:
                continue  # a heading
            raise EgostreamError(
                f"{path} line {number} is {line.strip()[:60]!r}, wanted a name and a time: img_0.jpg, 0.033"
            )
        name, t_ns = name_and_time
        if times.setdefault(name, t_ns) != t_ns:
            raise EgostreamError(
                f"{path} line {number} gives {printable(name[:80])} a second time. Keep one line for each image"
            )
    return times


def split_line(line: str) -> list[str]:
    """A line's fields: between commas, semicolons or tabs where there are any, since names may hold spaces."""
    return [field for field in (re.split(r"[,;\t]", line) if re.search(r"[,;\t]", line) else line.split()) if field]


def find_name_and_time(fields: Sequence[str]) -> tuple[str, int] | None:
    """The image's name and its time, ns, whichever stands first; None when they are not there."""
    if len(fields) < 2:
        return None
    first, second = fields[0], fields[1]
    for name, text in ((second, first), (first, second)):
        if (t_ns := to_ns(text)) is not None and to_ns(name) is None:
            return Path(name).name, t_ns
    return None


def to_ns(text: str) -> int | None:
    """A time, ns: of seconds with a point, exactly, or of whole nanoseconds; None for what is no time."""
    if NANOSECONDS.fullmatch(text):
        return int(text)
    parts = SECONDS.fullmatch(text)
    if parts is None:
        return None
    sign, whole, fraction = parts.groups()
    t_ns = int(whole) * NS + int(fraction[:9].ljust(9, "0"))
    return -t_ns if sign == "-" else t_ns
