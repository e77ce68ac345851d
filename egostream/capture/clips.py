"""Finite sequences of frames: video files and image folders."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from egostream.errors import EgostreamError

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


class Recording(Protocol):
    """A finite sequence of frames, read forwards."""

    fps: float
    count: int  # frames, as far as is known; 0: unknown
    mode: str

    def open(self) -> None:
        """Go to the first frame. Raises EgostreamError when there is none to read."""

    def read(self) -> np.ndarray | None:
        """The next frame, BGR or encoded bytes; None at the end."""

    def skip(self) -> bool:
        """Pass over one frame without reading it; False at the end."""

    def close(self) -> None: ...


class Video:
    """A video file. Motion-JPEG frames stay encoded, so that they can be decoded at a reduced size."""

    def __init__(self, path: Path, fps: float = 0.0):
        self.path, self.wanted_fps = path, fps
        self.capture = None

    def open(self) -> None:
        self.close()
        if not self.path.is_file():
            raise EgostreamError(f"video {self.path} does not exist")
        self.capture = self.open_raw() or cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG)
        self.capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)  # calibrations speak of pixels as they are stored
        if not self.capture.isOpened():
            raise EgostreamError(
                f"video {self.path} cannot be read: damaged, or a codec that OpenCV lacks. Try: ffmpeg -i {self.path.name} -c:v mjpeg -q:v 3 out.avi"
            )
        self.fps = self.wanted_fps or self.capture.get(cv2.CAP_PROP_FPS)
        check_fps(self.fps, self.path)
        self.count = int(self.capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.position = 0
        size = tuple(int(self.capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        self.mode = f"{self.path.name} {size[0]}x{size[1]} {self.fps:g} fps{' raw MJPG' if self.is_raw else ''}"

    def open_raw(self):
        """The packets of a Motion-JPEG file as they are, or None when it is not one."""
        capture = cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1])
        codec = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF if capture.isOpened() else 0
        self.is_raw = codec.to_bytes(4, "little") in (b"MJPG", b"mjpg", b"jpeg")
        if self.is_raw:
            return capture
        capture.release()
        return None

    def read(self):
        ok, frame = self.capture.read()
        if not ok:
            return None
        self.position += 1
        return frame.reshape(-1) if self.is_raw else frame

    def skip(self):
        ok = self.capture.grab()
        self.position += ok
        return ok

    def ending(self) -> str:
        """What is odd about where the file ended; empty when nothing is."""
        # Containers without an index only estimate their count, from the duration.
        if self.count > 0 and self.position < self.count - self.fps / 2:
            return f"video {self.path.name} ended at frame {self.position} of {self.count}: truncated or damaged"
        return ""

    def close(self):
        if self.capture is not None:
            self.capture.release()
            self.capture = None


class ImageFolder:
    """A folder of images in natural order (img_2 before img_10), kept encoded."""

    def __init__(self, folder: Path, fps: float):
        self.folder, self.fps = folder, fps

    def open(self):
        try:
            self.paths = sorted(
                (p for p in self.folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES), key=natural_key
            )
        except OSError as error:
            raise EgostreamError(f"folder {self.folder} cannot be read: {error.strerror}") from None
        check_fps(self.fps, self.folder)
        if not self.paths:
            raise EgostreamError(f"folder {self.folder} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
        self.position, self.count = 0, len(self.paths)
        self.mode = f"{self.folder.name}/ {len(self.paths)} images at {self.fps:g} fps"

    def read(self):
        if self.position >= len(self.paths):
            return None
        path = self.paths[self.position]
        self.position += 1
        try:
            return np.fromfile(path, np.uint8)
        except OSError:
            return np.zeros(0, np.uint8)  # decodes to nothing: counted and reported like a broken image

    def skip(self):
        self.position += 1
        return self.position <= len(self.paths)

    def ending(self) -> str:
        return ""

    def close(self):
        pass


def check_fps(fps: float, path: Path) -> None:
    if not 0.5 <= fps <= 1000:
        raise EgostreamError(
            f"{path} would play at {fps:g} frames per second; 0.5 to 1000 is possible. Give its rate: --fps 30"
        )


def natural_key(path: Path) -> list:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]
