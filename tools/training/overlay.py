"""What a person looks at while a network trains: overlays of estimates on frames."""

from __future__ import annotations

import cv2
import numpy as np

from egostream.calibration.view import HEATMAP_SIZE
from egostream.skeleton import BONES

DRAWN_FROM = 0.2  # confidence. Chosen by hand; not measured
TRUTH, LEFT, RIGHT, MIDDLE = (255, 255, 255), (80, 160, 255), (255, 120, 60), (120, 255, 120)


def colour(joint: int) -> tuple[int, int, int]:
    """RGB of a joint, by its side."""
    return MIDDLE if joint == 0 else RIGHT if joint in (1, 2, 3, 7, 8, 9, 10) else LEFT


def draw_pose(
    image: np.ndarray, keypoints: np.ndarray, confidence: np.ndarray | None = None, truth: np.ndarray | None = None
) -> np.ndarray:
    """A uint8 RGB picture of any square size with a pose drawn on it: truth in white, right side in orange.

    keypoints and truth [15, 2] are in heatmap coordinates. Keypoints of low ``confidence`` [15] in 0..1 are left out.
    """
    scale = image.shape[0] / HEATMAP_SIZE
    canvas = image.copy()
    at = lambda p: tuple(int(v) for v in np.nan_to_num(np.clip(p * scale, -9999, 9999)))
    if truth is not None:
        for child, parent in BONES:
            if np.isfinite(truth[[child, parent]]).all():
                cv2.line(canvas, at(truth[child]), at(truth[parent]), TRUTH, 1, cv2.LINE_AA)
    sure = np.ones(len(keypoints), bool) if confidence is None else np.asarray(confidence) > DRAWN_FROM
    for child, parent in BONES:
        if sure[child] and sure[parent]:
            cv2.line(
                canvas,
                at(keypoints[child]),
                at(keypoints[parent]),
                colour(child),
                1 + image.shape[0] // 200,
                cv2.LINE_AA,
            )
    for joint, point in enumerate(keypoints):
        if sure[joint]:
            cv2.circle(canvas, at(point), 2 + image.shape[0] // 128, colour(joint), -1, cv2.LINE_AA)
    return canvas


def sheet(images: list[np.ndarray], columns: int = 4) -> np.ndarray:
    """Images of one size side by side, rows filled up with black."""
    images = images + [np.zeros_like(images[0])] * (-len(images) % columns)
    return np.vstack([np.hstack(images[start : start + columns]) for start in range(0, len(images), columns)])


def png(image: np.ndarray) -> bytes:
    """A uint8 RGB picture [H, W, 3] as PNG."""
    return cv2.imencode(".png", image[..., ::-1])[1].tobytes()
