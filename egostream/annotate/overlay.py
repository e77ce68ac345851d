"""``--overlay``: the recording's pictures with the bones drawn on them, as an H.264 video."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from egostream.annotate.contract import RecordingFacts
from egostream.annotate.pictures import pixels_of
from egostream.capture.decode import BadFrame
from egostream.skeleton import BONES
from egostream.types import Pose

if TYPE_CHECKING:
    import av

#: The video's unit of time: exact for 24, 25, 30, 60 and 90 frames a second, as MPEG-TS has it.
TIME_BASE = Fraction(1, 90_000)
NS = 1_000_000_000
#: Longest side of the video, pixels: no less than most screens have.
LONGEST_SIDE = 1920
#: x264's constant quality; 18 is called visually lossless, 23 its default, 28 poor.
QUALITY, SPEED = "20", "veryfast"
#: Keypoints below this confidence are guesses, and are drawn thin and grey.
UNSURE = 0.3
#: BGR of the wearer's right, left and middle.
RIGHT, LEFT, MIDDLE, GREY, DARK = (60, 120, 255), (255, 170, 50), (80, 220, 80), (170, 170, 170), (20, 20, 20)


class OverlayWriter:
    """Writes an MP4 of every picture that has a pose, at its own time."""

    def __init__(self, path: Path, facts: RecordingFacts):
        import av

        self.size = video_size(facts.width, facts.height)
        self.scale = self.size[0] / facts.width
        self.container = av.open(str(path), "w", format="mp4", options={"movflags": "faststart"})
        self.stream = self.container.add_stream("libx264", rate=30, options={"crf": QUALITY, "preset": SPEED})
        self.stream.width, self.stream.height = self.size
        self.stream.pix_fmt = "yuv420p"
        self.stream.time_base = self.stream.codec_context.time_base = TIME_BASE
        self.is_finished = False

    def add(self, pose: Pose, picture: np.ndarray | None) -> None:
        """Draw one pose, and encode the picture."""
        import av

        assert picture is not None, "formats.py asks for pictures"
        try:
            pixels = pixels_of(picture)
        except BadFrame:
            return  # the reduced picture was whole enough for a pose; the video goes on without this one
        frame = av.VideoFrame.from_ndarray(drawn(pixels, pose, self.size, self.scale), "bgr24")
        frame = frame.reformat(format="yuv420p")
        frame.pts, frame.time_base = round(Fraction(pose.t_capture_ns, NS) / TIME_BASE), TIME_BASE
        self.mux(self.stream.encode(frame))

    def mux(self, packets: list[av.Packet]) -> None:
        """Put encoded pictures into the file."""
        for packet in packets:
            self.container.mux(packet)

    def finish(self) -> None:
        """Encode what the encoder holds back, and close the file."""
        self.mux(self.stream.encode(None))
        self.container.close()
        self.is_finished = True

    def close(self) -> None:
        """Let the file go."""
        if not self.is_finished:
            self.container.close()


def video_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of the video: the picture's, up to LONGEST_SIDE, and even, as H.264 wants them."""
    scale = min(1.0, LONGEST_SIDE / max(width, height))
    return 2 * round(width * scale / 2), 2 * round(height * scale / 2)


def drawn(pixels: np.ndarray, pose: Pose, size: tuple[int, int], scale: float) -> np.ndarray:
    """A picture [H, W, 3] of ``size`` with the pose's bones. scale: of the video's pixels to the picture's."""
    image = pixels.copy() if pixels.shape[1::-1] == size else cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    points = ((pose.keypoints + 0.5) * scale - 0.5).round().clip(-1e5, 1e5).astype(int)
    width = max(2, round(size[0] / 320))
    for child, parent in BONES:
        is_sure = min(pose.confidence[child], pose.confidence[parent]) >= UNSURE
        ends = tuple(points[child].tolist()), tuple(points[parent].tolist())
        cv2.line(image, *ends, DARK, width + 2 * is_sure, cv2.LINE_AA)
        cv2.line(image, *ends, colour(child) if is_sure else GREY, width if is_sure else 1, cv2.LINE_AA)
    for joint, point in enumerate(points.tolist()):
        if pose.confidence[joint] > 0:  # 0: the camera cannot see there
            sure = pose.confidence[joint] >= UNSURE
            cv2.circle(image, tuple(point), width + 2, DARK, cv2.FILLED, cv2.LINE_AA)
            cv2.circle(image, tuple(point), width + 1, colour(joint) if sure else GREY, cv2.FILLED, cv2.LINE_AA)
    return image


def colour(joint: int) -> tuple[int, int, int]:
    """BGR of a joint: the wearer's right 1 to 3 and 7 to 10, left 4 to 6 and 11 to 14, the neck between."""
    if joint == 0:
        return MIDDLE
    return RIGHT if joint in (1, 2, 3, 7, 8, 9, 10) else LEFT
