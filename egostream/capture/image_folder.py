"""Folders of images: in natural order at one rate, or by a file of stamps beside them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np

from egostream.capture.stamp_file import STAMP_FILES, read_stamps
from egostream.capture.stamps import NS, check_fps, even_ns
from egostream.errors import EgostreamError

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
DEFAULT_FPS = 30.0  # images in a folder carry no rate; most cameras have this one
#: A number in a name: digits, or digits with points between them. A minus belongs to it at the name's start and behind
#: what separates words; behind letters and digits it separates itself (img-2, 2026-01-02).
NUMBER = re.compile(r"((?:(?<![^_\s=,;(\[])-)?\d+(?:\.\d+)*)")
INT_DIGITS = 4000  # Python's int() refuses texts of more than 4300 digits
#: Pictures from which on the files' times can speak against their names, and the least time between them, seconds:
#: copying a folder takes less for each.
TELLING_COUNT, TELLING_S = 6, 0.01
#: Turns in the files' times, as a share of the files, up to which they tell another order: one for each place where
#: numbering began anew or a second camera's names begin. Files copied in any order have turns everywhere.
FEW_TURNS = 0.1


class ImageFolder:
    """A folder of images, kept encoded: in natural order (img_2 before img_10), or as a file of stamps says.

    fps: the rate to play them at. 0: by the file of stamps, or 30 where there is none.
    """

    def __init__(self, folder: Path, fps: float = 0.0):
        self.folder, self.wanted_fps = folder, fps
        self.paths: list[Path] = []
        self.times_ns: list[int] = []  # when each happens, and when the last one ends
        self.mode, self.note = "", ""
        self.position = 0  # images read or passed over

    def open(self) -> None:
        """List the images and go to the first.

        Raises EgostreamError when there is none, for an impossible rate, and for a file of stamps that does not fit.
        """
        self.position = 0
        self.paths, self.note = natural_order(pictures_in(self.folder)), ""
        stamp_file = next((path for name in STAMP_FILES if (path := self.folder / name).is_file()), None)
        if not self.paths:
            raise EgostreamError(f"folder {self.folder} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
        if stamp_file is not None and not self.wanted_fps:
            self.paths, self.times_ns = read_stamps(stamp_file, self.paths)
            rate = f"by {stamp_file.name}"
        else:
            fps = self.wanted_fps or DEFAULT_FPS
            check_fps(fps, self.folder)
            self.times_ns = [even_ns(index, fps) for index in range(len(self.paths) + 1)]
            rate = f"at {fps:g} fps"
            if stamp_file is not None:
                self.note = f"{self.folder.name}/ plays at {fps:g} fps as --fps says, not by {stamp_file.name}"
            elif tell_another_order([path.stat().st_mtime_ns for path in self.paths if path.exists()]):
                self.note = f"{self.folder.name}/ plays in the order of its names; its files' times tell another order"
        self.mode = f"{self.folder.name}/ {len(self.paths)} images {rate}"

    @property
    def count(self) -> int:
        """Images in the folder."""
        return len(self.paths)

    @property
    def fps(self) -> float:
        """Images per second, on average."""
        return len(self.paths) * NS / self.times_ns[-1] if self.times_ns else self.wanted_fps or DEFAULT_FPS

    def begins_ns(self) -> int:
        """When the next image happens, ns from the first one on; behind the last one, when that ends."""
        return self.times_ns[min(self.position, len(self.paths))]

    def ends_ns(self) -> int:
        """When the image after the next one happens, or the last one ends."""
        return self.times_ns[min(self.position + 1, len(self.paths))]

    def next_part(self) -> int:
        """0: a folder's time never begins anew."""
        return 0

    def read(self) -> np.ndarray | None:
        """The bytes [n] of the next image, none of one that cannot be read; None at the end."""
        if self.position >= len(self.paths):
            return None
        path = self.paths[self.position]
        self.position += 1
        try:
            return np.fromfile(path, np.uint8)
        except OSError:
            return np.zeros(0, np.uint8)  # decodes to nothing: counted and reported like a broken image

    def skip(self) -> bool:
        """Pass over one image; False at the end."""
        if self.position >= len(self.paths):
            return False
        self.position += 1
        return True

    def mark(self) -> tuple[int, str]:
        """The next image: reading can begin at any."""
        return self.position, str(self.position)

    def go_to_mark(self, text: str) -> bool:
        """Go to the image that ``mark`` told; False for what is none of this folder's."""
        if not (text.isascii() and text.isdecimal() and len(text) < INT_DIGITS and int(text) <= len(self.paths)):
            return False
        self.position = int(text)
        return True

    def ending(self) -> str:
        """Empty: a folder ends where its images do."""
        return ""

    def close(self) -> None:
        """Do nothing: no file stays open."""


def pictures_in(folder: Path) -> list[Path]:
    """A folder's image files, in no order, without hidden ones: macOS puts ._x.jpg beside x.jpg, which is no picture.

    Raises EgostreamError for a folder that cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return [
                folder / entry.name
                for entry in entries
                if os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES
                and not entry.name.startswith(".")
                and is_file(entry)
            ]
    except OSError as error:
        raise EgostreamError(f"folder {folder} cannot be read: {error.strerror}") from None


def is_file(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a file, or a link to one that is gone: reading a pipe or a device might never end."""
    try:
        return entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))
    except OSError:
        return True  # it cannot be looked at: reading it fails, and is counted


def natural_order(paths: Iterable[Path]) -> list[Path]:
    """Files by their names as people count: img_2 before img_10, 0.033 before 0.1, frame_-1 before frame_0.

    "1.9" and "1.10" may be decimal fractions or a camera and its ninth and tenth picture. Fractions of several lengths
    are written without zeros at their ends; where there is one, they are counters.
    """
    listed = list(paths)
    are_decimal = has_decimals([bare_name(path) for path in listed])
    return sorted(listed, key=lambda path: (natural_key(path, are_decimal), path.name))


def natural_key(path: Path, are_decimal: bool = True) -> list[str | int | Decimal]:
    """Sorting by it puts img_2 before img_10: texts without regard to case, and numbers, in turn, without the suffix.

    are_decimal: whether "1.5" is one number, not two.
    """
    key: list[str | int | Decimal] = []
    for place, part in enumerate(NUMBER.split(bare_name(path))):
        if place % 2 == 0:
            key.append(part.casefold())
            continue
        numbers = [part] if are_decimal and part.count(".") == 1 else part.split(".")
        for nth, number in enumerate(numbers):
            key += ["."] if nth else []
            key.append(Decimal(number) if "." in number or len(number) > INT_DIGITS else int(number))
    return key


def bare_name(path: Path) -> str:
    """A file's name without an image's suffix, so that a.png stands before a1.png."""
    return path.stem if path.suffix.lower() in IMAGE_SUFFIXES else path.name


def has_decimals(names: Sequence[str]) -> bool:
    """Whether the numbers with one point in these names are decimal fractions, not pairs of counters."""
    fractions = [part.split(".")[1] for name in names for part in NUMBER.findall(name) if part.count(".") == 1]
    is_one_length = len({len(fraction) for fraction in fractions}) <= 1
    return is_one_length or not any(len(fraction) > 1 and fraction.endswith("0") for fraction in fractions)


def tell_another_order(times_ns: Sequence[int]) -> bool:
    """Whether the times of files, in the order of their names, clearly tell another order, as cameras write them."""
    count = len(times_ns)
    if count < TELLING_COUNT or len(set(times_ns)) < count:
        return False
    if max(times_ns) - min(times_ns) < count * TELLING_S * NS:
        return False
    turns = sum(after < before for before, after in zip(times_ns, times_ns[1:]))
    steps = np.diff(np.sort(np.asarray(times_ns)))
    is_regular = bool(np.percentile(steps, 90) < 2 * np.percentile(steps, 10))  # a camera's, not a copying program's
    return turns > 0 and (turns <= max(1, FEW_TURNS * count) or is_regular)
