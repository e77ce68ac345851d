"""BVH: a skeleton in text, and a line of angles for each frame. Frames follow each other in equal steps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from egostream.body.bones import BONES, INDEX, PARENT_OF
from egostream.body.measure import Body
from egostream.body.pose import BodyPose
from egostream.body.quaternions import matrices, unit
from egostream.export.writer import FILE_AXES, PoseList
from egostream.files import write_whole

CHANNELS = "Zrotation Xrotation Yrotation"
ROOT_CHANNELS = f"Xposition Yposition Zposition {CHANNELS}"
LEAST_STEP_S, USUAL_STEP_S = 1e-3, 1 / 30


class BvhWriter:
    """Writes a ``.bvh``. Poses between equal steps are interpolated: positions in line, rotations on their arc.

    scale: file units in a metre; 1 for Blender, 100 for programs that expect centimetres.
    fps: frames a second; 0: as the poses came, by the median of their steps.
    """

    def __init__(self, scale: float = 1.0, fps: float = 0.0):
        self.scale, self.fps = scale, fps
        self.list = PoseList()

    def open(self, path: Path) -> None:
        """Begin a file; nothing is written before ``finish``."""
        self.list.open(path)

    def add(self, pose: BodyPose) -> None:
        """Take a pose, in a room's axes: x right, y down, z forward."""
        self.list.add(pose)

    def finish(self, body: Body) -> None:
        """Write the file whole. Raises EgostreamError where it cannot be written, or has no pose."""
        path = self.list.target()
        step_s, positions, rotations = self.resampled()
        head = [*hierarchy(body, self.scale), "MOTION", f"Frames: {len(positions)}", f"Frame Time: {step_s:.8f}"]
        turns = angles(rotations)[:, file_order()].reshape(len(positions), -1)
        rows = np.concatenate([positions * self.scale, turns], axis=1)
        lines = [" ".join(f"{value:.6f}" for value in row) for row in rows]
        write_whole(path, "\n".join([*head, *lines, ""]).encode())

    def resampled(self) -> tuple[float, np.ndarray, np.ndarray]:
        """The step in seconds, hips [F, 3] and local rotations [F, 19, 4], at equal steps."""
        times, hips, rotations = self.list.times(), self.list.hips(), self.list.rotations()
        steps = np.diff(times)
        step_s = 1 / self.fps if self.fps else float(np.median(steps)) if len(steps) else USUAL_STEP_S
        step_s = max(step_s, LEAST_STEP_S)
        wanted = np.arange(int(times[-1] / step_s + 1.5)) * step_s
        after = np.minimum(np.maximum(np.searchsorted(times, wanted), 1), len(times) - 1)
        before = np.maximum(after - 1, 0)
        span = np.maximum(times[after] - times[before], LEAST_STEP_S / 1e3)
        share = np.clip((wanted - times[before]) / span, 0, 1)[:, None]
        return (
            step_s,
            hips[before] + share * (hips[after] - hips[before]),
            between(rotations[before], rotations[after], share[..., None]),
        )


def between(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Rotations [F, n, 4] on the shorter arc from a (share 0) to b (1)."""
    cosine = (a * b).sum(-1, keepdims=True)
    b = np.where(cosine < 0, -b, b)
    angle = np.arccos(np.clip(np.abs(cosine), 0, 1))
    sine = np.sin(angle)
    is_small = sine < 1e-6
    sine = np.where(is_small, 1, sine)
    first = np.where(is_small, 1 - share, np.sin((1 - share) * angle) / sine)
    second = np.where(is_small, share, np.sin(share * angle) / sine)
    return unit(first * a + second * b)


def angles(rotations: np.ndarray) -> np.ndarray:
    """Angles [F, n, 3] in degrees about z, x and y, in the order of ``CHANNELS`` (R = Rz Rx Ry), continuous in time."""
    r = matrices(rotations)
    x = np.arcsin(np.clip(r[..., 2, 1], -1, 1))
    y = np.arctan2(-r[..., 2, 0], r[..., 2, 2])
    z = np.arctan2(-r[..., 0, 1], r[..., 1, 1])
    return np.degrees(np.stack([np.unwrap(z, axis=0), x, np.unwrap(y, axis=0)], axis=-1))


def hierarchy(body: Body, scale: float) -> Iterator[str]:
    """The lines of the skeleton."""
    offsets = FILE_AXES.points(body.offsets) * scale
    offsets[0] = 0, body.hips_height * scale, 0
    tips = {
        "Head": body.crown, "LeftHand": body.fingers[0], "RightHand": body.fingers[1],
        "LeftFoot": body.toes[0], "RightFoot": body.toes[1],
    }  # fmt: skip
    yield "HIERARCHY"
    yield from joint("Hips", 0, offsets, {bone: FILE_AXES.points(tip) * scale for bone, tip in tips.items()})


def joint(bone: str, depth: int, offsets: np.ndarray, tips: dict[str, np.ndarray]) -> Iterator[str]:
    """The lines of a bone and all that hangs on it."""
    indent, inner = "\t" * depth, "\t" * (depth + 1)
    yield f"{indent}{'JOINT' if depth else 'ROOT'} {bone}"
    yield f"{indent}{{"
    yield f"{inner}OFFSET {numbers(offsets[INDEX[bone]])}"
    yield f"{inner}CHANNELS {f'3 {CHANNELS}' if depth else f'6 {ROOT_CHANNELS}'}"
    for child in children(bone):
        yield from joint(child, depth + 1, offsets, tips)
    if bone in tips:
        yield from (f"{inner}End Site", f"{inner}{{", f"{inner}\tOFFSET {numbers(tips[bone])}", f"{inner}}}")
    yield f"{indent}}}"


def children(bone: str) -> list[str]:
    """The bones that hang on a bone."""
    return [child for child in BONES if PARENT_OF[child] == bone]


def file_order(bone: str = "Hips") -> list[int]:
    """Indices of the bones in the order in which the file lists them: depth first."""
    return [INDEX[bone], *(index for child in children(bone) for index in file_order(child))]


def numbers(vector: np.ndarray) -> str:
    """A vector in text."""
    return " ".join(f"{value:.6f}" for value in vector)
