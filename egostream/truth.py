"""The ground truth of a clip, beside it as ``<clip stem>.truth.npz``, and the error of poses streamed from it.

    joints     float32 [F, 15, 3]  metres, axes of the canonical camera
    keypoints  float32 [F, 15, 2]  pixels of the clip's full frame
    visible    bool    [F, 15]     in view and not hidden by something nearer
    fps        float

Row f belongs to frame f of the clip, counted from 0.
"""

from __future__ import annotations

import io
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from egostream.errors import EgostreamError, first_line
from egostream.files import write_whole
from egostream.skeleton import JOINT_COUNT

MM = 1000.0
SUFFIX = ".truth.npz"
NAMES = "joints", "keypoints", "visible", "fps"  # of its arrays
#: Bytes of the largest array that is read: of the joints, two hours at 90 fps.
LARGEST_ARRAY = 1 << 27


def joint_distances_mm(estimated: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Distance of every joint, mm: [..., 15, 3] metres twice -> float64 [..., 15]."""
    return MM * np.linalg.norm(np.asarray(estimated, np.float64) - np.asarray(truth, np.float64), axis=-1)


@dataclass(frozen=True)
class Truth:
    """What a clip's frames show, one row per frame."""

    joints: np.ndarray
    keypoints: np.ndarray
    visible: np.ndarray
    fps: float

    def __len__(self) -> int:
        return len(self.joints)


class ClipError:
    """The error of a stream that plays a clip, over and over: the newest one of every frame of the clip.

    Its mean is the clip's MPJPE however often and however far the clip was played, as soon as every frame was met.
    """

    def __init__(self, truth: Truth):
        self.truth = truth
        self.by_frame_mm = np.full(len(truth), np.nan)
        self.newest_mm = float("nan")

    def add(self, seq: int, joints: np.ndarray) -> float:
        """Compare the joints [15, 3] of frame ``seq``, counted on through the clip's loops. Returns the error, mm."""
        frame = seq % len(self.truth)
        self.newest_mm = self.by_frame_mm[frame] = float(joint_distances_mm(joints, self.truth.joints[frame]).mean())
        return self.newest_mm

    @property
    def frames_met(self) -> int:
        """How many of the clip's frames were met so far."""
        return int(np.isfinite(self.by_frame_mm).sum())

    @property
    def mpjpe_mm(self) -> float:
        """Mean over the frames met so far; NaN before the first."""
        met = self.by_frame_mm[np.isfinite(self.by_frame_mm)]
        return float(met.mean()) if met.size else float("nan")


def truth_path(clip: Path) -> Path:
    """Where a clip's truth lies, if there is one."""
    clip = Path(clip).absolute()
    return clip.parent / (clip.stem + SUFFIX)


def truth_beside(clip: Path) -> Truth | None:
    """The truth of a clip, or None when none lies beside it. Raises EgostreamError when the file is malformed."""
    path = truth_path(clip)
    return load_truth(path) if path.is_file() else None


def load_truth(path: Path) -> Truth:
    """Read and check a truth file. Raises EgostreamError naming the file and what is wrong with it."""
    try:
        with zipfile.ZipFile(path) as file:
            joints, keypoints, visible, fps = (array_in(file, name) for name in NAMES)
        truth = Truth(joints, keypoints, visible, float(fps))
    except FileNotFoundError:
        raise EgostreamError(f"no ground truth {path}. It belongs beside its clip") from None
    except Exception as error:  # zipfile, zlib, NumPy and its parser of headers have each their own
        raise EgostreamError(f"ground truth {path} cannot be read: {first_line(error)}. Make the clip again") from None
    if problem := truth_problem(truth):
        raise EgostreamError(f"ground truth {path} is malformed: {problem}. Make the clip again")
    return truth


def array_in(file: zipfile.ZipFile, name: str) -> np.ndarray:
    """An array of an open .npz file. Raises ValueError and much else.

    NumPy's own reader takes the memory that a header asks for; this one takes what is there, up to a bound.
    """
    with file.open(f"{name}.npy") as packed:
        data = packed.read(LARGEST_ARRAY + 1)
    if len(data) > LARGEST_ARRAY:
        raise ValueError(f"{name} has more than {LARGEST_ARRAY >> 20} MB")
    array = io.BytesIO(data)
    if np.lib.format.read_magic(array) != (1, 0):
        raise ValueError(f"{name} is of another version of NumPy's format")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(array)
    flat = np.frombuffer(data, dtype, math.prod(shape), array.tell())
    return flat.reshape(shape, order="F" if is_fortran else "C")


def truth_problem(truth: Truth) -> str:
    """What is wrong with it; empty when nothing is."""
    F = len(truth.joints) if truth.joints.ndim else 0
    wanted = {"joints": (F, JOINT_COUNT, 3), "keypoints": (F, JOINT_COUNT, 2), "visible": (F, JOINT_COUNT)}
    for name, shape in wanted.items():
        if (found := getattr(truth, name).shape) != shape:
            return f"{name} has shape {found}, expected {shape}"
    if not F:
        return "it has no frame"
    if truth.joints.dtype.kind != "f" or not np.isfinite(truth.joints).all():
        return "joints are not all finite numbers"
    return "" if np.isfinite(truth.fps) and truth.fps > 0 else f"fps is {truth.fps}"


def save_truth(clip: Path, truth: Truth) -> Path:
    """Write the truth beside a clip, whole or not at all, and return its path.

    Raises EgostreamError when it is malformed or the disk is full.
    """
    path = truth_path(clip)
    if problem := truth_problem(truth):
        raise EgostreamError(f"cannot write {path}: {problem}")
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        joints=truth.joints.astype(np.float32),
        keypoints=truth.keypoints.astype(np.float32),
        visible=truth.visible.astype(bool),
        fps=np.float64(truth.fps),
    )
    write_whole(path, buffer.getvalue(), "Free some space, or choose another place")
    return path
