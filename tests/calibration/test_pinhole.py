"""The pinhole model against OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
from lenses import PINHOLE, directions


def test_pinhole_is_opencv():
    points = directions(40)
    expected, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), PINHOLE.matrix, np.array(PINHOLE.distortion))
    np.testing.assert_allclose(PINHOLE.project(points)[0], expected[:, 0], atol=1e-9)
