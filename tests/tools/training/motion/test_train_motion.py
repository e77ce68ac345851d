"""tools/train_motion.py on a tiny bank, and its weights: exported, streamed, and compared with PyTorch."""

from __future__ import annotations

import shutil

import numpy as np
import onnxruntime
import pytest
import torch
from trained_motion import TINY

from egostream.calibration.view import CameraView
from egostream.config import RunConfig
from egostream.engine.backends import choose_backend
from egostream.engine.choose import processor_engines
from egostream.errors import EgostreamError
from egostream.graph.bind import bind_graph
from egostream.graph.ports import BODY_GRAPH, LOOK_GRAPH, graph_io
from egostream.graph.scales import load_quantization
from egostream.graph.weights import load_weights
from egostream.infer.from_body import BodyEstimator
from egostream.infer.load import load_processor
from egostream.infer.refine import Refiner
from egostream.told import TOLD, Told
from egostream.types import NetworkInput
from tools import quantize, train_motion
from tools.data.frames import SAMPLE, read_frames
from tools.network.build import load_network
from tools.network.export import example_inputs, export_module


@pytest.fixture(scope="module")
def weights(weights_of):
    """The weights that came of a run."""
    return weights_of("body")


def test_a_run_goes_on_where_it_was(motion_run):
    kept = torch.load(motion_run / "last.ckpt", weights_only=True)
    assert kept["global_step"] == 4 and len(list(motion_run.glob("bank-*.npz"))) == 1


def test_weights_have_no_backbone_and_keep_the_heatmaps(weights):
    assert weights.graphs == ("heatmap", "temporal", "decoder") and weights.form == "body"
    assert not weights.path("backbone.onnx").exists()
    shipped = load_weights(train_motion.resolve_weights(RunConfig()).folder)
    assert weights.files["heatmap.safetensors"] == shipped.files["heatmap.safetensors"]


@pytest.mark.parametrize("batch", [1, 3])
def test_the_step_graph_equals_pytorch(weights, batch):
    network = load_network(weights)
    inputs = example_inputs(BODY_GRAPH, network.spec, batch)
    with torch.no_grad():
        expected = export_module(network, BODY_GRAPH)(*inputs.values())
    session = onnxruntime.InferenceSession(bind_graph(weights, BODY_GRAPH).SerializeToString())
    names = graph_io(BODY_GRAPH, weights.form)
    assert tuple(port.name for port in session.get_inputs()) == names[0]
    found = session.run(list(names[1]), {name: value.numpy() for name, value in inputs.items()})
    for value, reference in zip(found, expected):
        np.testing.assert_allclose(value, reference.numpy(), atol=2e-5)


@pytest.fixture(scope="module")
def estimator(weights) -> BodyEstimator:
    """As a run loads it, in fp32."""
    config, runner = RunConfig(), choose_backend("onnxruntime")
    files = processor_engines(config, weights, runner, "fp32", 1, lambda line: None)
    loaded = load_processor(files, weights.step_ns, [CameraView(weights.input)], [Refiner()])
    assert isinstance(loaded, BodyEstimator)
    return loaded


def test_streamed_poses_equal_the_whole_sequence_in_pytorch(weights, estimator, monkeypatch):
    """Frame by frame on cached keys and values, with a frame missing, told of the head, against one pass over all."""
    images, _ = read_frames(SAMPLE, weights, limit=9)
    times = [n * weights.step_ns for n in range(len(images)) if n != 4]
    seen = [estimator.look(image) for image in images]
    told = {t_ns: Told(gravity=(0.1, 0.9, 0.3), height=1.5 + n / 10) for n, t_ns in enumerate(times)}
    monkeypatch.setattr(estimator.tellers[0], "tells", lambda t_ns, step_ns: told[t_ns])
    poses = [
        estimator.estimate(NetworkInput(n, 0, t_ns, images[round(t_ns / weights.step_ns)], {}, 0))
        for n, t_ns in enumerate(times)
    ]
    state = estimator.streams[0]
    found = [state.directions(*one) for one in seen]
    rays, trust = (
        torch.from_numpy(np.stack([getattr(one, name) for one in found])).float()[None] for name in ("rays", "trust")
    )
    valid = torch.tensor([[n != 4 for n in range(len(images))]])
    network = load_network(weights)
    with torch.no_grad():
        rows = np.zeros((1, len(images), TOLD), np.float32)
        kept = [n for n in range(len(images)) if n != 4]
        rows[0, kept] = [told[t_ns].vector() for t_ns in times]
        joints, sigma = network(rays, trust, torch.from_numpy(rows), valid)
    np.testing.assert_allclose([pose.joints for pose in poses], joints[0, kept].numpy(), atol=1e-4)
    np.testing.assert_allclose([pose.sigma_m for pose in poses], sigma[0, kept].numpy(), atol=1e-5)
    assert [pose.told for pose in poses] == list(told.values())
    assert [pose.continues for pose in poses] == [False] + [True] * 7


def test_a_gap_ends_the_past(weights, estimator):
    images, _ = read_frames(SAMPLE, weights, limit=1)
    frame = lambda n, t_ns, segment: NetworkInput(n, segment, t_ns, images[0], {}, 0)
    first = estimator.estimate(frame(0, 0, 7))
    estimator.estimate(frame(1, weights.step_ns, 7))
    again = estimator.estimate(frame(2, 100 * weights.step_ns, 7))
    np.testing.assert_array_equal(first.joints, again.joints)


def test_int8_scales_of_such_weights_are_found(weights, tmp_path):
    """Those of the heatmaps alone, by which the poses move little; the shipped heatmaps have the same layers."""
    folder = shutil.copytree(weights.folder, tmp_path / "copied", ignore=shutil.ignore_patterns("int8.json"))
    quantize.main([str(folder), "--count", "2"])
    found, shipped = load_quantization(load_weights(folder)), load_quantization(weights)
    assert found.scales.keys() == shipped.scales.keys() == {LOOK_GRAPH}
    assert found.scales[LOOK_GRAPH].keys() == shipped.scales[LOOK_GRAPH].keys() and 0 < found.cost["mean_mm"] <= 3


def test_what_such_weights_cannot_do_is_said(weights):
    with pytest.raises(EgostreamError, match="no backbone"):
        processor_engines(RunConfig(motion="trained-step"), weights, choose_backend("onnxruntime"), "fp32", 1, print)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--channels", "18"], "--channels 18"),
        (["--told", "2"], "--told 2"),
        (["--captured", "-1"], "--captured -1"),
        (["--people", "0"], "--people 0"),
        (["--motion", "nothing-here.npz"], "nothing-here.npz"),
        (["--noise", "nothing-here.json"], "nothing-here.json is no noise model"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_a_line(tmp_path, arguments, problem):
    with pytest.raises(EgostreamError, match=problem):
        train_motion.main(["--out", str(tmp_path), "--steps", "1", *TINY, *arguments])
