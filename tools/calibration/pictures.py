"""Pictures of a board: from a folder, or chosen among a video's frames; and the lens circle in them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from egostream.capture.clips import IMAGE_SUFFIXES, Video, natural_key
from egostream.capture.decode import BadFrame
from egostream.errors import EgostreamError

#: The sharpest frame of each such time is looked at; a board that is moved by hand rests for longer.
WINDOW_S = 0.4
DEFAULT_FPS = 30.0  # where a file says none; only the length of a window depends on it
#: Frames taken of a video at most, the most different ones: more add seconds and no accuracy.
MOST_FRAMES = 80
LOOK_WIDTH = 160  # pixels across in which frames are compared
#: Mean difference of grey levels below which a frame shows what the one before it showed; noise makes about 1.
LEAST_CHANGE = 2.5
#: Outside the lens circle, no picture is brighter than this grey level (of 255) or this part of the inside.
DARK_LEVEL, DARK_SHARE = 24, 0.25
CIRCLE_WITHIN = 0.012  # of the radius: how well the edge of the bright part must follow a circle
LEAST_ARC = 0.3  # part of the circle that must lie inside the picture


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture in a file, or a video's frame that is in memory already."""

    path: Path
    frame: np.ndarray | None = None

    def __str__(self) -> str:
        return str(self.path)

    def read(self) -> np.ndarray | None:
        """The grey image [H, W] as the camera made it, whatever the file says of rotation; None if unreadable."""
        if self.frame is not None:
            return self.frame
        try:
            return grey(np.fromfile(self.path, np.uint8))  # not by OpenCV's reader, which knows no names but UTF-8's
        except OSError:
            return None


def pictures_in(folder: Path) -> list[Picture]:
    """The pictures of a folder in natural order, without hidden files."""
    paths = (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES and path.name[0] != ".")
    return [Picture(path) for path in sorted(paths, key=natural_key)]


def sharpness(image: np.ndarray) -> float:
    """How sharp a grey image is: the variance of its Laplacian. Only frames of one scene compare."""
    return float(cv2.Laplacian(image, cv2.CV_32F).var())


def small(image: np.ndarray) -> np.ndarray:
    """A grey image at LOOK_WIDTH, for comparing."""
    height, width = image.shape
    return cv2.resize(image, (LOOK_WIDTH, max(round(height * LOOK_WIDTH / width), 1)), interpolation=cv2.INTER_AREA)


def frames_of(video: Path) -> Iterator[np.ndarray]:
    """The grey frames [H, W] of a video as the camera made them, without damaged ones.

    Raises EgostreamError when there are none.
    """
    recording, count = opened(video), 0
    try:
        while (data := next_frame(recording)) is not None:
            count += 1
            if data.size:
                yield data
    finally:
        recording.close()
    if not count:
        raise EgostreamError(f"{video} has no frames that can be read. Give a video, or a folder of pictures")


def opened(video: Path) -> Video:
    """A video at its first frame; one that tells no times as if it had DEFAULT_FPS. Raises EgostreamError."""
    recording = Video(video)
    try:
        recording.open()
    except EgostreamError:
        recording = Video(video, DEFAULT_FPS)
        recording.open()
    return recording


def next_frame(recording: Video) -> np.ndarray | None:
    """A video's next frame, grey [H, W]; empty for a damaged one; None at the end."""
    try:
        data = recording.read()
    except BadFrame:
        return np.zeros((0, 0), np.uint8)
    if data is None:
        return None
    image = grey(data) if data.ndim == 1 else cv2.cvtColor(data, cv2.COLOR_BGR2GRAY)
    return np.zeros((0, 0), np.uint8) if image is None else image


def grey(data: np.ndarray) -> np.ndarray | None:
    """The grey image [H, W] in encoded bytes [n], whatever they say of rotation; None if they hold none."""
    try:
        return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION) if data.size else None
    except cv2.error:
        return None


def sharpest(frames: Iterable[np.ndarray], window: int) -> Iterator[tuple[int, np.ndarray]]:
    """The number and image of the sharpest frame of every ``window`` frames."""
    best: tuple[float, int, np.ndarray] | None = None
    for number, frame in enumerate(frames):
        if number % window == 0 and best:
            yield best[1:]
            best = None
        value = sharpness(frame)
        if best is None or value > best[0]:
            best = value, number, frame
    if best:
        yield best[1:]


def pictures_from(video: Path) -> list[Picture]:
    """Sharp frames of a video that show something new, at most MOST_FRAMES. Raises EgostreamError."""
    recording = opened(video)
    fps = recording.fps
    recording.close()
    window = max(round(WINDOW_S * (fps if 1 <= fps <= 1000 else DEFAULT_FPS)), 1)
    taken: list[tuple[int, np.ndarray, np.ndarray]] = []
    for number, frame in sharpest(frames_of(video), window):
        look = small(frame).astype(np.int16)
        if taken and taken[-1][2].shape == look.shape and np.abs(look - taken[-1][2]).mean() < LEAST_CHANGE:
            continue
        taken.append((number, frame, look))
        if len(taken) > 2 * MOST_FRAMES:
            taken = taken[::2]  # a long video fills no memory
    step = max(len(taken) / MOST_FRAMES, 1)
    chosen = [taken[int(n * step)] for n in range(int(len(taken) / step))]
    print(f"{video}: {len(chosen)} sharp frames that differ", file=sys.stderr)
    return [Picture(Path(f"{video}#{number}"), frame) for number, frame, _ in chosen]


def lens_circle(images: Iterable[np.ndarray]) -> tuple[float, float, float] | None:
    """Centre (u, v) and radius of the circle that the lens draws on the sensor, pixels; None where it is not seen.

    Outside it every picture is dark. Its edge is looked for on lines from the middle of the bright part.
    """
    bright = None
    for image in images:
        bright = image if bright is None else np.maximum(bright, image) if bright.shape == image.shape else bright
    if bright is None:
        return None
    height, width = bright.shape
    level = max(DARK_LEVEL, DARK_SHARE * float(np.quantile(bright, 0.9)))
    mask = cv2.medianBlur((bright > level).astype(np.uint8), 5)
    if not 0.2 < mask.mean() < 0.97:
        return None
    edge = edge_points(mask)
    inside = (edge > 2).all(-1) & (edge < np.array([width, height]) - 3).all(-1)
    if inside.mean() < LEAST_ARC:
        return None
    circle = circle_through(edge[inside])
    if circle is None:
        return None
    u, v, radius = circle
    off = np.abs(np.hypot(edge[inside, 0] - u, edge[inside, 1] - v) - radius)
    return circle if np.quantile(off, 0.8) < CIRCLE_WITHIN * radius else None


def edge_points(mask: np.ndarray) -> np.ndarray:
    """The furthest bright pixel [A, 2] on each line from the middle of a mask [H, W]."""
    height, width = mask.shape
    v, u = np.nonzero(mask)
    middle = np.array([(u.min() + u.max()) / 2, (v.min() + v.max()) / 2])
    angles = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    steps = np.arange(1, np.hypot(width, height), 0.5)
    line = middle + steps[:, None, None] * np.stack([np.cos(angles), np.sin(angles)], -1)
    at = np.clip(line.round().astype(int), 0, np.array([width, height]) - 1)
    is_in = (line >= 0).all(-1) & (line <= np.array([width, height]) - 1).all(-1)
    lit = (mask[at[..., 1], at[..., 0]] > 0) & is_in
    furthest = len(steps) - 1 - np.argmax(lit[::-1], axis=0)
    return line[furthest, np.arange(len(angles))]


def circle_through(points: np.ndarray) -> tuple[float, float, float] | None:
    """Centre and radius of the circle that most points [n, 2] lie near; None for points in a line.

    Linear least squares (Kasa), again without the furthest fifth: a dark board at the rim dents the edge.
    """
    kept = points
    for _ in range(4):
        system = np.column_stack([2 * kept, np.ones(len(kept))])
        (u, v, rest), _, rank, _ = np.linalg.lstsq(system, np.square(kept).sum(-1), rcond=None)
        if rank < 3:
            return None
        radius = float(np.sqrt(max(rest + u * u + v * v, 0)))
        off = np.abs(np.hypot(points[:, 0] - u, points[:, 1] - v) - radius)
        kept = points[off <= np.quantile(off, 0.8)]
    return float(u), float(v), radius
