"""One rendered recording: keypoints are the lens's projection, and what is hidden is not visible."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from rendered_people import kannala_brandt
from stick_figures import t_pose

from egostream.calibration.file import canonical_calibration
from egostream.calibration.lens import OUTSIDE
from tools.synthetic.movement.activities import random_activity
from tools.synthetic.movement.rotations import about
from tools.synthetic.movement.segments import INDEX
from tools.synthetic.people.capsules import Capsules

pytest.importorskip("moderngl")

from tools.synthetic.picture.render import Renderer  # noqa: E402
from tools.synthetic.picture.sequence import seen  # noqa: E402


def test_keypoints_of_a_recording_are_opencvs_projection(context, tmp_path):
    calibration = kannala_brandt(tmp_path)
    renderer = Renderer(calibration, calibration.size, mapping=None)
    from tools.synthetic.picture.sequence import shoot

    rng = np.random.default_rng(3)
    movement = random_activity(rng, 1.0, 30.0)
    for shot in shoot(renderer, Capsules().sample(rng), movement, rng, 10.0, frames=3):
        ahead = shot.joints[:, 2] > 0.05  # OpenCV's model stops at 90 degrees
        K = np.array([[210.0, 0, 402], [0, 214.0, 297], [0, 0, 1]])
        expected, _ = cv2.fisheye.projectPoints(
            shot.joints[None, ahead].astype(float), np.zeros(3), np.zeros(3), K, np.array([-0.02, 0.004, 0, 0])
        )
        assert ahead.sum() >= 4
        np.testing.assert_allclose(shot.keypoints[ahead], expected[0], atol=0.05)


def test_what_the_lens_cannot_see_has_no_pixel_and_is_not_visible(context):
    """A hand stretched up is behind a camera that looks down: its keypoint must not be the middle of the picture."""
    from tools.synthetic.picture.sequence import shoot

    rng = np.random.default_rng(1)
    movement = t_pose(40)
    rotations = movement.rotations.copy()
    for side, sign in (("r", -1), ("l", 1)):
        for name in ("upperarm", "forearm", "hand"):
            rotations[:, INDEX[f"{name}_{side}"]] = about("Z", sign * np.pi / 2)
    renderer = Renderer(canonical_calibration(), (128, 128))
    (shot,) = shoot(renderer, Capsules().sample(rng), replace(movement, rotations=rotations), rng, 30.0, frames=1)
    wrists = [3, 6]
    assert (shot.joints[wrists, 2] < -0.1).all()  # above the camera
    pixels, known = renderer.calibration.lens.project(shot.joints)
    assert not known[wrists].all() and not shot.visible[wrists].any()
    assert (shot.keypoints[~known] == OUTSIDE).all()
    np.testing.assert_allclose(shot.keypoints[known], pixels[known], atol=0.01)


def test_hidden_dark_and_unobstructed_joints(context):
    joints = np.tile([0.1, 0.1, 1.0], (15, 1))
    picture = (context.size[1], context.size[0])
    lit, dark = np.ones((*picture, 1)), np.zeros((*picture, 1))
    assert seen(context, joints, np.full(picture, 1.0), lit).all()  # its own skin
    assert not seen(context, joints, np.full(picture, 0.4), lit).any()  # something nearer
    assert seen(context, joints, np.zeros(picture), lit).all()  # nothing drawn there
    assert not seen(context, joints, np.full(picture, 1.0), dark).any()
    assert not seen(context, joints * (1, 1, -1), np.full(picture, 9.0), lit).any()  # behind
