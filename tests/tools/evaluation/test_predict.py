"""The two ways of making poses agree, and the past counts as it should."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from evaluation_samples import (
    MAPPING,
)

from egostream.calibration.file import canonical_calibration
from egostream.config import RunConfig
from egostream.graph.default_weights import default_weights
from egostream.infer.refine import STATURE_OF_BONES, Refiner, make_refiner
from egostream.skeleton import BONES
from tools.data.datasets import read_data
from tools.data.inputs import InputReader
from tools.evaluation.predict import (
    UNREADABLE,
    EnginePredictor,
    Frames,
    window_slots,
)


def reference_heatmaps(predictor, image):
    """[15, 64, 64] of one network input."""
    with torch.no_grad():
        return predictor.network.heatmap(torch.from_numpy(image)[None])[0][0].numpy()


@pytest.mark.parametrize("kind", ["window", "causal", "released"])
def test_the_engine_gives_the_poses_of_pytorch(streaming_of, reference_of, reference_poses, clip, kind):
    sequence, reader = clip
    streamed, reference = streaming_of(kind).predict(Frames(sequence, reader, 30.0)), reference_poses(kind)
    for one in (streamed, reference):
        assert one.rows == [0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11]
        assert one.skipped == {UNREADABLE: 1} and "image 2 of clip is broken" in one.problem
    assert np.ptp(reference.joints, axis=0).max() > 20e-3, "the poses hardly move: this comparison could not fail"
    assert np.linalg.norm(streamed.joints - reference.joints, axis=-1).max() < 1e-3
    moved = np.argwhere(np.abs(streamed.keypoints - reference.keypoints).max(-1) > 0.1)
    assert len(moved) < 0.1 * reference.keypoints[..., 0].size
    for row, joint in moved:
        # random heatmaps may have a peak twice: either is right, if the reference's are equally high
        heatmap = reference_heatmaps(reference_of(kind), reader.images[reference.rows[row]])[joint]
        x, y = np.round(MAPPING.heatmap_from_canonical(streamed.keypoints[row, joint])).astype(int)
        assert heatmap[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3].max() > heatmap.max() - 1e-5
    again = streaming_of(kind).predict(Frames(sequence, reader, 30.0))
    np.testing.assert_array_equal(again.joints, streamed.joints)  # a fresh window: nothing is left of the run before


def test_known_statures_are_those_of_each_recording(weights_of, clip):
    sequence, reader = clip
    predictor = EnginePredictor(
        weights_of("causal"), "auto", "fp32", lambda line: None, Refiner(has_rays=True), known_stature=True
    )
    for stature in (1.6, 1.9):
        joints = predictor.predict(Frames(replace(sequence, stature_m=stature), reader, 30.0, limit=4)).joints
        bones = sum(np.linalg.norm(joints[:, child] - joints[:, parent], axis=-1) for child, parent in BONES)
        np.testing.assert_allclose(STATURE_OF_BONES * bones, stature, rtol=1e-4)


def test_the_shipped_weights_are_near_the_truth_of_the_sample():
    """42 mm as a run has it (docs/model-card.md)."""
    weights, (sequence,) = default_weights(), read_data("sample")
    refiner = make_refiner(RunConfig(), weights)
    predictor = EnginePredictor(weights, "openvino", "auto", lambda line: None, refiner)
    found = predictor.predict(Frames(sequence, InputReader(weights.input), sequence.fps))
    assert 1000 * np.linalg.norm(found.joints - sequence.joints, axis=-1).mean() < 45


def test_rays_bring_joints_to_their_keypoints():
    """The shipped weights over the first half of the bundled clip, by the estimator of a run."""
    weights, (sequence,) = default_weights(), read_data("sample")
    lens, reader, angles = canonical_calibration().lens, InputReader(weights.input), []
    for rays in (False, True):
        predictor = EnginePredictor(weights, "openvino", "auto", lambda line: None, Refiner(has_rays=rays))
        found = predictor.predict(Frames(sequence, reader, sequence.fps, limit=45))
        own = found.joints / np.linalg.norm(found.joints, axis=-1, keepdims=True)
        angles.append(np.degrees(np.arccos((own * lens.unproject(found.keypoints)[0]).sum(-1).clip(-1, 1))).mean())
    assert angles[1] < 0.5 * angles[0]


def test_the_past_matters_and_ends_with_the_recording(reference_of, reference_poses, clip):
    """At a rate at which every frame is its own window, poses are those of single frames: other than with a past."""
    with_past, alone = reference_poses("window").joints, reference_of("window").predict(Frames(*clip, 0.25)).joints
    np.testing.assert_allclose(with_past[[0, 7]], alone[[0, 7]], atol=1e-5)  # rows 0 and 8, which no window precedes
    assert np.abs(with_past - alone)[[1, 5, 10]].max((1, 2)).min() > 1e-3


def test_window_slots_by_hand():
    slots, valid = window_slots([0, 100, 200, 400, 10_000], 4, 100)
    assert slots[3].tolist() == [1, 2, 0] and valid[3].tolist() == [True, True, False]  # 300, 200 and 100 before
    assert not valid[0].any() and not valid[4].any()
