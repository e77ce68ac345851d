#!/usr/bin/env python3
"""Draw a clip with its estimated poses as a moving picture: bones on the camera's frame, the 3D skeleton beside it.

    python tools/draw_clip.py -o docs/pose.webp                                           # the bundled sample
    python tools/draw_clip.py --clip my-clip.mp4 --calibration my-camera.json -o mine.webp
    python tools/draw_clip.py --start 2 --seconds 4 --fps 10 -o part.gif

Poses come from the estimator that ``egostream run`` would load, frame by frame, from the beginning of the clip. Joints
are turned to the rays of their keypoints, as in a run, but not smoothed over time. The sample's end leads back into its
beginning: it is played twice, and drawn the second time.

The right side of the body is orange, the left one blue; joints that the network is less sure of are fainter. The 3D
skeleton is seen from the wearer's right, stood upright by its balance; the small pyramid is the camera.
Pillow is needed, which comes with matplotlib: pip install -e '.[plot]'
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

from egostream.calibration.file import Calibration, load_calibration
from egostream.calibration.view import CameraView
from egostream.capture.clips import ImageFolder, Video
from egostream.capture.decode import decode_bytes
from egostream.capture.rectify import Rectifier
from egostream.errors import EgostreamError
from egostream.graph.default_weights import default_weights
from egostream.graph.weights import Weights, load_weights
from egostream.infer.refine import Refiner
from egostream.skeleton import BONES, JOINTS
from egostream.types import NetworkInput, Pose
from tools.data.frames import FOLDER_FPS, SAMPLE
from tools.entry import run_tool
from tools.evaluation.predict import EnginePredictor

PANEL, STRIP = 360, 28  # pixels of each of the two squares, and of the words below. A README shows some 720 in width
FINER = 2  # lines are drawn on a canvas this many times as large and averaged down, which is smoother
FIXED_POINT = 4  # binary digits behind the point of OpenCV's coordinates
BACKGROUND, GRID, SHADOW, PALE = (34, 34, 36), (76, 78, 82), (22, 22, 24), (170, 174, 180)
RIGHT, LEFT, MIDDLE = (255, 140, 40), (70, 165, 255), (225, 230, 235)
FAINTEST = 0.15  # opacity of a bone that the network is not sure of at all
SURE = 0.6  # confidence from which on a bone is opaque: chosen by hand, a little below that of well seen joints
AZIMUTH, ELEVATION = np.radians(56), np.radians(12)  # of the eye: from ahead towards the wearer's right, and upward
EYE_M, LOOKED_AT_M, TALL_M = 5.0, 0.79, 1.95  # metres: to the eye, height it looks at, height that fills a panel
SETTLE_S = 0.15  # deviation of the average over time that decides where up is

#: Camera axes of a camera that looks down (right, behind, down) as columns in the wearer's (left, up, ahead).
WEARER_FROM_CAMERA = np.array([[-1.0, 0, 0], [0, 0, -1.0], [0, -1.0, 0]])
FEET = [JOINTS.index(f"{side}_{part}") for side in ("right", "left") for part in ("ankle", "foot")]
#: Share of the body's mass at each joint: the masses of segments after Winter (Biomechanics and Motor Control of Human
#: Movement), each divided between its ends. The trunk's ends are neck and hips; head and hands count where they begin.
HALF_BODY = (0.014, 0.022, 0.014), (0.17425, 0.07325, 0.0305, 0.00725)  # an arm's three joints, a leg's four
MASS = np.array([0.3295, *HALF_BODY[0], *HALF_BODY[0], *HALF_BODY[1], *HALF_BODY[1]])
#: A small pyramid for the camera, in camera axes: its tip, and the corners of its base.
CAMERA = np.array([(0, 0, 0), (-0.07, -0.055, 0.11), (0.07, -0.055, 0.11), (0.07, 0.055, 0.11), (-0.07, 0.055, 0.11)])


Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Drawn:
    """One frame with its estimate."""

    image: np.ndarray  # uint8 RGB [H, W, 3], the camera's full frame
    pose: Pose


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line. Raises EgostreamError for what cannot be drawn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, default=SAMPLE, help="video or image folder (the bundled sample)")
    parser.add_argument("--calibration", type=Path, help="of the camera that took it (the canonical one)")
    parser.add_argument("--weights", type=Path, help="weights folder (the shipped ones)")
    parser.add_argument("--backend", default="auto", help="as in egostream run (auto)")
    parser.add_argument("--precision", default="auto", help="as in egostream run (auto)")
    parser.add_argument("--start", type=float, default=0.0, help="seconds of the clip before what is drawn (0)")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of what is drawn (3)")
    parser.add_argument(
        "--repeat", type=int, help="play it so often and draw the last time (1; the sample, which loops: 2)"
    )
    parser.add_argument("--fps", type=float, default=12.0, help="frames per second of the picture (12)")
    parser.add_argument("--quality", type=int, default=80, help="of a WebP, 1 to 100 (80)")
    parser.add_argument("-o", "--output", type=Path, required=True, help=".webp or .gif to write")
    options = parser.parse_args(arguments)
    if options.output.suffix.lower() not in (".webp", ".gif"):
        raise EgostreamError(f"--output {options.output}: expected a .webp or a .gif")
    if options.repeat is None:
        options.repeat = 2 if options.clip == SAMPLE else 1
    for name, least in (("start", 0), ("repeat", 1), ("seconds", 0.1), ("fps", 1), ("quality", 1)):
        if getattr(options, name) < least:
            raise EgostreamError(f"--{name} is {getattr(options, name)}, expected {least} or more")
    return options


def read_images(clip: Path) -> tuple[Iterator[np.ndarray], float]:
    """Full frames uint8 BGR [H, W, 3] of a video or image folder, in order, and their rate."""
    recording = ImageFolder(clip, FOLDER_FPS) if clip.is_dir() else Video(clip)
    recording.open()

    def images() -> Iterator[np.ndarray]:
        while (data := recording.read()) is not None:
            yield decode_bytes(data, cv2.IMREAD_COLOR_BGR) if data.ndim == 1 else data
        recording.close()

    return images(), recording.fps


def estimated(options: argparse.Namespace, weights: Weights, camera: Calibration | None) -> list[Drawn]:
    """The frames to draw with their poses. The frames before them are estimated, too."""
    say = lambda line: print(line, file=sys.stderr)
    predictor = EnginePredictor(weights, options.backend, options.precision, say, Refiner(has_rays=True))
    rectifier = Rectifier(CameraView(weights.input, camera))
    drawn: list[Drawn] = []
    seq = 0
    for lap in range(options.repeat):
        images, fps = read_images(options.clip)
        first, last = options.start * fps, (options.start + options.seconds) * fps
        wanted = {int(number) for number in np.arange(first, last - 0.5, fps / options.fps)}
        for number, image in enumerate(images):
            if image.shape[1::-1] != tuple(rectifier.view.camera.size):
                raise EgostreamError(
                    f"{options.clip} is of another camera than {rectifier.view.camera.name}: --calibration"
                )
            reduced = cv2.resize(image, rectifier.reduced_size(), interpolation=cv2.INTER_AREA)
            frame = NetworkInput(seq, 0, round(seq * 1e9 / fps), rectifier.rectify(reduced), {}, 0)
            pose, seq = predictor.estimator.estimate(frame), seq + 1
            pixels, _ = rectifier.view.camera_from_canonical(pose.keypoints)
            if lap == options.repeat - 1 and number in wanted:
                drawn.append(Drawn(image[..., ::-1], replace(pose, keypoints=pixels)))
            if lap == options.repeat - 1 and number >= max(wanted):
                break
    if not drawn:
        raise EgostreamError(f"{options.clip} ends before --start {options.start:g}")
    return drawn


class Canvas:
    """A square to draw on, FINER times as large as it is shown. Points are in pixels of the shown square."""

    def __init__(self, picture: np.ndarray):
        self.pixels = cv2.resize(picture, (PANEL * FINER, PANEL * FINER), interpolation=cv2.INTER_AREA)

    def line(self, start: np.ndarray, end: np.ndarray, colour: Colour, width: float, opacity: float = 1.0) -> None:
        """A line from one point [2] to another, ``width`` pixels wide."""
        layer, thickness = self.pixels.copy(), max(1, round(width * FINER))
        cv2.line(layer, fixed_point(start), fixed_point(end), colour, thickness, cv2.LINE_AA, FIXED_POINT)
        cv2.addWeighted(layer, opacity, self.pixels, 1 - opacity, 0, self.pixels)

    def dot(self, centre: np.ndarray, colour: Colour, radius: float, opacity: float = 1.0) -> None:
        """A filled circle of ``radius`` pixels around a point [2]."""
        layer, size = self.pixels.copy(), round(radius * FINER * 2**FIXED_POINT)
        cv2.circle(layer, fixed_point(centre), size, colour, -1, cv2.LINE_AA, FIXED_POINT)
        cv2.addWeighted(layer, opacity, self.pixels, 1 - opacity, 0, self.pixels)

    def shown(self) -> np.ndarray:
        """The picture uint8 RGB [PANEL, PANEL, 3]."""
        return cv2.resize(self.pixels, (PANEL, PANEL), interpolation=cv2.INTER_AREA)


def fixed_point(point: np.ndarray) -> tuple[int, int]:
    """A point [2] in OpenCV's fixed-point pixels of a canvas; points far outside are pulled nearer."""
    x, y = (np.clip(np.nan_to_num(point), -4 * PANEL, 5 * PANEL) + 0.5) * FINER - 0.5
    return round(float(x) * 2**FIXED_POINT), round(float(y) * 2**FIXED_POINT)


def colour_of(joint: int) -> Colour:
    """The colour of a joint and of the bone that ends in it, by the side of the body."""
    return {"r": RIGHT, "l": LEFT}.get(JOINTS[joint][0], MIDDLE)


def draw_skeleton(canvas: Canvas, points: np.ndarray, depth: np.ndarray, confidence: np.ndarray, width: float) -> None:
    """Bones and joints at points [15, 2], far ones first: depth [15] is distance, confidence [15] is opacity."""
    opacity = FAINTEST + (1 - FAINTEST) * np.clip(confidence / SURE, 0, 1)
    for child, parent in sorted(BONES, key=lambda bone: -depth[list(bone)].mean()):
        sure = float(min(opacity[child], opacity[parent]))
        canvas.line(points[child], points[parent], BACKGROUND, width + 2.0, 0.6 * sure)
        canvas.line(points[child], points[parent], colour_of(child), width, sure)
    for joint in np.argsort(-depth):
        canvas.dot(points[joint], BACKGROUND, 0.75 * width + 1.2, 0.6 * float(opacity[joint]))
        canvas.dot(points[joint], colour_of(joint), 0.75 * width + 0.2, float(opacity[joint]))


def camera_panel(frame: Drawn) -> np.ndarray:
    """The middle square of the camera's frame with the bones on it, uint8 RGB [PANEL, PANEL, 3]."""
    height, width = frame.image.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    canvas = Canvas(np.ascontiguousarray(frame.image[top : top + side, left : left + side]))
    points = (frame.pose.keypoints + 0.5 - (left, top)) * (PANEL / side)
    draw_skeleton(canvas, points, np.linalg.norm(frame.pose.joints, axis=1), frame.pose.confidence, 3.0)
    return canvas.shown()


def balanced(joints: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Joints [F, 15, 3] in camera axes -> joints [F, 15, 3] and CAMERA [F, 5, 3] upright: (left, up, ahead), metres.

    A camera on a head does not know where up is. Whoever stands has the centre of mass over the feet: that line is
    taken for the vertical, averaged over time (Gaussian, deviation ``width`` frames). The lower foot is at height 0.
    """
    camera = np.broadcast_to(CAMERA, (len(joints), *CAMERA.shape))
    points = np.concatenate([joints, camera], 1) @ WEARER_FROM_CAMERA.T
    up = unit(smoothed(MASS @ points[:, : len(JOINTS)] - points[:, FEET].mean(1), width))
    ahead = unit([0, 0, 1.0] - up[:, 2:] * up)
    points = points @ np.stack([np.cross(up, ahead), up, ahead], 2)
    ground = points[:, FEET].mean(1)
    ground[:, 1] = points[:, FEET, 1].min(1)
    points = points - smoothed(ground, width)[:, None]
    return points[:, : len(JOINTS)], points[:, len(JOINTS) :]


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors [..., 3] of length 1."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def smoothed(values: np.ndarray, width: float) -> np.ndarray:
    """Values [F, C] averaged over neighbouring frames with Gaussian weights of deviation ``width`` frames."""
    apart = np.arange(len(values))[:, None] - np.arange(len(values))
    weights = np.exp(-0.5 * (apart / width) ** 2)
    return weights @ values / weights.sum(1, keepdims=True)


def seen_from_the_side(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Upright points [..., 3] -> pixels [..., 2] of a panel, and their distance from the eye [...] in metres."""
    towards = np.array([-np.cos(ELEVATION) * np.sin(AZIMUTH), np.sin(ELEVATION), np.cos(ELEVATION) * np.cos(AZIMUTH)])
    right = unit(np.cross([0, 1.0, 0], towards))
    seen = (points - [0, LOOKED_AT_M, 0]) @ np.stack([right, np.cross(towards, right), towards], 1)
    distance = EYE_M - seen[..., 2]
    scale = PANEL / TALL_M * EYE_M / distance
    return np.stack([PANEL / 2 + seen[..., 0] * scale, PANEL / 2 - seen[..., 1] * scale], -1), distance


def empty_stage() -> np.ndarray:
    """The floor that the skeleton stands on, uint8 RGB [PANEL, PANEL, 3]: a grid of half metres that fades outward."""
    canvas = Canvas(np.full((PANEL, PANEL, 3), BACKGROUND, np.uint8))
    steps = np.arange(-1.5, 1.51, 0.5)
    pieces = np.linspace(-1.5, 1.5, 25)
    for across in steps:
        for start, end in zip(pieces, pieces[1:]):
            fade = float(np.clip(1.15 - np.hypot(across, (start + end) / 2) / 1.6, 0, 1))
            for line in (((across, 0, start), (across, 0, end)), ((start, 0, across), (end, 0, across))):
                (start_xy, end_xy), _ = seen_from_the_side(np.array(line))
                canvas.line(start_xy, end_xy, GRID, 1.0, fade)
    return canvas.shown()


def stage_panel(stage: np.ndarray, joints: np.ndarray, camera: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Upright joints [15, 3] and camera [5, 3] on an empty stage, uint8 RGB [PANEL, PANEL, 3]."""
    canvas = Canvas(stage)
    shadow, _ = seen_from_the_side(joints * (1, 0, 1))
    for child, parent in BONES:
        canvas.line(shadow[child], shadow[parent], SHADOW, 5.0, 0.5)
    draw_skeleton(canvas, *seen_from_the_side(joints), confidence, 4.0)
    neck = seen_from_the_side(joints[:1])[0][0]
    tip, *corners = seen_from_the_side(camera)[0]
    canvas.line(neck, tip, PALE, 1.2, 0.5)  # the head, which has no joint of its own
    for corner, next_corner in zip(corners, corners[1:] + corners[:1]):
        canvas.line(tip, corner, PALE, 1.2)
        canvas.line(corner, next_corner, PALE, 1.2)
    return canvas.shown()


def captioned(panel: np.ndarray, text: str) -> np.ndarray:
    """A panel with a line of small text below it, uint8 RGB [PANEL + STRIP, PANEL, 3]."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (PANEL, PANEL + STRIP), BACKGROUND)
    image.paste(Image.fromarray(panel))
    place, font = (PANEL // 2, PANEL + STRIP // 2 - 2), ImageFont.load_default(14)
    ImageDraw.Draw(image).text(place, text, fill=PALE, font=font, anchor="mm")
    return np.asarray(image)


def pictures(drawn: list[Drawn], fps: float) -> list[np.ndarray]:
    """Both panels of every frame side by side, uint8 RGB [PANEL + STRIP, 2 PANEL, 3]. fps: of the pictures."""
    joints, cameras = balanced(np.stack([frame.pose.joints for frame in drawn]), SETTLE_S * fps)
    stage, shown = empty_stage(), []
    for frame, points, camera in zip(drawn, joints, cameras):
        side = stage_panel(stage, points, camera, frame.pose.confidence)
        left = captioned(camera_panel(frame), "what the camera on the head sees")
        shown.append(np.hstack([left, captioned(side, "the estimated 3D pose, from the side")]))
    return shown


def write(path: Path, images: list[np.ndarray], fps: float, quality: int) -> None:
    """An animated WebP or GIF that repeats for ever. Raises EgostreamError when it cannot be written."""
    from PIL import Image

    first, *others = (Image.fromarray(image) for image in images)
    encoded = io.BytesIO()
    kind = path.suffix[1:].lower()
    options = {"quality": quality, "method": 6} if kind == "webp" else {"optimize": True}
    first.save(encoded, kind, save_all=True, append_images=others, duration=round(1000 / fps), loop=0, **options)
    try:
        path.write_bytes(encoded.getvalue())
    except OSError as error:
        raise EgostreamError(f"cannot write {path}: {error.strerror}. Choose another --output") from None
    print(f"{path}: {len(images)} frames, {len(encoded.getvalue()) / 1e6:.1f} MB")


def main(arguments: list[str] | None = None) -> None:
    """Read, estimate, draw, write."""
    options = parse(arguments)
    weights = load_weights(options.weights) if options.weights else default_weights()
    camera = load_calibration(options.calibration) if options.calibration else None
    write(options.output, pictures(estimated(options, weights, camera), options.fps), options.fps, options.quality)


if __name__ == "__main__":
    run_tool(main)
