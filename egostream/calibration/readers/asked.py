"""What was asked of a file besides its name, and what readers answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egostream.calibration.camera import Calibration
from egostream.calibration.fields import image_size
from egostream.errors import EgostreamError

#: A file's cameras by name, each read only when it is the one that is wanted.
Cameras = dict[str, Callable[[], Calibration]]


@dataclass(frozen=True)
class Asked:
    """What follows a ``#`` after a file's name: a camera of it (or a model, where it names none), the frames' size."""

    camera: str = ""
    size: tuple[int, int] | None = None  # (width, height); ``load_calibration`` refuses a file that has another

    def frame_size(self, values: Any = None) -> tuple[int, int]:
        """Width and height of the frames: of the file, or as asked where it has none. Raises ValueError without one."""
        if values is None:
            if self.size is None:
                raise ValueError("it does not say how large its frames are. Say it after the name: FILE#1280x1024")
            return self.size
        return image_size(values)


def split_asked(path: Path | str) -> tuple[Path, Asked]:
    """A file, and what was asked of it: ``calib.yaml#cam1``, ``calib.json#1280x960``, ``calib.yaml#cam1,640x480``.

    A file whose own name holds a ``#`` is taken as it is. Raises EgostreamError for a size that is none.
    """
    before, mark, after = str(path).rpartition("#")
    if not mark or is_file(Path(path)):
        return Path(path), Asked()
    camera, size = "", None
    for word in filter(None, (word.strip() for word in after.split(","))):
        if re.fullmatch(r"\d{1,6}x\d{1,6}", word):
            size = checked_size(path, word)
        else:
            camera = word
    return Path(before), Asked(camera, size)


def checked_size(path: Path | str, word: str) -> tuple[int, int]:
    """Width and height of ``640x480``. Raises EgostreamError."""
    width, height = word.split("x")
    try:
        return image_size([int(width), int(height)])
    except ValueError as error:
        raise EgostreamError(f"calibration {path}: {error}") from None


def is_file(path: Path) -> bool:
    """Whether a path leads to something; not when it could never be a path."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def pick(path: Path, cameras: Cameras, asked: Asked) -> Callable[[], Calibration]:
    """The camera that was asked for by name or number. Raises EgostreamError when none is, or several could be."""
    names = list(cameras)
    if not names:
        raise EgostreamError(f"calibration {path} holds no camera. See calib/README.md for the formats")
    if asked.camera in cameras:
        return cameras[asked.camera]
    are_numbered = any(name[0].isdecimal() for name in names)  # then a number is a name
    if not are_numbered and asked.camera.isdecimal() and len(asked.camera) < 4 and int(asked.camera) < len(names):
        return cameras[names[int(asked.camera)]]
    listed = ", ".join(names[:12])
    if asked.camera:
        raise EgostreamError(f"calibration {path} has no camera {asked.camera!r}; it has {listed}")
    if len(names) > 1:
        raise EgostreamError(f"calibration {path} holds {len(names)} cameras ({listed}). Say which: {path}#{names[0]}")
    return cameras[names[0]]
