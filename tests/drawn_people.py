"""People drawn as discs, as a dataset in the synthetic layout: what training needs, without a renderer."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from egostream.calibration.file import canonical_calibration
from egostream.calibration.view import HEATMAP_SIZE, INPUT_SIZE, InputMapping
from egostream.skeleton import JOINT_COUNT

FRAMES = 20
#: A person below a head camera, metres, camera axes; made up, symmetric.
STANDING = np.array(
    [
        [0, 0.3, 0.15],
        [0.17, 0.3, 0.2], [0.25, 0.1, 0.4], [0.1, -0.05, 0.45],
        [-0.17, 0.3, 0.2], [-0.25, 0.1, 0.4], [-0.1, -0.05, 0.45],
        [0.1, 0.3, 0.65], [0.12, 0.2, 1.05], [0.12, 0.25, 1.45], [0.12, 0.1, 1.5],
        [-0.1, 0.3, 0.65], [-0.12, 0.2, 1.05], [-0.12, 0.25, 1.45], [-0.12, 0.1, 1.5],
    ]
)  # fmt: skip


def picture(keypoints: np.ndarray) -> np.ndarray:
    """A picture uint8 [256, 256, 3] with a disc of its own colour at every keypoint [15, 2] (heatmap coordinates)."""
    image = np.full((INPUT_SIZE, INPUT_SIZE, 3), 60, np.uint8)
    for joint, (x, y) in enumerate(keypoints * (INPUT_SIZE / HEATMAP_SIZE)):
        cv2.circle(image, (round(float(x)), round(float(y))), 9, (17 * joint, 255 - 17 * joint, 70 * joint % 256), -1)
    return image


def make_dataset(root: Path, frames: int = FRAMES) -> Path:
    """A folder in the synthetic layout: three recordings to train on, one to validate."""
    lens, mapping = canonical_calibration().lens, InputMapping("crop", (1280, 1024))
    rng = np.random.default_rng(0)
    sequences = {"train": ["000000", "000001", "000002"], "val": ["000000"]}
    for split, names in sequences.items():
        for name in names:
            folder = root / split / name
            folder.mkdir(parents=True)
            sway = np.sin(np.arange(frames) / 6)[:, None, None] * rng.normal(0, 0.05, (JOINT_COUNT, 3))
            joints = STANDING + rng.normal(0, 0.02, (JOINT_COUNT, 3)) + sway
            keypoints, visible = lens.project(joints)
            for frame, points in enumerate(mapping.heatmap_from_canonical(keypoints)):
                cv2.imwrite(str(folder / f"{frame:06d}.jpg"), picture(points))
            np.savez(folder / "labels.npz", joints=joints, keypoints=keypoints, visible=visible)
            (folder / "sequence.json").write_text(json.dumps({"fps": 30.0}))
    manifest = {"format": "egostream-synthetic", "mapping": "crop", "frame_size": "input", "sequences": sequences}
    (root / "manifest.json").write_text(json.dumps(manifest))
    return root
