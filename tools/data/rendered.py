"""The folders that tools/make_synthetic.py renders."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections import Counter
from pathlib import Path

import numpy as np

from egostream.calibration.file import Calibration, canonical_calibration, load_calibration
from egostream.calibration.lens import OUTSIDE
from egostream.calibration.view import InputGeometry
from egostream.errors import EgostreamError
from egostream.skeleton import JOINT_COUNT
from tools.data.sequence import Sequence


def read_synthetic(root: Path, split: str) -> list[Sequence]:
    """One split of a folder made by tools/make_synthetic.py. Recordings that cannot be read are an error, by name."""
    path = root / "manifest.json"
    try:
        manifest = json.loads(path.read_text())
        if manifest["format"] != "egostream-synthetic":
            raise EgostreamError(f"{path} is of format {manifest['format']!r}, expected egostream-synthetic")
        names, geometry = manifest["sequences"][split], InputGeometry("canonical", manifest["mapping"])
        full_frames = manifest["frame_size"] == "camera"
    except OSError as error:
        raise EgostreamError(
            f"{path} cannot be read: {error.strerror}. Make data: python tools/make_synthetic.py --out {root}"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise EgostreamError(
            f"{path} is malformed: {error!r}. Run the make_synthetic command that made it again"
        ) from None
    if not any(manifest["sequences"].values()):
        raise EgostreamError(f"{root} is not finished: run the make_synthetic command that made it again")
    camera = load_calibration(root / "calibration.json") if full_frames else None
    return [read_recording(root / split / name, camera, geometry) for name in names]


def read_recording(folder: Path, camera: Calibration | None, geometry: InputGeometry) -> Sequence:
    """One rendered recording. Frames without a finite label or without their picture are left out and counted."""
    try:
        about = json.loads((folder / "sequence.json").read_text())
        fps, stature = float(about["fps"]), float(about.get("stature_m", 0))
        is_captured = "." in about["source"] if "source" in about else None  # a file's name; an activity has no suffix
        with np.load(folder / "labels.npz") as labels:
            joints, keypoints, visible = (np.asarray(labels[name]) for name in ("joints", "keypoints", "visible"))
            cameras = np.asarray(labels["world_to_camera"]) if "world_to_camera" in labels else None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise EgostreamError(
            f"{folder} cannot be read: {error!r}. Delete it and run the make_synthetic command again"
        ) from None
    if (
        joints.shape[1:] != (JOINT_COUNT, 3)
        or keypoints.shape != (*joints.shape[:2], 2)
        or visible.shape != joints.shape[:2]
    ):
        raise EgostreamError(
            f"{folder}: labels of shapes {joints.shape}, {keypoints.shape}, {visible.shape}: another skeleton?"
        )
    images = [folder / f"{frame:06d}.jpg" for frame in range(len(joints))]
    lens = (camera or canonical_calibration(geometry.calibration)).lens
    finite = np.isfinite(joints).all((1, 2)) & np.isfinite(keypoints).all((1, 2))
    keypoints = np.where(lens.project(np.nan_to_num(joints))[1][..., None], keypoints, OUTSIDE)
    present = np.array([image.is_file() for image in images], bool)
    left_out = Counter({"with NaN": int((~finite).sum()), "without an image": int((finite & ~present).sum())})
    kept = np.flatnonzero(finite & present)
    return Sequence(
        name=f"{folder.parent.name}/{folder.name}",
        images=[images[f] for f in kept],
        frames=kept,
        joints=joints[kept].astype(np.float32),
        keypoints=keypoints[kept].astype(np.float32),
        fps=fps,
        visible=visible[kept],
        camera=camera,
        geometry=geometry,
        left_out=+left_out,
        stature_m=stature,
        world_to_camera=None if cameras is None else cameras[kept],
        is_captured=is_captured,
    )
