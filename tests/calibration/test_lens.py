"""Lens models against published figures, OpenCV, and themselves."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from egostream.calibration.file import canonical_calibration, load_calibration
from egostream.calibration.kannala_brandt import KannalaBrandtLens
from egostream.calibration.pinhole import PinholeLens
from egostream.errors import EgostreamError

KB = KannalaBrandtLens(320.0, 322.0, 640.3, 511.2, (0.02, -0.006, 0.001, -0.0004))
PINHOLE = PinholeLens(610.0, 612.0, 633.0, 498.0, (-0.21, 0.06, 0.001, -0.0005, -0.004))


def directions(max_deg, count=3000):
    """Directions in a cone around the optical axis, at random distances."""
    rng = np.random.default_rng(0)
    theta = np.radians(rng.uniform(0.01, max_deg, count))
    phi = rng.uniform(0, 2 * np.pi, count)
    rays = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)
    return rays * rng.uniform(0.1, 5, (count, 1))


def angle(a, b):
    """Angle in degrees, accurate where arccos is not."""
    a, b = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (a, b))
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), (a * b).sum(-1)))


def test_canonical_radii():
    """Radii of the SceneEgo lens as measured from its calibration file, independently."""
    lens = canonical_calibration().lens
    theta = np.radians([5, 15, 30, 45, 60, 75, 85, 90, 95])
    pixels, valid = lens.project(np.stack([np.sin(theta), 0 * theta, np.cos(theta)], -1))
    assert valid.all()
    expected = [25.521, 76.630, 153.596, 231.120, 309.825, 391.296, 448.576, 478.589, 509.810]
    np.testing.assert_allclose(pixels[:, 0] - lens.cx, expected, atol=1e-3)
    np.testing.assert_allclose(pixels[:, 1], lens.cy, atol=1e-9)


def test_canonical_projection_of_a_real_pose():
    """Three joints of a real SceneEgo pose, projected by the dataset's own code."""
    points = [
        [0.02589113, 0.35482132, 0.12483309],
        [0.30361623, 0.4991027, 0.66687554],
        [0.21608864, 1.1341499, 1.2978636],
    ]
    pixels, valid = canonical_calibration().lens.project(points)
    assert valid.all()
    np.testing.assert_allclose(
        pixels, [[641.6642067, 893.8800639], [724.8543735, 708.2314149], [654.9411836, 737.5234705]], atol=1e-4
    )


@pytest.mark.parametrize(
    ("lens", "reach"),
    [(canonical_calibration().lens, 100), (KB, 95), (PINHOLE, 40)],
    ids=["ocam", "kannala_brandt", "pinhole"],
)
def test_round_trip(lens, reach):
    points = directions(reach)
    pixels, valid = lens.project(points)
    assert valid.all()
    rays, seen = lens.unproject(pixels)
    assert seen.all()
    assert angle(points, rays).max() < 1e-3
    np.testing.assert_allclose(np.linalg.norm(rays, axis=-1), 1)


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


def test_pinhole_is_opencv():
    points = directions(40)
    expected, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), PINHOLE.matrix, np.array(PINHOLE.distortion))
    np.testing.assert_allclose(PINHOLE.project(points)[0], expected[:, 0], atol=1e-9)


@pytest.mark.parametrize("lens", [canonical_calibration().lens, KB, PINHOLE], ids=["ocam", "kannala_brandt", "pinhole"])
def test_outside_the_domain_is_said_and_never_nan(lens):
    points = [[0, 0, 1], [0, 0, -1], [0, 0, 0], [1e-12, 0, 1], [np.nan, 0, 1], [np.inf, 0, 1], [1, 0, -1]]
    pixels, valid = lens.project(points)
    assert np.isfinite(pixels).all()
    assert valid.tolist()[:5] == [True, False, False, True, False]
    np.testing.assert_allclose(pixels[0], [lens.cx, lens.cy], atol=1e-9)
    rays, seen = lens.unproject([[lens.cx, lens.cy], [1e7, 1e7], [np.nan, 0], [-1e5, 3]])
    assert np.isfinite(rays).all()
    assert seen.tolist() == [True, False, False, False]
    assert angle(rays[0], np.array([0, 0, 1.0])) < 0.01


def dataset_file(tmp_path, **changes):
    lens = canonical_calibration().lens
    data = {
        "name": "egosyn", "size": [1280, 1024], "intrinsic": [[500, 0, lens.cx, 0], [0, 500, lens.cy, 0], [0, 0, 1, 0]],
        "imageCircleRadius": 512, "polynomialC2W": list(lens.a), "polynomialW2C": list(lens.w), "affine": [1, 0, 0],
    } | changes  # fmt: skip
    path = tmp_path / "camera.json"
    path.write_text(json.dumps(data))
    return path


def test_dataset_layouts_read_as_the_same_lens(tmp_path):
    canonical = canonical_calibration().lens
    assert load_calibration(dataset_file(tmp_path)).lens == canonical
    with_center = dataset_file(tmp_path, image_center=[3.5 + 600, 500.0])
    assert (load_calibration(with_center).lens.cx, load_calibration(with_center).lens.cy) == (603.5, 500.0)
    flipped = tmp_path / "event.json"  # EventEgo3D: z forward and t = atan(+Z/n)
    odd = [(-1) ** i * w for i, w in enumerate(canonical.w)]
    flipped.write_text(
        json.dumps(
            {
                "pol": [-a for a in canonical.a],
                "invpol": odd,
                "width": 1280,
                "height": 1024,
                "xc": canonical.cx,
                "yc": canonical.cy,
            }
        )
    )
    points = directions(90)
    np.testing.assert_allclose(
        load_calibration(flipped).lens.project(points)[0], canonical.project(points)[0], atol=1e-9
    )


def test_polynomials_of_two_lenses_are_refused(tmp_path):
    path = dataset_file(tmp_path, polynomialC2W=[-241.024, 0, 0.001746, -0.000004, 6.47811e-09])
    with pytest.raises(EgostreamError, match=r"disagree by \d\.\d degrees"):
        load_calibration(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not readable JSON"),
        ("[1]", "not a JSON object"),
        ("{}", "lacks the field model"),
        ("[" * 100_000, "not readable JSON"),
        (
            '{"model": "ocam", "size": [640, 480], "center": [320, 240], "polynomial_w2c": [], "polynomial_c2w": [1, 2]}',
            "describes no lens",
        ),
        ('{"model": "equirect", "size": [640, 480]}', "'equirect' is unknown"),
        ('{"model": "pinhole", "size": [640, 480], "focal": [1, 2]}', "lacks the field center"),
        ('{"model": "pinhole", "size": [640, 480], "focal": [-1, 2], "center": [320, 240]}', "focal must be positive"),
        ('{"model": "pinhole", "size": [640], "focal": [1, 2], "center": [320, 240]}', "expected 2 numbers"),
        ('{"model": "pinhole", "size": [640, 480], "focal": [1, NaN], "center": [320, 240]}', "not finite"),
        (
            '{"model": "pinhole", "size": [640, 480], "focal": [300, 300], "center": [3200, 240]}',
            "lies outside the 640x480 image",
        ),
        (
            '{"model": "kannala_brandt", "size": [640, 480], "focal": [200, 200], "center": [320, 240], "k": [-3, 0, 0, 0]}',
            "stops growing",
        ),
        (
            '{"model": "kannala_brandt", "size": [640, 480], "focal": [200, 200], "center": [320, 240], "k": [1]}',
            "expected 4 numbers",
        ),
        (
            '{"model": "kannala_brandt", "size": [640, 480], "focal": [200, 200], "center": "x", "k": [0, 0, 0, 0]}',
            "malformed",
        ),
    ],
)
def test_malformed_calibrations_name_the_problem(tmp_path, text, message):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(EgostreamError, match=message) as caught:
        load_calibration(path)
    assert "bad.json" in str(caught.value) and "\n" not in str(caught.value)
