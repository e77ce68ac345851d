"""Augmentation: pictures, keypoints and joints move together, and looks change pixels only."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from drawn_people import STANDING
from training_samples import (
    GEOMETRY,
    frame_set,
    gaussian,
)

from egostream.calibration.file import canonical_calibration
from egostream.calibration.view import InputGeometry, InputMapping
from egostream.graph.peaks import heatmap_peaks
from egostream.skeleton import JOINTS
from tools.training.augment import MIRRORED, Augmenter, Turn, Turner
from tools.training.frames import FrameDataset

REACHING = STANDING + np.random.default_rng(1).normal(0, 0.04, (15, 3))  # not symmetric


@pytest.mark.parametrize("mapping", ["crop", "squash"])
@pytest.mark.parametrize("turn", [Turn(0.3), Turn(-1.2), Turn(0.0, True), Turn(0.4, True)], ids=str)
def test_turned_joints_project_onto_turned_keypoints(turn, mapping):
    turner = Turner(InputGeometry("canonical", mapping))
    camera = canonical_calibration()
    to_heatmap = InputMapping(mapping, camera.size)
    keypoints = to_heatmap.heatmap_from_canonical(camera.lens.project(REACHING)[0])
    pixels = camera.lens.project(turner.joints(turn, REACHING))[0]
    turned = to_heatmap.canonical_from_heatmap(turner.keypoints(turn, keypoints))
    assert np.abs(pixels - turned).max() < 0.5
    assert np.abs(pixels - camera.lens.project(REACHING)[0]).max() > 20


@pytest.mark.parametrize("size", [128, 256])
@pytest.mark.parametrize("turn", [Turn(0.3), Turn(0.0, True), Turn(-0.2, True)], ids=str)
def test_turned_pictures_show_the_turned_keypoints(turn, size):
    turner = Turner(GEOMETRY)
    lens, mapping = canonical_calibration().lens, InputMapping("crop", (1280, 1024))
    keypoints = mapping.heatmap_from_canonical(lens.project(REACHING)[0])
    for joint in (2, 3, 5):
        image = np.zeros((256, 256, 3), np.uint8)
        canonical = mapping.canonical_from_heatmap(keypoints[joint])
        x, y = (canonical - mapping.offset + 0.5) / 4 - 0.5
        cv2.circle(image, (round(x * 16), round(y * 16)), 4 * 16, (255, 255, 255), -1, cv2.LINE_AA, shift=4)
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
        turned = turner.image(turn, image)[..., 0].astype(float)
        rows, columns = np.indices(turned.shape)
        centre = (
            (np.array([(columns * turned).sum(), (rows * turned).sum()]) / turned.sum() + 0.5) * 1024 / size
            - 0.5
            + mapping.offset
        )
        expected = mapping.canonical_from_heatmap(
            turner.keypoints(turn, keypoints)[MIRRORED[joint] if turn.mirror else joint]
        )
        assert np.abs(centre - expected).max() < 0.5  # pixels of the full frame


@pytest.mark.parametrize("turn", [Turn(0.3), Turn(0.0, True), Turn(-0.2, True)], ids=str)
def test_turned_heatmaps_peak_at_the_turned_keypoints(turn):
    turner = Turner(GEOMETRY)
    keypoints = np.random.default_rng(0).integers(20, 44, (15, 2)).astype(float)
    maps = np.stack([gaussian(x, y) for x, y in keypoints])
    peaks, height = heatmap_peaks(turner.heatmaps(turn, maps))
    np.testing.assert_allclose(peaks, turner.keypoints(turn, keypoints), atol=0.35)
    assert (height > 0.85).all()  # between pixels


def test_mirroring_swaps_left_and_right():
    assert JOINTS[MIRRORED[JOINTS.index("left_wrist")]] == "right_wrist" and MIRRORED[0] == 0
    assert (MIRRORED[MIRRORED] == np.arange(15)).all()
    np.testing.assert_allclose(
        Turner(GEOMETRY).joints(Turn(0.0, True), STANDING), STANDING
    )  # of a symmetric pose: itself


def test_looks_change_pixels_only_and_repeat(dataset):
    frames = frame_set(dataset)
    still = Augmenter(GEOMETRY, rotate_deg=0, mirror=0)
    plain, changed = (
        FrameDataset(frames, 128)[3, 0],
        [FrameDataset(frames, 128, still, seed=1)[3, draw] for draw in range(8)],
    )
    for sample in changed:
        assert sample["frame"].shape == (128, 128, 3) and sample["frame"].dtype == np.uint8
        np.testing.assert_array_equal(sample["joints"], plain["joints"])
    assert np.mean([np.abs(c["frame"].astype(int) - plain["frame"]).mean() for c in changed]) > 5
    again = FrameDataset(frames, 128, Augmenter(GEOMETRY), seed=1)
    np.testing.assert_array_equal(again[3, 5]["frame"], again[3, 5]["frame"])
    off = FrameDataset(frames, 128, Augmenter(GEOMETRY, 0, 0, strength=0))
    np.testing.assert_array_equal(off[3, 5]["frame"], plain["frame"])
