"""Kannala and Brandt's model against OpenCV, and beyond where OpenCV's functions stop."""

from __future__ import annotations

import cv2
import numpy as np
from lenses import KB, angle, directions


def test_kannala_brandt_is_opencv_fisheye():
    points = directions(80)
    matrix = np.array([[KB.fx, 0, KB.cx], [0, KB.fy, KB.cy], [0, 0, 1]])
    expected, _ = cv2.fisheye.projectPoints(points[:, None], np.zeros(3), np.zeros(3), matrix, np.array(KB.k))
    pixels, _ = KB.project(points)
    np.testing.assert_allclose(pixels, expected[:, 0], atol=1e-6)
    flat = cv2.fisheye.undistortPoints(pixels[:, None], matrix, np.array(KB.k))[:, 0]
    rays, _ = KB.unproject(pixels)
    np.testing.assert_allclose(rays[:, :2] / rays[:, 2:], flat, rtol=1e-4, atol=1e-4)


def test_kannala_brandt_beyond_ninety_degrees():
    """Where OpenCV's functions stop: r still follows the polynomial, on the far side of the axis."""
    theta = np.radians([100.0, 110.0])
    pixels, valid = KB.project(np.stack([np.sin(theta), 0 * theta, np.cos(theta)], -1))
    k1, k2, k3, k4 = KB.k
    expected = KB.fx * theta * (1 + k1 * theta**2 + k2 * theta**4 + k3 * theta**6 + k4 * theta**8) + KB.cx
    assert valid.all()
    np.testing.assert_allclose(pixels[:, 0], expected)
    assert angle(KB.unproject(pixels)[0], np.stack([np.sin(theta), 0 * theta, np.cos(theta)], -1)).max() < 1e-6
