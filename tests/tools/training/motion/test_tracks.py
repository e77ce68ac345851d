"""Whole tracks of errors, laid over simulated people."""

from __future__ import annotations

import numpy as np
import pytest

from egostream.errors import EgostreamError
from tools.training.motion.noise import PULLED, load_noise
from tools.training.motion.options import NOISE_FILE
from tools.training.motion.seen import Seen
from tools.training.motion.simulate import OTHER_SIDE
from tools.training.motion.tracks import TrackedNoise, load_tracks, save_tracks, tracks_of

R, F = 3, 12


@pytest.fixture(scope="module")
def model():
    """The shipped numbers."""
    return load_noise(NOISE_FILE)


def recordings() -> list[Seen]:
    """Recordings in which joint j of recording r lies (10 r + j + 1, 0) pixels off, with confidence 0.95."""
    true = np.random.default_rng(0).uniform(400, 800, (F, 15, 2)).astype(np.float32)
    off = lambda r: np.stack([10.0 * r + np.arange(15) + 1, np.zeros(15)], -1).astype(np.float32)
    sure, joints = np.full((F, 15), 0.95, np.float32), np.ones((F, 15, 3), np.float32)
    return [Seen(true + off(r), sure, true, joints) for r in range(R)]


def test_tracks_are_the_errors_beside_the_pull(model):
    tracks = tracks_of(recordings(), model)
    free = [j for j in range(15) if j not in PULLED]
    np.testing.assert_allclose(tracks.rest[1, 0, free, 0], 11 + np.array(free), atol=0.1)


def test_drawn_errors_are_whole_tracks_mirrored_or_not(model):
    rest, confidence = tracks_of(recordings(), model).draw(np.random.default_rng(1), 200, 8)
    assert rest.shape == (200, 8, 15, 2) and np.ptp(confidence) == 0
    is_mirrored = rest[:, 0, 0, 0] < 0
    assert 0.3 < is_mirrored.mean() < 0.7
    # The right elbow's error stands at the left one in the mirror, the other way.
    ratio = rest[:, 0, 2, 0] / rest[:, 0, 0, 0]  # of recording 0, whose errors are j + 1, the largest there is
    assert ratio[~is_mirrored].max() == pytest.approx(2 + 1, rel=0.01)
    assert ratio[is_mirrored].max() == pytest.approx(OTHER_SIDE[2] + 1, rel=0.01)


def test_most_people_get_tracks_and_all_stay_in_the_picture(model):
    noise = TrackedNoise(model, tracks_of(recordings(), model))
    true = np.random.default_rng(2).uniform(200, 1000, (300, 8, 15, 2)).astype(np.float32)
    noisy, confidence = noise(np.random.default_rng(3), true, np.ones((300, 8, 15), np.float32))
    is_tracked = np.isclose(confidence, 0.95, atol=1e-3).all((1, 2))
    assert 0.6 < is_tracked.mean() < 0.8
    assert noisy[..., 0].min() >= 128 and noisy[..., 0].max() < 1152 and noisy[..., 1].max() < 1024
    error = (noisy - true)[is_tracked][:, :, 0]
    assert (
        np.abs(error[..., 1]).max() < 1e-3 and (np.ptp(error[..., 0], axis=1) < 1e-3).all()
    )  # for a track's whole time


def test_a_file_keeps_tracks_and_what_is_none_is_named(tmp_path, model):
    tracks = tracks_of(recordings(), model)
    save_tracks(tmp_path / "tracks.npz", tracks)
    np.testing.assert_array_equal(load_tracks(tmp_path / "tracks.npz").rest, tracks.rest)
    (tmp_path / "tracks.npz").write_bytes(b"no")
    with pytest.raises(EgostreamError, match="tracks.npz holds no tracks"):
        load_tracks(tmp_path / "tracks.npz")
