"""Several streams in batches: the poses that each would have alone."""

from __future__ import annotations

import numpy as np
import pytest

from egostream.calibration.view import CameraView
from egostream.engine.backends import backend
from egostream.engine.batch_sizes import processor_batch_sizes
from egostream.engine.build import ensure_engines, wanted_fields
from egostream.engine.load import load_engine
from egostream.graph.ports import STEP_GRAPH
from egostream.infer.every_frame import EveryFrameEstimator
from egostream.types import NetworkInput


def test_any_number_of_streams_is_made_up_of_the_compiled_batches():
    found = [processor_batch_sizes(n) for n in (1, 2, 3, 7, 8, 32)]
    assert found == [[1], [1, 2], [1, 2], [1, 2, 4], [1, 2, 4], [1, 2, 4]]


def estimator(weights, sizes, streams):
    runner = backend("openvino")
    engines = {}
    for size in sizes:
        path = ensure_engines(weights, [STEP_GRAPH], runner, "fp32", size)[0].path
        engines[size] = load_engine(path, wanted_fields(weights, STEP_GRAPH, runner, "fp32", size), 0)
    return EveryFrameEstimator(engines, weights.step_ns, [CameraView(weights.input)] * streams)


@pytest.mark.parametrize("kind", ["window", "causal"])
def test_streams_run_in_batches_as_each_would_alone(thin_weights_of, kind):
    """Three streams at rates of their own, one with a break: nobody sees another's past, whatever batch it was in."""
    weights, rng = thin_weights_of(kind), np.random.default_rng(0)
    together = estimator(weights, (1, 2), 3)
    alone = [estimator(weights, (1,), 1) for _ in range(3)]
    step, sizes = weights.step_ns, []
    for turn in range(9):
        fresh = [number for number, every in enumerate((1, 2, 3)) if turn % every == 0]
        frames = {}
        for number in rng.permutation(fresh):
            segment = int(number == 1 and turn >= 6)
            t_ns = (turn + 1) * step + int(number) * step // 3
            frames[int(number)] = NetworkInput(
                turn, segment, t_ns, rng.integers(0, 256, (256, 256, 3), np.uint8), {}, 0
            )
        sizes.append(len(frames))
        poses = dict(together.poses(frames))
        assert set(poses) == set(frames)
        for number, frame in frames.items():
            expected = alone[number].estimate(frame)
            np.testing.assert_allclose(poses[number].joints, expected.joints, atol=2e-5)
            np.testing.assert_allclose(poses[number].keypoints, expected.keypoints, atol=1e-2)
            assert (poses[number].seq, poses[number].t_capture_ns) == (frame.seq, frame.t_capture_ns)
    assert set(sizes) == {1, 2, 3}
    assert [stream.resets for stream in together.streams] == [one.streams[0].resets for one in alone] == [0, 1, 0]
