"""The truth beside a clip: read, written, compared with, and refused."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from evaluation_samples import (
    RNG,
)

from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.files import asset
from egostream.supervise.prepare import truth_of
from egostream.truth import ClipError, Truth, load_truth, save_truth, truth_beside, truth_path


def truth(F=4):
    return Truth(
        RNG.normal(size=(F, 15, 3)).astype(np.float32), np.zeros((F, 15, 2), np.float32), np.ones((F, 15), bool), 30.0
    )


def test_truth_round_trip_and_the_error_of_a_looping_clip(tmp_path):
    clip, written = tmp_path / "walk.avi", truth()
    assert truth_beside(clip) is None
    assert save_truth(clip, written) == truth_path(clip) == tmp_path / "walk.truth.npz"
    read = truth_beside(clip)
    np.testing.assert_array_equal(read.joints, written.joints)
    assert read.visible.dtype == bool and read.fps == 30.0 and len(read) == 4
    error = ClipError(read)
    assert np.isnan(error.mpjpe_mm)
    for seq in range(4):
        error.add(seq, read.joints[seq] + np.float32([0, 0, 0.02]))
    assert error.mpjpe_mm == pytest.approx(20, rel=1e-4)
    assert error.add(4 * 7 + 1, read.joints[1]) == 0  # the eighth pass replaces the first one's
    assert error.mpjpe_mm == pytest.approx(15, rel=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"joints": np.zeros((4, 14, 3))}, r"joints has shape \(4, 14, 3\)"),
        ({"visible": np.ones((3, 15), bool)}, r"visible has shape \(3, 15\)"),
        ({"joints": np.full((4, 15, 3), np.nan)}, "not all finite"),
        ({"fps": 0.0}, "fps is 0.0"),
        ({"joints": np.zeros((4, 15, 3), "U3")}, "not all finite numbers"),
    ],
)
def test_malformed_truth_is_refused(tmp_path, change, message):
    arrays = {name: getattr(truth(), name) for name in ("joints", "keypoints", "visible", "fps")} | change
    np.savez(tmp_path / "a.truth.npz", **arrays)
    with pytest.raises(EgostreamError, match=message) as error:
        load_truth(tmp_path / "a.truth.npz")
    assert "a.truth.npz" in str(error.value) and "\n" not in str(error.value)


def test_the_truth_of_another_clip_is_not_compared_with(tmp_path):
    clip, said = tmp_path / "clip.avi", []
    shutil.copy(asset("sample", "sample.avi"), clip)
    save_truth(clip, truth(90))
    config = RunConfig(source=str(clip), assume_canonical=True)
    assert len(truth_of(config, said.append)) == 90 and not said
    save_truth(clip, truth(60))
    assert truth_of(config, said.append) is None and "has 90 frames, the ground truth beside it is of 60" in said[0]
    save_truth(clip, truth(91))  # a loop later it would belong to other frames
    assert truth_of(config, said.append) is None and "has 90 frames, the ground truth beside it is of 91" in said[1]


def test_damaged_truth_is_refused(tmp_path):
    path = save_truth(tmp_path / "a.avi", truth())
    whole = path.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"not an archive"):
        path.write_bytes(damaged)
        with pytest.raises(EgostreamError, match="cannot be read"):
            load_truth(path)
    np.savez(path, joints=truth().joints)
    with pytest.raises(EgostreamError, match="cannot be read: .*keypoints"):
        load_truth(path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.truth.npz"]
