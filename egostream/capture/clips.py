"""Finite sequences of frames: video files and image folders."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from egostream.errors import EgostreamError

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
#: Codecs whose packets are JPEG images, as files name them.
JPEG_CODECS = (b"MJPG", b"mjpg", b"jpeg")
FPS_RANGE = 0.5, 1000.0  # frames per second that a recording may have; anything else is a damaged header


class Recording(Protocol):
    """A finite sequence of frames, read forwards. ``fps``, ``count`` and ``mode`` are known once it is open."""

    fps: float  # frames per second
    count: int  # frames, as far as is known; 0: unknown
    mode: str  # what is played, for people

    def open(self) -> None:
        """Go to the first frame. Raises EgostreamError when there is none to read."""

    def read(self) -> np.ndarray | None:
        """The next frame, BGR [H, W, 3] or encoded bytes [n]; None at the end."""

    def skip(self) -> bool:
        """Pass over one frame without reading it; False at the end."""

    def ending(self) -> str:
        """What is odd about where the recording ended; empty when nothing is."""

    def close(self) -> None:
        """Let the file go. Closing one that is not open does nothing."""


class Video:
    """A video file. Motion-JPEG frames stay encoded, so that they can be decoded at a reduced size.

    fps: the rate to play it at, 0 for the file's own.
    """

    def __init__(self, path: Path, fps: float = 0.0):
        self.path, self.wanted_fps = path, fps
        self.capture: cv2.VideoCapture | None = None
        self.fps, self.count, self.mode = fps, 0, ""
        self.position = 0  # frames read or passed over
        self.is_raw = False

    def open(self) -> None:
        """Go to the first frame. Raises EgostreamError when the file is missing, damaged, or of an unknown codec."""
        self.close()
        if not self.path.is_file():
            raise EgostreamError(f"video {self.path} does not exist")
        self.capture = capture = self.open_raw() or cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG)
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)  # calibrations speak of pixels as they are stored
        if not capture.isOpened():
            raise EgostreamError(
                f"video {self.path} cannot be read: damaged, or a codec that OpenCV lacks. "
                f"Try: ffmpeg -i {self.path.name} -c:v mjpeg -q:v 3 out.avi"
            )
        self.fps = self.wanted_fps or capture.get(cv2.CAP_PROP_FPS)
        check_fps(self.fps, self.path)
        self.count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.position = 0
        width, height = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        self.mode = f"{self.path.name} {width}x{height} {self.fps:g} fps{' raw MJPG' if self.is_raw else ''}"

    def open_raw(self) -> cv2.VideoCapture | None:
        """The packets of a Motion-JPEG file as they are, or None when it is not one."""
        capture = cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1])
        codec = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF if capture.isOpened() else 0
        self.is_raw = codec.to_bytes(4, "little") in JPEG_CODECS
        if self.is_raw:
            return capture
        capture.release()
        return None

    def read(self) -> np.ndarray | None:
        """The next frame, BGR [H, W, 3], or JPEG bytes [n] of a Motion-JPEG file; None at the end."""
        assert self.capture is not None, "open the video first"
        ok, frame = self.capture.read()
        if not ok:
            return None
        self.position += 1
        return frame.reshape(-1) if self.is_raw else frame

    def skip(self) -> bool:
        """Pass over one frame without reading it; False at the end."""
        assert self.capture is not None, "open the video first"
        ok = self.capture.grab()
        self.position += ok
        return ok

    def ending(self) -> str:
        """What is odd about where the file ended; empty when nothing is."""
        # Containers without an index only estimate their count, from the duration.
        if self.count > 0 and self.position < self.count - self.fps / 2:
            return f"video {self.path.name} ended at frame {self.position} of {self.count}: truncated or damaged"
        return ""

    def close(self) -> None:
        """Let the file go. Closing one that is not open does nothing."""
        if self.capture is not None:
            self.capture.release()
            self.capture = None


class ImageFolder:
    """A folder of images in natural order (img_2 before img_10), kept encoded. fps: the rate to play them at."""

    def __init__(self, folder: Path, fps: float):
        self.folder, self.fps = folder, fps
        self.paths: list[Path] = []
        self.count, self.mode = 0, ""
        self.position = 0  # images read or passed over

    def open(self) -> None:
        """List the images and go to the first. Raises EgostreamError when there is none, or for an impossible rate."""
        try:
            images = [path for path in self.folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES]
        except OSError as error:
            raise EgostreamError(f"folder {self.folder} cannot be read: {error.strerror}") from None
        check_fps(self.fps, self.folder)
        if not images:
            raise EgostreamError(f"folder {self.folder} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
        self.paths = sorted(images, key=natural_key)
        self.position, self.count = 0, len(self.paths)
        self.mode = f"{self.folder.name}/ {len(self.paths)} images at {self.fps:g} fps"

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
        self.position += 1
        return self.position <= len(self.paths)

    def ending(self) -> str:
        """Empty: a folder ends where its images do."""
        return ""

    def close(self) -> None:
        """Do nothing: no file stays open."""


def check_fps(fps: float, path: Path) -> None:
    """Raise EgostreamError for a rate at which ``path`` cannot be played."""
    least, most = FPS_RANGE
    if not least <= fps <= most:
        raise EgostreamError(
            f"{path} would play at {fps:g} frames per second; {least:g} to {most:g} is possible. "
            "Give its rate: --fps 30"
        )


def natural_key(path: Path) -> list[str | int]:
    """Sorting by it puts img_2 before img_10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]
