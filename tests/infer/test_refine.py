"""What is done to joints after the network: rays and stature, against lenses and drawn bodies."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from conftest import receive_all
from drawn_people import STANDING

from egostream.calibration.file import Calibration, canonical_calibration
from egostream.calibration.kannala_brandt import KannalaBrandtLens
from egostream.calibration.view import CameraView, InputGeometry
from egostream.config import RunConfig, StreamConfig, load_config, stream_configs, stream_flags
from egostream.errors import EgostreamError
from egostream.files import asset
from egostream.infer.refine import STATURE_OF_BONES, Refiner, make_refiner, scaled_to_stature, turned_to_rays
from egostream.infer.smooth import OneEuroFilter
from egostream.skeleton import BONES
from tools.synthetic.people.capsules import Capsules

LENS = canonical_calibration().lens
SURE = np.ones(15)


def bone_sum(joints):
    return sum(np.linalg.norm(joints[..., child, :] - joints[..., parent, :], axis=-1) for child, parent in BONES)


def displaced(seed: int = 0) -> np.ndarray:
    return STANDING + np.random.default_rng(seed).normal(0, 0.04, (15, 3))


def test_joints_made_of_the_body_are_turned_by_very_sure_keypoints_alone_and_never_scaled():
    joints, rays = displaced(), STANDING / np.linalg.norm(STANDING, axis=-1, keepdims=True)
    moved = lambda found: np.linalg.norm(found - joints, axis=-1)
    turns = lambda from_body, trust: moved(Refiner(True, from_body=from_body)(0, joints, rays, np.full(15, trust)))
    np.testing.assert_allclose(turns(True, 1.0), turns(False, 1.0), atol=1e-9)
    assert (turns(True, 0.7) < 0.4 * turns(False, 0.7)).all() and (turns(True, 0.3) < 0.05 * turns(False, 0.3)).all()
    found = Refiner(False, stature_m=1.2, from_body=True)(0, joints, rays, SURE)
    np.testing.assert_array_equal(found, joints)


def test_sure_joints_come_to_lie_on_their_keypoints_at_their_own_distance():
    joints, (keypoints, seen) = displaced(), LENS.project(STANDING)
    rays, _ = LENS.unproject(keypoints)
    found = turned_to_rays(joints, rays, SURE)
    pixels, _ = LENS.project(found)
    assert seen.all() and np.abs(pixels - keypoints).max() < 0.5  # the lens's two polynomials agree to that
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), np.linalg.norm(joints, axis=-1), rtol=1e-9)
    np.testing.assert_allclose(turned_to_rays(joints, rays, 0 * SURE), joints, atol=1e-12)
    half = turned_to_rays(joints, rays, 0.5 * SURE)
    angle = lambda a, b: np.arccos((a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1))
    np.testing.assert_allclose(angle(half, joints), angle(half, found), atol=1e-6)


def test_a_keypoint_behind_its_joint_is_none_of_it():
    joints = displaced()
    np.testing.assert_array_equal(
        turned_to_rays(joints, -joints / np.linalg.norm(joints, axis=-1, keepdims=True), 0.5 * SURE), joints
    )


def test_rays_are_those_of_the_keypoints_on_any_camera():
    """What lies at a keypoint of a camera's own frame lies on the ray, by that camera's own lens."""
    camera = Calibration("made up", (800, 600), KannalaBrandtLens(270, 271, 402, 297, (0.02, -0.01, 0.002, 0)))
    view = CameraView(InputGeometry("canonical", "crop"), camera)
    heatmap_xy = np.random.default_rng(0).uniform(14, 50, (15, 2))
    rays, known = view.rays(heatmap_xy)
    keypoints, _ = view.keypoints_in_camera(heatmap_xy)
    assert known.all()
    np.testing.assert_allclose(camera.lens.project(rays * 1.7)[0], keypoints, atol=1e-6)


def test_stature_gives_generated_people_their_size_and_turns_nothing():
    rng, sizes = np.random.default_rng(3), []
    for _ in range(30):
        body = Capsules().sample(rng)
        joints = body.joints(body.heads[None])[0] - body.hips + (0, 0.3, 0.9)
        found = scaled_to_stature(0.85 * joints, body.stature)
        sizes.append(bone_sum(found) / bone_sum(joints))
        np.testing.assert_allclose(np.cross(found, joints), 0, atol=1e-9)
    assert np.mean(sizes) == pytest.approx(1, abs=0.03) and np.std(sizes) < 0.03
    assert scaled_to_stature(np.zeros((15, 3)), 1.8).tolist() == np.zeros((15, 3)).tolist()


def test_finish_turns_scales_and_smooths_in_this_order():
    joints = displaced().astype(np.float32)
    rays = LENS.unproject(LENS.project(STANDING)[0])[0]
    same = Refiner()(0, joints, rays, SURE)
    assert same is not joints and (same == joints).all()  # the network overwrites its own
    refiner = Refiner(has_rays=True, stature_m=1.9, smooth=OneEuroFilter(4.0, 6.0))
    first = refiner(10**9, joints, rays, SURE)
    assert first.dtype == np.float32
    np.testing.assert_allclose(first, scaled_to_stature(turned_to_rays(joints, rays, SURE), 1.9), rtol=1e-6)
    second = refiner(10**9 + 33_000_000, joints + np.float32(0.1), rays, SURE)
    target = scaled_to_stature(turned_to_rays(joints + 0.1, rays, SURE), 1.9)
    assert 0 < np.linalg.norm(second - first) < np.linalg.norm(target - first)
    refiner.reset()
    np.testing.assert_allclose(refiner(2 * 10**9, joints + np.float32(0.1), rays, SURE), target, rtol=1e-5)


def test_settings_and_weights_choose_it(weights_of):
    weights = weights_of("causal")
    blind = msgspec.structs.replace(weights, network=weights.network | {"use_tokens": False})
    assert make_refiner(RunConfig(), weights).has_rays and not make_refiner(RunConfig(rays=False), weights).has_rays
    assert not make_refiner(RunConfig(), blind).has_rays
    assert (
        make_refiner(RunConfig(), weights).stature_m == 0
        and make_refiner(RunConfig(stature=1.6), weights).stature_m == 1.6
    )
    two = RunConfig(stature=1.8, streams=(StreamConfig(source="a"), StreamConfig(source="b", stature=1.6)))
    assert [make_refiner(one, weights).stature_m for one in stream_configs(two)] == [1.8, 1.6]


@pytest.mark.parametrize("stature", [180, 5.9, 0.2, -1.8, float("nan")])
def test_a_stature_in_other_units_is_refused(stature):
    with pytest.raises(EgostreamError, match=r"stature is .*; give metres, from 0.5 to 2.6"):
        load_config(None, {"stature": stature})


def test_repeated_statures_are_of_each_camera():
    assert stream_flags([], [], [], [1.8]) == {"stature": 1.8}
    assert stream_flags(["0", "1"], [], [], [1.8]) == {"stature": 1.8, "streams": [{"source": "0"}, {"source": "1"}]}
    each = stream_flags(["0", "1"], [], [], [1.8, 1.6])
    assert each == {"streams": [{"source": "0", "stature": 1.8}, {"source": "1", "stature": 1.6}]}
    with pytest.raises(EgostreamError, match="3 cameras and 2 times --stature"):
        stream_flags(["0", "1", "2"], [], [], [1.8, 1.6])


def test_streamed_poses_have_the_stature_that_was_told(pipeline, thin_weights_of):
    run = pipeline(
        source=str(asset("sample", "sample.avi")),
        assume_canonical=True,
        pace="every-frame",
        stature=1.9,
        filter="off",
        precision="fp32",
        weights=str(thin_weights_of("causal").folder),
    )
    with run.subscribe(every=True) as poses:
        received = receive_all(run, poses)
        status = poses.status(5.0)
    assert status.stature_m == 1.9 and status.rays and run.wait() == 0 and len(received) == 90
    assert "wearer 1.9 m tall" in run.output()
    np.testing.assert_allclose([STATURE_OF_BONES * bone_sum(pose.joints) for pose in received], 1.9, rtol=1e-4)
