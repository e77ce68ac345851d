"""What motion from the body is worth: poses of so much of the past and no more, and what is told is the truth."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from rendered_people import make_here

from egostream.errors import EgostreamError
from egostream.told import TOLD, TOLD_PARTS
from tools import ablate_motion
from tools.data.datasets import read_data
from tools.network.build import load_network
from tools.training.motion.ablation import VARIANTS, check, joints_of, summary, told_of, with_interval
from tools.training.motion.ablation import ablate_motion as motion_ablation
from tools.training.motion.noise import rays_of
from tools.training.motion.seen import Seen

F = 9


@pytest.fixture(scope="module")
def seen() -> Seen:
    """Keypoints of a recording that anybody could have."""
    rng = np.random.default_rng(0)
    points = rng.uniform(300, 900, (F, 15, 2)).astype(np.float32)
    return Seen(points, rng.uniform(0.2, 1, (F, 15)).astype(np.float32), points, np.zeros((F, 15, 3), np.float32))


@pytest.fixture(scope="module")
def network(weights_of):
    """A tiny network of motion from the body, whose window is five frames."""
    return load_network(weights_of("body"))


def test_a_pose_of_so_many_frames_depends_on_these_alone(network, seen):
    told = np.zeros((F, TOLD), np.float32)
    before = joints_of(network, seen, told, 3)
    moved = seen.keypoints.copy()
    moved[4] += 50
    after = joints_of(network, replace(seen, keypoints=moved), told, 3)
    is_changed = np.abs(after - before).max((1, 2)) > 1e-6
    assert np.flatnonzero(is_changed).tolist() == [4, 5, 6]
    with torch.inference_mode():  # the last three frames as a recording of their own
        part = [torch.from_numpy(array[None, -3:]) for array in (rays_of(seen.keypoints), seen.confidence, told)]
        alone, _ = network.decoder(network.temporal(*part, torch.ones(1, 3, dtype=torch.bool)), part[0])
    np.testing.assert_allclose(before[-1], alone[0, -1], atol=1e-6)


def test_all_of_the_past_is_what_a_stream_has(network, seen):
    """Blocks of the stream keep keys of the frames before, which have seen frames before themselves."""
    told = np.zeros((F, TOLD), np.float32)
    whole, window = joints_of(network, seen, told, None), joints_of(network, seen, told, network.temporal.window)
    np.testing.assert_allclose(whole[:5], window[:5], atol=1e-6)
    assert np.abs(whole[5:] - window[5:]).max() > 1e-6


def test_the_truth_is_told_of_recordings_in_order(tmp_path, capsys, weights_of, seen):
    """Of rendered people, by the command."""
    data = tmp_path / "data"
    make_here(data, "--train", 0, "--val", 0, "--test", 2, "--frames", 4, "--fps", 15, "--seed", 3)
    first, second = read_data(str(data), "test")
    assert first.is_captured is False  # no motion capture was given
    down = -first.world_to_camera[:, :3, 1]
    rows = told_of(first, ("gravity", "stature"), 66_666_667)
    np.testing.assert_allclose(rows[:, TOLD_PARTS["gravity"]], down, atol=1e-6)
    np.testing.assert_allclose(rows[:, TOLD_PARTS["stature"]], first.stature_m, atol=1e-6)
    assert rows[:, TOLD_PARTS["flags"]].tolist() == [[1, 0, 0, 1]] * 4 and (rows[:, TOLD_PARTS["height"]] == 0).all()

    capsys.readouterr()
    ablate_motion.main(["--data", str(data), "--weights", str(weights_of("body").folder), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert [row["variant"] for row in found["variants"]] == list(VARIANTS) and found["recordings"] == 2
    assert found["variants"][0]["difference_mm"] == [0, 0, 0]
    assert all(row["by_movement_mm"]["captured"] is None for row in found["variants"])
    assert found["variants"][0]["by_movement_mm"]["invented"] == pytest.approx(found["variants"][0]["mpjpe_mm"])

    cut = Seen(*(getattr(seen, field)[:3] for field in Seen.__annotations__))
    with pytest.raises(EgostreamError, match="test/000000: 1 pictures cannot be read"):
        motion_ablation(weights_of("body"), [first], [cut])
    with pytest.raises(EgostreamError, match="have a backbone"):
        check(weights_of("causal"), [first])
    with pytest.raises(EgostreamError, match="follow one another at the trained step, 15 a second"):
        check(weights_of("body"), [replace(first, fps=30.0)])
    with pytest.raises(EgostreamError, match="follow one another"):
        check(weights_of("body"), [first, replace(second, frames=second.frames * 2)])
    with pytest.raises(EgostreamError, match="does not say where its camera was"):
        check(weights_of("body"), [replace(first, world_to_camera=None)])


def test_rows_differ_from_the_first_by_recording():
    """Two recordings of other lengths: a mean over frames, and an interval that holds both differences."""
    figures = lambda mpjpe, frames, is_captured: {
        "frames": frames,
        "mpjpe_mm": mpjpe,
        "pa_mpjpe_mm": mpjpe / 2,
        "acceleration_error_m_s2": 5.0,
        "is_captured": is_captured,
    }
    found = {
        "all": {"a": figures(80.0, 10, True), "b": figures(60.0, 30, False)},
        "less": {"a": figures(90.0, 10, True), "b": figures(62.0, 30, False)},
    }
    first, less = summary(found)
    assert first["mpjpe_mm"] == 65 and less["mpjpe_mm"] == 69 and less["difference_mm"] == (4, 2, 10)
    assert less["by_movement_mm"] == {"captured": 90, "invented": 62}
    assert with_interval(*less["difference_pa_mm"]) == "+2.0 (+1.0 to +5.0)" and with_interval(0, 0, 0) == ""
