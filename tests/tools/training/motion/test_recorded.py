"""Rendered recordings to learn motion from: between their frames, in the mirror, and their errors on like poses."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from rendered_people import make_here
from scipy.spatial.transform import Rotation, Slerp
from trained_motion import TINY

from egostream.calibration.file import canonical_calibration
from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.told import TOLD_PARTS
from tools import train_motion
from tools.data.sequence import Sequence
from tools.synthetic.people.capsules import Capsules
from tools.training.best_tensors import load_best
from tools.training.motion.bank import make_movements, make_skeletons
from tools.training.motion.begin import motion_to_begin_with, shape_of
from tools.training.motion.noise import load_noise
from tools.training.motion.options import NOISE_FILE, parse_options
from tools.training.motion.recorded import Recorded, RecordedNoise, described, mirror_errors, mirrored_pose
from tools.training.motion.seen import Seen, load_seen, save_seen
from tools.training.motion.simulate import OTHER_SIDE, Simulator
from tools.training.motion.training import MotionBatches, People

F, FPS = 7, 5.0
LENS = canonical_calibration().lens
#: Where the joints of a person who stands below the camera are, in the world.
STANDING = np.random.default_rng(0).uniform((-0.3, 0.2, 0.1), (0.3, 1.2, 0.5), (15, 3))


def turn_of(seconds: float) -> np.ndarray:
    """World -> camera of a camera that looks down and turns as time goes."""
    down = np.array([[-1.0, 0, 0], [0, 0, -1], [0, -1, 0]])
    return down @ Rotation.from_rotvec([0, 0.8 * seconds, 0]).as_matrix()


def recording(name: str, error: float, side: float = 0.0) -> tuple[Sequence, Seen]:
    """A person who walks steadily under a turning camera; every keypoint is ``error`` pixels too far right.

    side: metres that the person's legs are beside the others' legs.
    """
    times = np.arange(F) / FPS
    world = STANDING + np.stack([0.3 * times, 0 * times, 0 * times], -1)[:, None]
    world[:, 7:, 0] += side
    at = np.array([0.0, 1.6, 0.0])
    cameras = np.tile(np.eye(4), (F, 1, 1))
    cameras[:, :3, :3] = [turn_of(t) for t in times]
    cameras[:, :3, 3] = -cameras[:, :3, :3] @ at
    joints = np.einsum("fij,fkj->fki", cameras[:, :3, :3], world - at).astype(np.float32)
    true = LENS.project(joints)[0].astype(np.float32)
    sure = np.full((F, 15), 0.5 + error / 100, np.float32)
    sequence = Sequence(
        name, [""] * F, np.arange(F), joints, true, FPS, stature_m=1.7, world_to_camera=cameras.astype(np.float32)
    )
    return sequence, Seen(true + np.array([error, 0], np.float32), sure, true, joints)


def recorded(*pairs: tuple[Sequence, Seen]) -> Recorded:
    return Recorded(*zip(*pairs))


def test_between_frames_people_move_on_and_the_camera_turns_on():
    source = recorded(recording("walk", 8))
    moments = source.moments(np.random.default_rng(0), np.zeros(4, int), 12)
    seconds = (moments.before + moments.weight) / FPS
    turns = source.turns(moments)
    expected = Slerp(np.arange(F) / FPS, Rotation.from_matrix([turn_of(n / FPS) for n in range(F)]))
    np.testing.assert_allclose(turns.reshape(-1, 3, 3), expected(seconds.ravel()).as_matrix(), atol=1e-5)
    walked = source.between(source.world, moments)[:, :, 0] - STANDING[0]
    np.testing.assert_allclose(walked[..., 0], 0.3 * seconds, atol=1e-5)
    # a trained step apart, of people who are a little faster or slower than they were
    np.testing.assert_allclose(np.diff(seconds), np.diff(seconds)[:, :1].repeat(11, 1), atol=1e-3)
    assert 0.8 / 15 - 1e-3 < np.diff(seconds).min() and np.diff(seconds).max() < 1.25 / 15 + 1e-3


def test_each_recording_has_its_own_frame_rate_and_length():
    (slow, seen), (fast, _) = recording("slow", 8), recording("fast", 8)
    short = replace(seen, **{field: getattr(seen, field)[:4] for field in Seen.__annotations__})
    source = recorded((slow, seen), (replace(fast, fps=10.0, world_to_camera=fast.world_to_camera[:4]), short))
    moments = source.moments(np.random.default_rng(0), np.repeat([0, 1], 300), 4)
    place = moments.before + moments.weight
    slow_steps, fast_steps = np.diff(place[:300]) * 15 / 5, np.diff(place[300:]) * 15 / 10
    assert 0.8 - 2e-3 < slow_steps.min() < 0.85 and 1.2 < slow_steps.max() < 1.25 + 2e-3
    assert 0.8 - 2e-3 < fast_steps.min() < 0.85 and 1.2 < fast_steps.max() < 1.25 + 2e-3
    assert 5.9 < place[:300].max() < 6 and 2.9 < place[300:].max() < 3
    assert place.min() < 0.1 and np.ptp(place[300:, 0]) > 0.4


def test_cameras_sit_a_little_otherwise_than_recorded():
    true, _, _ = recorded(recording("walk", 8)).draw(np.random.default_rng(1), 400, 2)
    gravity = true.told[:, 0, TOLD_PARTS["gravity"]]
    np.testing.assert_allclose(gravity[:, :2].std(0), 0.06, atol=0.015)
    assert abs(gravity[:, 2].mean()) > 0.99


def test_drawn_people_are_seen_as_the_lens_sees_them_and_err_as_recorded():
    true, noisy, sure = recorded(recording("walk", 8)).draw(np.random.default_rng(1), 40, 10)
    pixels, _ = LENS.project(true.joints)
    off = noisy - pixels
    is_mirrored = off[:, 0, 0, 0] < 0
    assert 0.25 < is_mirrored.mean() < 0.75
    np.testing.assert_allclose(off[~is_mirrored][..., 0], 8, atol=0.01)
    np.testing.assert_allclose(off[is_mirrored][..., 0], -8, atol=0.01)
    assert np.abs(off[..., 1]).max() < 0.01 and np.allclose(sure, 0.58)
    statures = true.told[:, 0, TOLD_PARTS["stature"]][:, 0]
    np.testing.assert_allclose(true.told[:, 0, TOLD_PARTS["height"]][:, 0] / statures, 1.6 / 1.7, atol=1e-5)
    assert 0.01 < np.log(statures).std() < 0.06  # larger and smaller, as a whole


def test_errors_that_flicker_keep_their_variance_between_frames():
    sequence, seen = recording("flicker", 0)
    noise = np.random.default_rng(2).normal(0, 10, (200, F, 15, 2)).astype(np.float32)
    source = recorded(*((sequence, replace(seen, keypoints=seen.true_keypoints + one)) for one in noise))
    rng = np.random.default_rng(3)
    error, _ = source.errors(rng, source.moments(rng, np.arange(200), 12))
    assert error.std() == pytest.approx(10, rel=0.03)


def test_like_poses_err_alike_also_in_the_mirror():
    source = recorded(recording("beside", 20, side=0.4), recording("straight", 5), recording("straight", 5))
    noise = RecordedNoise(load_noise(NOISE_FILE), source)
    joints = recording("asked", 0, side=0.4)[1].joints[None, :4]
    place, distance = LENS.project(joints)[0].astype(np.float32), np.linalg.norm(joints, axis=-1)
    error, sure = noise.errors_like(np.random.default_rng(4), place, distance)
    assert np.allclose(sure, 0.7) and 12 < error[..., 0].min() and np.ptp(error[..., 0]) < 1e-3
    place, distance = mirrored_pose(place, distance)
    error, _ = noise.errors_like(np.random.default_rng(4), place, distance)
    assert error[..., 0].max() < -12


def test_most_simulated_people_err_as_recorded_ones_and_all_stay_in_the_picture():
    source = recorded(recording("one", 20))
    true = np.random.default_rng(2).uniform(200, 1000, (300, 8, 15, 2)).astype(np.float32)
    noisy, sure = RecordedNoise(load_noise(NOISE_FILE), source)(
        np.random.default_rng(3), true, np.ones((300, 8, 15), np.float32)
    )
    is_matched = np.isclose(sure, 0.7, atol=1e-4).all((1, 2))
    assert 0.7 < is_matched.mean() < 0.9
    assert noisy[..., 0].min() >= 128 and noisy[..., 0].max() < 1152 and noisy[..., 1].max() < 1024


def test_a_mirror_exchanges_left_and_right():
    error = np.arange(30, dtype=np.float32).reshape(1, 1, 15, 2)
    mirrored, sure = mirror_errors(error, error[..., 0], np.array([True]))
    np.testing.assert_array_equal(mirrored[0, 0, 1], error[0, 0, OTHER_SIDE[1]] * [-1, 1])
    assert sure[0, 0, 1] == error[0, 0, OTHER_SIDE[1], 0]
    place, distance = LENS.project(STANDING)[0], np.linalg.norm(STANDING, axis=-1)
    reflected = STANDING[list(OTHER_SIDE)] * [-1, 1, 1]
    expected = described(LENS.project(reflected)[0], np.linalg.norm(reflected, axis=-1))
    np.testing.assert_allclose(described(*mirrored_pose(place, distance)), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"world_to_camera": None}, "walk: motion is learnt from"),
        ({"stature_m": 0.0}, "walk: motion is learnt from"),
    ],
)
def test_recordings_that_tell_too_little_are_refused(change, problem):
    sequence, seen = recording("walk", 1)
    with pytest.raises(EgostreamError, match=problem):
        Recorded([recording("other", 1)[0], replace(sequence, **change)], [seen, seen])


def test_what_was_seen_is_kept_for_the_same_recordings(tmp_path):
    seen = [recording("a", 1)[1], recording("b", 2)[1]]
    save_seen(tmp_path / "kept.npz", ["a", "b"], seen)
    found = load_seen(tmp_path / "kept.npz", ["a", "b"])
    assert found is not None
    np.testing.assert_array_equal(found[1].keypoints, seen[1].keypoints)
    assert load_seen(tmp_path / "kept.npz", ["a", "c"]) is None
    (tmp_path / "kept.npz").write_bytes(b"no")
    assert load_seen(tmp_path / "kept.npz", ["a", "b"]) is None


@pytest.mark.parametrize(("share", "recorded_ones"), [(0.0, 0), (0.5, 4), (1.0, 8)])
def test_a_share_of_each_batch_is_of_recorded_people(share, recorded_ones):
    simulator = Simulator(make_movements([], 0.0, 2, 0), make_skeletons(Capsules(), 2, 0))
    people = People(simulator, load_noise(NOISE_FILE), recorded(recording("walk", 8)))
    options = SimpleNamespace(recorded_share=share, batch=8, frames=6, told=0.0)
    batch = MotionBatches(people, options, 0).batch(np.random.default_rng(0))
    assert batch["rays"].shape == (8, 6, 15, 3)
    assert (batch["confidence"] - 0.58).abs().amax((1, 2)).lt(1e-6).sum() == recorded_ones


def test_a_run_learns_from_recordings_and_begins_where_another_ended(tmp_path, motion_run, monkeypatch):
    make_here(tmp_path / "people", "--train", 1, "--val", 0, "--test", 0, "--frames", 4, "--fps", 5)
    monkeypatch.setattr(train_motion, "write_motion_weights", lambda *_: train_motion.resolve_weights(RunConfig()))
    begun = ["--init", str(motion_run / "motion.safetensors"), "--recordings", str(tmp_path / "people")]
    train_motion.main(["--out", str(tmp_path / "run"), "--steps", "1", *TINY, *begun, "--lr", "1e-9"])
    assert (tmp_path / "run/recorded.npz").is_file()
    (first, _), (last, _) = (load_best(folder / "motion.safetensors") for folder in (motion_run, tmp_path / "run"))
    assert first.keys() == last.keys() and all(torch.allclose(first[key], last[key], atol=1e-6) for key in first)
    with pytest.raises(EgostreamError, match="lasts 0.60 s, a sequence 0.73 s"):
        train_motion.main(["--out", str(tmp_path / "other"), *TINY, *begun, "--frames", "12"])
    with pytest.raises(EgostreamError, match="--channels 8: --init .*motion.safetensors has 16. Leave --channels out"):
        train_motion.main(["--out", str(tmp_path / "other"), "--steps", "1", *TINY, *begun, "--channels", "8"])
    with pytest.raises(EgostreamError, match="--recorded-share 2"):
        train_motion.main(["--out", str(tmp_path / "other"), *TINY, "--recorded-share", "2"])


def test_a_run_begins_with_the_motion_of_a_weights_folder(motion_run, weights_of):
    kept, _ = load_best(motion_run / "motion.safetensors")
    found = motion_to_begin_with(motion_run / "weights")
    assert found.keys() == kept.keys()
    assert all(torch.equal(found[key], kept[key]) for key in kept if key != "decoder.log_sigma.bias")  # that is scaled
    assert shape_of(found) == {"window": 5, "channels": 16, "depth": 2}
    options = parse_options(["--out", "run", "--init", str(motion_run / "weights")], "")
    assert (options.window, options.channels, options.depth) == (5, 16, 2)
    with pytest.raises(EgostreamError, match="weights with a backbone"):
        motion_to_begin_with(weights_of("causal").folder)
    with pytest.raises(EgostreamError, match="weights folder"):
        motion_to_begin_with(motion_run / "nothing")
