"""Mounts: a turned or mirrored picture, its pixels, its rays, and what the network sees of it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from lenses import SIZE
from turned_pictures import as_delivered, made_upright

from egostream.calibration.file import Calibration, canonical_calibration
from egostream.calibration.kannala_brandt import KannalaBrandtLens
from egostream.calibration.mount import MOUNTS, UPRIGHT, Mount, TurnedLens, delivered_calibration
from egostream.calibration.view import CameraView, InputGeometry
from egostream.capture.rectify import Rectifier
from egostream.errors import EgostreamError

CROP = InputGeometry("canonical", "crop")
OWN = Calibration("own", (1600, 1200), KannalaBrandtLens(355.0, 349.0, 823.0, 570.0, (0.03, -0.01, 0.002, -0.0003)))
DISTORTION = (0.02, -0.006, 0.001, -0.0004)
of_all_mounts = pytest.mark.parametrize("mount", MOUNTS, ids=lambda mount: f"{mount.rotate}{' flip' * mount.flip}")


@of_all_mounts
def test_pixels_move_as_opencv_moves_them(mount):
    v, u = np.mgrid[:5, :7]
    delivered = np.stack([u, v], -1).astype(float)
    upright = made_upright(delivered, mount)  # at each upright place: the pixel it came from
    height, width = upright.shape[:2]
    y, x = np.mgrid[:height, :width]
    places = np.stack([x, y], -1)
    np.testing.assert_allclose(mount.delivered_pixels(places, (width, height)), upright, atol=1e-12)
    np.testing.assert_allclose(mount.upright_pixels(upright, (width, height)), places, atol=1e-12)
    assert mount.turned_size((7, 5)) == (width, height)


def test_there_are_eight_mounts_and_they_are_a_group():
    assert len(MOUNTS) == len({mount.matrix.tobytes() for mount in MOUNTS}) == 8 and UPRIGHT in MOUNTS
    for one in MOUNTS:
        assert sum(other.after(one) == UPRIGHT for other in MOUNTS) == 1
        for other in MOUNTS:
            np.testing.assert_array_equal(other.after(one).matrix, other.matrix @ one.matrix)


@of_all_mounts
@pytest.mark.parametrize("camera", [OWN, None], ids=["own calibration", "assumed canonical"])
def test_joints_projected_by_the_lens_land_on_the_published_keypoints(mount, camera):
    """As docs/messages.md tells clients: joints turned back into the delivered picture's axes, then the lens."""
    view = CameraView(CROP, camera, mount)
    rng = np.random.default_rng(3)
    joints = rng.uniform((-0.6, -0.6, 0.3), (0.6, 0.6, 1.5), (200, 3))
    heatmap_xy = view.mapping.heatmap_from_canonical(view.canonical.lens.project(joints)[0])
    keypoints, seen = view.keypoints_in_camera(heatmap_xy)
    turned = np.deg2rad(-mount.rotate)
    cos, sin = np.cos(turned), np.sin(turned)
    x, y, z = joints.T
    x, y = cos * x - sin * y, sin * x + cos * y
    in_camera = np.stack([-x if mount.flip else x, y, z], -1)
    wanted, valid = view.camera.lens.project(in_camera)
    assert valid.all() and seen.mean() > 0.9
    np.testing.assert_allclose(keypoints, wanted, atol=0.03)
    rays, known = view.rays(heatmap_xy)
    np.testing.assert_allclose(rays, joints / np.linalg.norm(joints, axis=-1, keepdims=True), atol=1e-4)
    assert known.all()


@of_all_mounts
def test_a_turned_picture_gives_the_network_the_same_input_to_the_bit(mount):
    """The frames are the canonical camera's once they are turned: the input is as if nobody had turned them."""
    upright = Rectifier(CameraView(CROP))
    turned = Rectifier(CameraView(CROP, None, mount))
    assert turned.view.camera.size == mount.turned_size((1280, 1024)) and turned.reduction == upright.reduction == 4
    picture = np.random.default_rng(0).integers(0, 256, (256, 320, 3), np.uint8)  # at the reduced size
    delivered = np.ascontiguousarray(as_delivered(picture, mount))
    np.testing.assert_array_equal(turned.rectify(delivered), upright.rectify(picture))


@of_all_mounts
def test_a_camera_with_its_own_calibration_is_turned_about_its_axis(mount):
    """A turned camera's calibration is of the picture that it delivers: the network sees what an upright one sees."""
    v, u = np.mgrid[:1024, :1280].astype(np.float32)
    picture = np.stack([u / 6, v / 6, (u + v) / 12], -1).astype(np.uint8)  # smooth: a shift shows as a value
    delivered = np.ascontiguousarray(as_delivered(picture, mount))
    plain = Calibration("plain", SIZE, KannalaBrandtLens(320.0, 322.0, 615.0, 528.0, DISTORTION))
    marked = np.zeros(SIZE[::-1], np.float64)
    marked[528, 615] = 1  # where OpenCV's turning takes the axis
    y, x = (int(n) for n in np.argwhere(as_delivered(marked, mount))[0])
    focal = (322.0, 320.0) if mount.rotate % 180 else (320.0, 322.0)
    own = Calibration("own", mount.turned_size(SIZE), KannalaBrandtLens(*focal, float(x), float(y), DISTORTION))
    through = delivered_calibration(plain, mount)
    assert (through.size, through.lens.cx, through.lens.cy, through.lens.focal) == (own.size, x, y, focal)
    seen = Rectifier(CameraView(CROP, own, mount))
    wanted = Rectifier(CameraView(CROP, plain))
    reduced = [cv2.resize(one, None, fx=1 / 4, fy=1 / 4, interpolation=cv2.INTER_AREA) for one in (delivered, picture)]
    difference = np.abs(seen.rectify(reduced[0]).astype(int) - wanted.rectify(reduced[1]))
    assert seen.reduction == wanted.reduction == 4
    assert (difference > 2).mean() < 0.002  # a table's rounding decides at the rim


def test_a_wrong_mount_gives_another_input():
    picture = np.random.default_rng(0).integers(0, 256, (256, 320, 3), np.uint8)
    one, other = (Rectifier(CameraView(CROP, None, Mount(180, flip))).rectify(picture) for flip in (False, True))
    assert np.abs(one.astype(int) - other).mean() > 30


def test_no_file_holds_a_turned_lens():
    lens = TurnedLens(canonical_calibration().lens, Mount(180), (1280, 1024))
    with pytest.raises(EgostreamError, match="picture as delivered"):
        lens.fields()
