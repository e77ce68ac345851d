"""Networks without a backbone: looked at by a processor or a GPU (on host memory), and the engines that each needs."""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
import json
import shutil
import sys
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from host_gpu import HostCuda, HostGraph, needs_gpu
from thin_networks import thin_network

from egostream.calibration.view import CameraView
from egostream.config import RunConfig
from egostream.engine import backend_tensorrt
from egostream.engine.backend_tensorrt import TensorRTBackend
from egostream.engine.backends import backend, gpu_backend
from egostream.engine.build import ensure_engines
from egostream.engine.choose import choose_runner, prepare_engines
from egostream.engine.contract import EngineFile
from egostream.engine.cuda import CudaError, find_gpu
from egostream.errors import EgostreamError
from egostream.graph.bind import bind_graph
from egostream.graph.gpu_form import as_gpu_form
from egostream.graph.ports import BODY_GRAPH, LOOK_GRAPH, gpu_io
from egostream.infer.from_body import BodyEstimator
from egostream.infer.load import load_engines, load_estimator
from egostream.infer.look import LookOnGpu, LookOnProcessor
from egostream.infer.refine import Refiner
from egostream.infer.smooth import OneEuroFilter
from egostream.supervise.prepare import prepare_poses
from egostream.told import Told
from egostream.types import NetworkInput
from tools import bench_gpu, build_engine
from tools.engines.worker import load_worker

needs_rtx = pytest.mark.skipif(not importlib.util.find_spec("tensorrt_rtx"), reason="pip install tensorrt-rtx")


@pytest.fixture
def weights(thin_weights_of):
    """Thin ones, without a backbone."""
    return thin_weights_of("body")


class Knows:
    """A teller that knows something else of every frame, and nothing of some."""

    def __init__(self, seed: int):
        self.seed = seed

    def tells(self, t_ns, step_ns):
        if t_ns // step_ns % 3 == 2:
            return Told()
        rng = np.random.default_rng([self.seed, t_ns])
        gravity, velocity, rate = (tuple(map(float, row)) for row in rng.standard_normal((3, 3)))
        return Told(gravity=gravity, velocity=velocity, rate=rate, height=float(rng.random()))


def engines(weights, graph, sizes=(1,)):
    runner = backend("onnxruntime")  # as the graphs on host memory: of two equal peaks, both take the same
    files = [file for size in sizes for file in ensure_engines(weights, [graph], runner, "fp32", size)]
    return load_engines(files, 0)[graph]


def on_processor(weights, tellers=(), stature_m=0.0):
    looks, bodies = LookOnProcessor(engines(weights, LOOK_GRAPH)), engines(weights, BODY_GRAPH)
    view, refiner = CameraView(weights.input), Refiner(True, stature_m)
    return BodyEstimator(looks, bodies, weights.step_ns, [view], [refiner], tellers)


def on_host_gpu(weights, streams, tellers=(), statures=(), **options):
    graph = HostGraph(cuda := HostCuda(), LOOK_GRAPH, as_gpu_form(bind_graph(weights, LOOK_GRAPH)), weights)
    looks = LookOnGpu(cuda, graph, [1, 2, 4][: streams.bit_length()], **options)
    bodies, views = engines(weights, BODY_GRAPH, (1, 2)), [CameraView(weights.input)] * streams
    refiners = [Refiner(True, stature_m) for stature_m in statures or [0.0] * streams]
    return BodyEstimator(looks, bodies, weights.step_ns, views, refiners, tellers)


def frames_of(weights, count):
    images = np.random.default_rng(4).integers(0, 256, (count, 256, 256, 3), np.uint8)
    return [NetworkInput(n, 0, (n + 1) * weights.step_ns, image, {}, 0) for n, image in enumerate(images)]


def test_the_look_graph_of_a_gpu_has_its_ports(weights):
    graph = as_gpu_form(bind_graph(weights, LOOK_GRAPH)).graph
    ports = tuple(tuple(port.name for port in side) for side in (graph.input, graph.output))
    assert ports == gpu_io(LOOK_GRAPH, weights.form)


def assert_poses_of_a_processor(worker, weights, statures, atol):
    """Three streams at their own rates, a break in one, a gap in another, batches of every size, and what is told."""
    alone = [on_processor(weights, [teller], size) for teller, size in zip(worker.tellers, statures)]
    rng, told = np.random.default_rng(2), []
    for turn in (0, 1, 2, 3, 6, 12):
        frames = {}
        for number in rng.permutation([n for n, every in enumerate((1, 2, 3)) if turn % every == 0]):
            t_ns = (turn + 1) * weights.step_ns + int(number) * weights.step_ns // 3
            image = rng.integers(0, 256, (256, 256, 3), np.uint8)
            frames[int(number)] = NetworkInput(turn, int(number == 1 and turn >= 6), t_ns, image, {}, 0)
        poses = dict(worker.poses(frames))
        assert list(poses) == list(frames)
        for number, pose in poses.items():
            expected = alone[number].estimate(frames[number])
            np.testing.assert_allclose(pose.joints, expected.joints, atol=atol)
            np.testing.assert_allclose(pose.sigma_m, expected.sigma_m, atol=atol)
            np.testing.assert_allclose(pose.keypoints, expected.keypoints, atol=500 * atol)
            np.testing.assert_allclose(pose.confidence, expected.confidence, atol=atol)
            assert (pose.told, pose.continues, pose.motions) == (expected.told, expected.continues, expected.motions)
            told.append(pose.told)
    assert [stream.resets for stream in worker.streams] == [one.streams[0].resets for one in alone]
    assert worker.streams[1].resets and worker.streams[0].resets and None in told and len(set(told)) > 5


STATURES = (0.0, 1.6, 1.9)


def test_a_gpu_gives_each_stream_the_poses_of_a_processor(weights):
    worker = on_host_gpu(weights, 3, [Knows(n) for n in range(3)], STATURES)
    held = len(worker.looks.gpu.cuda.held)
    assert_poses_of_a_processor(worker, weights, STATURES, atol=1e-4)
    assert len(worker.looks.gpu.cuda.held) == held, "memory was allocated while running"


@needs_gpu
def test_a_real_gpu_gives_the_poses_of_a_processor(weights):
    """Engine, captured graph and copies, as ``egostream run --backend tensorrt`` has them."""
    try:
        gpu_backend("tensorrt").aimed_here()
    except EgostreamError as error:
        pytest.skip(str(error))
    cuda = find_gpu()
    cuda.open()
    worker = load_worker(cuda, weights, "fp32", 3, lambda line: None, [1, 2, 4])
    worker.tellers = [Knows(n) for n in range(3)]
    for stream, stature_m in zip(worker.streams, STATURES):
        stream.refiner = Refiner(True, stature_m)
    assert_poses_of_a_processor(worker, weights, STATURES, atol=1e-3)


def test_a_batch_is_one_upload_one_graph_and_one_download(weights):
    beats = []
    worker = on_host_gpu(weights, 2, on_progress=lambda: beats.append(0))
    cuda, steps = worker.looks.gpu.cuda, ["upload main", "look main", "download main"]
    assert [cuda.on_stream[n : n + 3] for n in range(len(cuda.on_stream))].count(steps) == 2, "a plan of 1, one of 2"
    assert len(beats) == 3 * 2, "each graph prepared, run and recorded"
    del cuda.log[:]
    first, second = frames_of(weights, 2)
    assert len(list(worker.poses({0: first, 1: second}))) == 2
    assert [step for step in cuda.log if step != "record"] == ["launch"], "all is in the captured graph"
    assert not list(worker.poses({})) and worker.most_at_once == 2 and worker.manifest.backend == "tensorrt"


@pytest.mark.parametrize("place", ["processor", "gpu"])
@pytest.mark.parametrize("what", ["look", "body"])
def test_a_pose_that_is_not_finite_spoils_no_other(weights, place, what):
    """One overflow, say of fp16, must not stay in the window, nor in the filter; nor is there a pose of no keypoint."""
    frames = frames_of(weights, 5)
    struck, spared = (on_processor(weights) if place == "processor" else on_host_gpu(weights, 1) for _ in range(2))
    for one in (struck, spared):
        one.streams[0].refiner.smooth = OneEuroFilter(4.0, 6.0)
    spoil(struck, what, call=2)
    found = [struck.estimate(frame) for frame in frames]
    expected = {n: spared.estimate(frames[n]) for n in (0, 1, 3, 4)}
    assert [pose.is_finite for pose in found] == [True, True, False, True, True]
    for n, pose in expected.items():  # as if that frame had been dropped
        np.testing.assert_allclose(found[n].joints, pose.joints, atol=1e-5)
        assert found[n].motions == pose.motions


def spoil(estimator, what: str, call: int) -> None:
    """Let one network give NaN once, in all that it gives."""
    calls = itertools.count()
    if what == "body":
        owner, _ = estimator.body_engines[1]
    elif isinstance(estimator.looks, LookOnProcessor):
        owner, _ = estimator.looks.runners[1]
    else:
        (owner,) = estimator.looks.gpu
    run = owner.run

    def spoiled():
        outputs = run()
        return {k: np.full_like(v, np.nan) for k, v in outputs.items()} if next(calls) == call else outputs

    owner.run = spoiled


def test_a_look_gives_a_poses_keypoints_and_leaves_no_trace(weights):
    asked, left_alone = on_host_gpu(weights, 1), on_host_gpu(weights, 1)
    for frame, other in zip(frames := frames_of(weights, 4), frames[::-1]):
        pose = asked.estimate(frame)
        np.testing.assert_array_equal(pose.joints, left_alone.estimate(frame).joints)
        peaks, heights = asked.look(frame.image)
        np.testing.assert_array_equal(asked.streams[0].view.keypoints_in_camera(peaks)[0], pose.keypoints)
        np.testing.assert_array_equal(heights[pose.confidence > 0], pose.confidence[pose.confidence > 0])
        asked.look(other.image)


def test_a_failure_on_the_gpu_restarts_the_worker_and_is_not_the_users(weights, monkeypatch):
    worker, (frame,) = on_host_gpu(weights, 1), frames_of(weights, 1)

    def fall_off(*_):
        raise CudaError("CUDA: cuGraphLaunch failed: CUDA_ERROR_LAUNCH_FAILED")

    monkeypatch.setattr(worker.looks.gpu.cuda, "launch", fall_off)
    for call in (lambda: worker.estimate(frame), lambda: worker.look(frame.image)):
        with pytest.raises(RuntimeError, match="LAUNCH_FAILED") as caught:
            call()
        assert not isinstance(caught.value, EgostreamError)


def test_the_benchmark_measures_it(weights, capsys, monkeypatch):
    worker = on_host_gpu(weights, 2)
    del worker.looks.gpu.plans[:-1]
    monkeypatch.setattr(bench_gpu, "LAUNCHES", 2)
    row = bench_gpu.measure(worker, weights.step_ns, steps=3, warm=2, label="")
    assert set(row["parts"]) == {LOOK_GRAPH, "copies"} and row["step"]["p50"] > row["parts"]["copies"]
    bench_gpu.print_tables({"about": "host", "precisions": {"fp32": {2: row}}})
    assert LOOK_GRAPH in capsys.readouterr().out


def test_a_run_loads_it_with_its_tellers_beating(weights, monkeypatch):
    setup, said, beats = prepare_poses(RunConfig(weights=str(weights.folder)), print), [], []
    look = EngineFile(weights.folder / "look.engine", {"backend": "tensorrt", "graph": LOOK_GRAPH, "precision": "fp16"})
    bodies = [file for file in setup.engines if file.fields["graph"] == BODY_GRAPH]
    host, teller = HostCuda(), Knows(1)
    host.open = lambda: None
    graph = HostGraph(host, LOOK_GRAPH, as_gpu_form(bind_graph(weights, LOOK_GRAPH)), weights)
    monkeypatch.setattr("egostream.infer.load.find_gpu", lambda: host)
    monkeypatch.setattr("egostream.infer.load.gpu_backend", lambda name: SimpleNamespace(aimed_here=lambda: None))
    monkeypatch.setattr("egostream.infer.load.load_device_graph", lambda path, fields, runner: graph)
    on_gpu = dataclasses.replace(setup, engines=(look, *bodies))
    assert (on_gpu.backend, on_gpu.precision, on_gpu.motion) == ("tensorrt", "fp16", "every-frame")
    worker = load_estimator(on_gpu, said.append, lambda: beats.append(0), tellers=[teller])
    assert isinstance(worker.looks, LookOnGpu) and worker.tellers == [teller] and len(beats) == 4
    assert worker.streams[0].refiner.has_rays and "every start compiles them again: kernels: Permission" in said[0]
    (frame,) = frames_of(weights, 1)
    assert worker.estimate(frame).is_finite and worker.estimate(frame).told == teller.tells(weights.step_ns, 1)


class Claimed:
    """A GPU that is only claimed: nothing is run on it."""

    def device(self):
        return "Claimed", (8, 6)


@needs_rtx
def test_engines_of_both_are_chosen_compiled_and_taken_from_a_folder(weights, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("egostream.engine.choose.find_gpu", Claimed)
    monkeypatch.setattr(backend_tensorrt, "find_gpu", Claimed)
    monkeypatch.setattr(TensorRTBackend, "aimed_here", lambda self: self)  # compiling for the GPU there needs it
    monkeypatch.setattr("tools.network.build.load_network", thin_network)
    monkeypatch.setenv("EGOSTREAM_CACHE", str(tmp_path / "cache"))
    said, config = [], RunConfig(precision="fp16")
    runner, _ = choose_runner(RunConfig(), weights, 3, said.append)
    assert runner.name == "openvino" and "not compiled in fp16 for it yet. Run once with --backend ten" in said.pop()

    options = f"--backend tensorrt --precision fp16 --batch 2 --count 2 -o {tmp_path}/built --json".split()
    monkeypatch.setattr(sys, "argv", ["build_engine.py", str(weights.folder), *options])
    build_engine.main()
    parity = json.loads(capsys.readouterr().out)
    assert set(parity) == {LOOK_GRAPH, BODY_GRAPH}
    assert 0 < parity[LOOK_GRAPH]["fp16"]["heatmaps"][0] < 0.02 and parity[BODY_GRAPH]["fp16"]["joints"][0] < 1e-4
    looks = tmp_path / "built/look.tensorrt-fp16-b2.engine"
    assert json.loads(looks.with_name(looks.name + ".json").read_text())["parity"] == parity[LOOK_GRAPH]["fp16"]

    given = msgspec.structs.replace(config, engines=str(tmp_path / "built"))
    gpu, precision = choose_runner(given, weights, 3, said.append)
    names = ["look.tensorrt-fp16-b2.engine", *(f"body.openvino-fp32-b{size}.blob" for size in (1, 2))]
    files = prepare_engines(given, weights, gpu, precision, 3, said.append)
    assert [file.path for file in files] == [tmp_path / "built" / name for name in names] and not said
    assert load_engines(files[1:], 0)[BODY_GRAPH].keys() == {1, 2}

    (tmp_path / "built" / names[1]).unlink()  # or it is another processor's
    *_, body = prepare_engines(given, weights, gpu, precision, 1, said.append)
    assert body.path.is_relative_to(tmp_path / "cache") and "body.openvino-fp32-b1.blob is missing" in said[0]
    assert len(said) == 2 and said[1].startswith("compiling") and all("\n" not in line for line in said)

    shutil.copytree(tmp_path / "built", looks_cached(tmp_path, weights))  # as if compiled by a run with --backend
    del said[:]
    gpu, _ = choose_runner(RunConfig(), weights, 3, said.append)
    files = prepare_engines(RunConfig(), weights, gpu, "fp16", 3, said.append)
    assert gpu.name == "tensorrt" and [file.fields["graph"] for file in files] == [LOOK_GRAPH, BODY_GRAPH, BODY_GRAPH]
    assert all(file.path.is_relative_to(tmp_path / "cache") for file in files) and len(said) == 1

    looks.unlink()
    with pytest.raises(EgostreamError, match="look.tensorrt-fp16-b4.engine is not there"):
        prepare_engines(given, weights, gpu, precision, 3, said.append)
    with pytest.raises(EgostreamError, match="--motion trained-step is for processors"):
        choose_runner(RunConfig(backend="tensorrt", motion="trained-step"), weights, 1, said.append)


def looks_cached(folder, weights):
    """Where a run keeps its GPU engine for these weights, of batch size 2."""
    return folder / "cache" / "engines" / weights.id[:16] / "look.tensorrt-fp16-b2"
