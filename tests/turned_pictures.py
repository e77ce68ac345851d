"""Pictures as a camera delivers them that is mounted upside down, sideways, or mirrors: turned by OpenCV."""

from __future__ import annotations

import cv2
import numpy as np

from egostream.calibration.mount import Mount

TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


def made_upright(picture: np.ndarray, mount: Mount) -> np.ndarray:
    """A delivered picture mirrored and turned by OpenCV."""
    picture = cv2.flip(picture, 1) if mount.flip else picture
    return cv2.rotate(picture, TURNS[mount.rotate]) if mount.rotate else picture


def as_delivered(picture: np.ndarray, mount: Mount) -> np.ndarray:
    """The picture that OpenCV's turning and mirroring makes upright again."""
    picture = cv2.rotate(picture, TURNS[360 - mount.rotate]) if mount.rotate else picture
    return cv2.flip(picture, 1) if mount.flip else picture
