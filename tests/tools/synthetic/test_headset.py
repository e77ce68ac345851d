"""Where a headset carries its camera, and what the sensor makes of light."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from rendered_people import kannala_brandt
from stick_figures import t_pose

from egostream.calibration.file import canonical_calibration
from egostream.calibration.view import InputMapping
from tools.synthetic.picture.headset import RIGS, random_rig, random_sensor

pytest.importorskip("moderngl")

from tools.synthetic.picture.render import Renderer  # noqa: E402


def test_the_canonical_lens_has_a_circle(context, tmp_path):
    """Dark beyond about 89 degrees however the camera was named; another camera's picture is lit to its own end."""
    canonical, light = canonical_calibration(), np.ones((64, 64, 3), np.float32)
    y, x = np.mgrid[:64, :64]
    pixels = InputMapping("crop", canonical.size).canonical_from_input(4.0 * np.stack([x, y], -1) + 1.5)
    theta = np.degrees(np.arccos(canonical.lens.unproject(pixels)[0][..., 2]))
    for camera, is_lit in ((None, False), (copy.deepcopy(canonical), False), (kannala_brandt(tmp_path), True)):
        renderer = Renderer(canonical, (64, 64), "crop", camera)
        vignettes = [random_sensor(np.random.default_rng(seed), renderer, light).vignette[..., 0] for seed in range(20)]
        assert all((v[theta < 60] > 0.1).all() for v in vignettes)
        if not is_lit:
            assert not any(v[theta > 104].any() for v in vignettes)  # nearly four deviations
            assert 85 < np.median([theta[v > 0].max() for v in vignettes]) < 93
        else:
            assert min(theta[v > 0].max() for v in vignettes) > 100


def test_a_camera_on_the_head_sees_the_wearer_as_the_real_rig_does(people):
    """The SceneEgo rig: neck 0.35 m towards the image's bottom and 0.12 m below the camera; right is right."""
    rigged = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        body = people.sample(rng)
        turns, heads = body.pose(np.array([[0, body.hip_height, 0]]), t_pose().rotations, np.zeros((1, 2)))
        camera = random_rig(rng, "boom").world_to_camera(body, turns, heads)[0]
        np.testing.assert_allclose(camera[:3, :3] @ camera[:3, :3].T, np.eye(3), atol=1e-9)
        assert np.linalg.det(camera[:3, :3]) == pytest.approx(1)
        joints = body.joints(heads)[0] @ camera[:3, :3].T + camera[:3, 3]
        rigged.append(joints)
        assert joints[1, 0] > 0.05 > -0.05 > joints[4, 0]  # right shoulder on the image's right
        assert joints[9, 2] > 1.0 and joints[13, 2] > 1.0  # ankles far below
    neck = np.median(np.array(rigged)[:, 0], 0)
    np.testing.assert_allclose(neck, [0, 0.35, 0.12], atol=0.04)
    assert set(RIGS) == {"boom", "brim", "glasses"}
