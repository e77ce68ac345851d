"""tools/draw_clip.py: a pose is stood upright by its balance, and the moving picture shows every wanted frame."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import ROOT
from drawn_people import STANDING

from egostream.errors import EgostreamError
from egostream.skeleton import BONES, JOINT_COUNT, JOINTS
from egostream.types import Pose
from tools import draw_clip

Image = pytest.importorskip("PIL.Image")


def nodding(angle: float) -> np.ndarray:
    """Somebody standing, in the axes of a camera whose head is bent forward by ``angle``."""
    c, s = np.cos(angle), np.sin(angle)
    return STANDING @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def test_the_masses_are_those_of_a_whole_body():
    assert pytest.approx(1.0) == draw_clip.MASS.sum() and len(draw_clip.MASS) == JOINT_COUNT


def test_a_bent_head_does_not_tilt_the_body():
    joints, camera = draw_clip.balanced(np.stack([nodding(0.0)] * 9), 2.0)
    bent, bent_camera = draw_clip.balanced(np.stack([nodding(0.6)] * 9), 2.0)
    np.testing.assert_allclose(bent, joints, atol=1e-9)  # the head turns about its own left-right axis
    assert np.linalg.norm(bent_camera[0, 1] - camera[0, 1]) > 0.05  # but the camera's pyramid does turn
    for child, parent in BONES:
        lengths = np.linalg.norm(joints[:, child] - joints[:, parent], axis=-1)
        np.testing.assert_allclose(lengths, np.linalg.norm(STANDING[child] - STANDING[parent]))
    neck, foot = JOINTS.index("neck"), JOINTS.index("left_foot")
    assert (joints[:, neck, 1] > 1.2).all() and np.abs(joints[:, foot, 1]).max() < 0.06
    assert (joints[:, JOINTS.index("left_wrist"), 0] > joints[:, JOINTS.index("right_wrist"), 0]).all()


def test_what_is_unsure_is_fainter():
    points, depth = np.tile([[90.0, 90.0]], (JOINT_COUNT, 1)), np.ones(JOINT_COUNT)
    points[1::2] += 60
    shown = []
    for sure in (1.0, 0.2, 0.0):
        canvas = draw_clip.Canvas(np.zeros((draw_clip.PANEL, draw_clip.PANEL, 3), np.uint8))
        draw_clip.draw_skeleton(canvas, points, depth, np.full(JOINT_COUNT, sure), 4.0)
        shown.append(int(canvas.shown().max()))
    assert shown[0] > shown[1] > shown[2] > 0


class StillEstimator:
    """Gives the same pose for every frame, and counts them."""

    def __init__(self, *_):
        self.estimator, self.stamps_ns = self, []

    def estimate(self, frame) -> Pose:
        self.stamps_ns.append(frame.t_capture_ns)
        keypoints = np.linspace([400, 300], [800, 700], JOINT_COUNT)
        return Pose(frame.seq, frame.t_capture_ns, STANDING, keypoints, np.ones(JOINT_COUNT))


@pytest.mark.parametrize("suffix", [".webp", ".gif"])
def test_the_clip_is_written_with_the_wanted_frames(monkeypatch, tmp_path, suffix):
    predictor = StillEstimator()
    monkeypatch.setattr(draw_clip, "EnginePredictor", lambda *_: predictor)
    path = tmp_path / f"pose{suffix}"
    draw_clip.main(["--seconds", "0.3", "--fps", "10", "--start", "0.2", "--repeat", "1", "-o", str(path)])
    with Image.open(path) as picture:
        assert picture.n_frames == 3 and picture.size == (2 * draw_clip.PANEL, draw_clip.PANEL + draw_clip.STRIP)
        assert picture.info["loop"] == 0
        pixels = np.asarray(picture.convert("RGB"))
    near = lambda colour: np.abs(pixels - np.array(colour, np.float32)).sum(-1) < 90
    orange, blue = near(draw_clip.RIGHT), near(draw_clip.LEFT)
    for panel in (slice(0, draw_clip.PANEL), slice(draw_clip.PANEL, None)):
        assert orange[:, panel].sum() > 30 and blue[:, panel].sum() > 30
    assert len(predictor.stamps_ns) == 13  # 0 to 0.4 s of a clip of 30 frames a second: none is left out
    np.testing.assert_allclose(np.diff(predictor.stamps_ns), 1e9 / 30, atol=1)


def test_bad_wishes_are_refused(tmp_path):
    for flags, message in (
        (["-o", "a.mp4"], "expected a .webp or a .gif"),
        (["--fps", "0", "-o", "a.gif"], "--fps is 0"),
    ):
        with pytest.raises(EgostreamError, match=message):
            draw_clip.main(flags)


def test_the_readmes_picture_is_small_enough():
    assert (ROOT / "docs" / "pose.webp").stat().st_size < 3_000_000
