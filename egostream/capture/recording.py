"""Recordings as cameras: video files and image folders, played live, frame by frame, or as fast as taken."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from egostream.capture.camera import Pace
from egostream.errors import EgostreamError, StreamEnded
from egostream.types import CameraFrame

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
            self.paths = sorted((p for p in self.folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES), key=natural_key)
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


IN_VAIN = 3  # times that skipping gained nothing: a busy processor alone seldom does that so often
CATCH_UP_S = 2.0  # after a long suspension, say


def check_fps(fps: float, path: Path) -> None:
    if not 0.5 <= fps <= 1000:
        raise EgostreamError(f"{path} would play at {fps:g} frames per second; 0.5 to 1000 is possible. Give its rate: --fps 30")


def natural_key(path: Path) -> list:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name)]


class RecordingCamera:
    """Plays a recording as a camera would, or frame by frame."""

    is_live = False

    def __init__(self, recording: Recording, pace: Pace, loop: bool, seq: int, segment: int, say: Callable[[str], None]):
        self.recording, self.pace, self.loop, self.say = recording, pace, loop, say
        self.seq, self.segment = seq, segment
        self.is_paced = pace is not Pace.LIVE

    @property
    def mode(self) -> str:
        return f"{self.recording.mode}, {self.pace}"

    def open(self):
        self.recording.open()
        self.t_start_ns = None
        self.index = self.seq % self.recording.count if self.loop and self.recording.count > 0 else self.seq
        for _ in range(self.index):  # after a restart it goes on where it was
            self.recording.skip()

    def start(self):
        """The next frame is due now."""
        self.t_start_ns = time.monotonic_ns() - round(self.index * 1e9 / self.recording.fps)

    def due_ns(self) -> int:
        """When the next frame happens, by the recording's own clock."""
        return self.t_start_ns + round(self.index * 1e9 / self.recording.fps)

    def read(self):
        if self.t_start_ns is None:  # it plays from when it is first looked at
            self.start()
        if self.pace is Pace.LIVE:
            self.skip_late()
            time.sleep(max(0, self.due_ns() - time.monotonic_ns()) / 1e9)
        t_capture_ns = time.monotonic_ns() if self.pace is Pace.MAX_RATE else self.due_ns()
        data = self.recording.read()
        if data is None:
            self.rewind()
            return self.read()
        frame = CameraFrame(self.seq, self.segment, t_capture_ns, data, self.pace is not Pace.EVERY_FRAME)
        self.advance()
        return frame

    def skip_late(self):
        """Pass over frames whose successor is already due: a camera would not have waited for us.

        Passing over a frame has a cost, too, since most codecs must decode it. Where that takes longer than the frame lasts,
        nothing could ever catch up: then the recording's clock waits instead.
        """
        period = round(1e9 / self.recording.fps)
        begun_s, before, in_vain = time.monotonic(), None, 0
        while (late := (time.monotonic_ns() - self.due_ns()) // period) > 0:
            in_vain = in_vain + 1 if before is not None and late >= before else 0
            if in_vain == IN_VAIN or time.monotonic() - begun_s > CATCH_UP_S:
                self.start()
                return
            before = late
            for _ in range(late):
                if not self.recording.skip():
                    return
                self.advance()
                if time.monotonic() - begun_s > CATCH_UP_S:
                    break

    def advance(self):
        self.seq += 1
        self.index += 1

    def rewind(self):
        """Start again, or end. A new segment: the wearer has jumped."""
        if note := self.recording.ending():
            self.say(note)
        if not self.loop or self.index == 0:
            raise StreamEnded
        resume_ns = self.due_ns()
        self.recording.open()
        self.index = 0
        self.start()
        if self.pace is Pace.EVERY_FRAME:
            self.t_start_ns = resume_ns  # its clock is the recording's, not ours
        self.segment += 1

    def close(self):
        self.recording.close()
