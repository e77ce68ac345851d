"""The GPU worker: its graphs, its steps on host memory, both bindings to CUDA, and the choice of backend."""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import itertools
import shutil
import subprocess
import sys
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from conftest import ROOT
from host_gpu import HostCuda, HostGraph, needs_gpu, no_gpu, view

from egostream.calibration.view import CameraView
from egostream.config import RunConfig
from egostream.engine import backend_tensorrt
from egostream.engine import cuda as cuda_module
from egostream.engine.backend_tensorrt import TensorRTBackend, TensorRTGraph
from egostream.engine.backends import backend, gpu_backend
from egostream.engine.batch_sizes import gpu_batch_sizes
from egostream.engine.build import ensure_engines, wanted_fields
from egostream.engine.choose import choose_runner, prepare_engines
from egostream.engine.contract import EngineFile
from egostream.engine.cuda import BINDINGS, Cuda, CudaError, CudaPython, PyCuda, find_gpu
from egostream.engine.device_memory import Block
from egostream.engine.load import load_engine
from egostream.errors import EgostreamError, GpuUnusable
from egostream.graph.bind import bind_graph
from egostream.graph.default_weights import default_weights
from egostream.graph.gpu_form import as_gpu_form, ring_inputs
from egostream.graph.peaks import heatmap_peaks, with_peaks
from egostream.graph.ports import GRAPHS, STEP_GRAPH
from egostream.infer.every_frame import EveryFrameEstimator
from egostream.infer.gpu_plans import record
from egostream.infer.load import load_estimator
from egostream.infer.on_gpu import GpuEstimator
from egostream.infer.smooth import OneEuroFilter
from egostream.publish.client import PoseSubscriber
from egostream.run_setup import RunSetup
from egostream.supervise.prepare import on_processor, prepare_run
from egostream.supervise.supervisor import Supervisor
from egostream.types import NetworkInput
from tools import bench_gpu
from tools.engines.parity import run_graph


def test_a_gpu_that_the_driver_names_is_found():
    """The tests below choose themselves by ``find_gpu``: where that breaks, all would be skipped."""
    if shutil.which("nvidia-smi") is None:
        pytest.skip("no NVIDIA driver")
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    if listed.returncode or "GPU 0" not in listed.stdout:
        pytest.skip("nvidia-smi lists no GPU")
    if not any(map(importlib.util.find_spec, ("cuda", "pycuda"))):
        pytest.skip("neither cuda-bindings nor pycuda is installed")
    assert no_gpu() == ""


needs_no_gpu = pytest.mark.skipif(not no_gpu(), reason="this machine has a GPU")


def session(model):
    return backend("onnxruntime").session(model.SerializeToString())


# -- graphs in the form for GPUs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["window", "causal"])
def test_the_ring_gives_the_temporal_graph_what_the_contract_gives_it(thin_weights_of, kind):
    model, rng, N = bind_graph(thin_weights_of(kind), "temporal"), np.random.default_rng(0), 3
    inputs = {}
    for port in model.graph.input:
        shape = [N, *(dim.dim_value for dim in port.type.tensor_type.shape.dim[1:])]
        inputs[port.name] = (
            rng.random(shape) < 0.7 if port.name == "valid" else rng.standard_normal(shape).astype(np.float32)
        )
    if kind == "window":
        inputs["valid"][:, -1] = True  # the newest frame is always there
    expected = session(model).run(None, inputs)
    resident_inputs = ring_inputs(inputs)
    # rows in another order, between rows of other streams
    order = rng.permutation(2 * len(resident_inputs["ring"]))
    ring = np.full((len(order), *resident_inputs["ring"].shape[1:]), 7, np.float32)
    places = order[: len(resident_inputs["ring"])].astype(np.int32)
    ring[places] = resident_inputs["ring"]
    found = session(as_gpu_form(model)).run(
        None, resident_inputs | {"ring": ring, "rows": places[resident_inputs["rows"]]}
    )
    for a, b in zip(found, expected):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_peaks_in_the_graph_are_those_of_the_processor(thin_weights_of):
    import onnx
    from onnx import helper

    maps = np.random.default_rng(1).random((4, 15, 64, 64)).astype(np.float32) ** 8
    maps[0, 0] = 0.0  # nothing at all
    maps[0, 1] = 0.25  # flat
    for joint, (y, x) in enumerate([(0, 0), (0, 63), (63, 0), (63, 63), (1, 30), (30, 62)]):
        maps[1, joint, y, x] = 1.5  # corners and borders
    port = helper.make_tensor_value_info("heatmaps", onnx.TensorProto.FLOAT, ["N", 15, 64, 64])
    graph = helper.make_graph([helper.make_node("Identity", ["maps"], ["heatmaps"])], "g", [], [port])
    graph.input.append(helper.make_tensor_value_info("maps", onnx.TensorProto.FLOAT, ["N", 15, 64, 64]))
    model = with_peaks(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10))
    _, peaks, heights = session(model).run(None, {"maps": maps})
    for found, height, one in zip(peaks, heights, maps):
        expected, confidence = heatmap_peaks(one)
        np.testing.assert_allclose(found, expected, atol=1e-4)
        np.testing.assert_allclose(height, confidence, atol=1e-7)


def test_other_graphs_stay_as_they_are(thin_weights_of):
    for graph in ("backbone", "decoder", STEP_GRAPH):
        model = bind_graph(thin_weights_of("causal"), graph)
        assert as_gpu_form(model) is model


# -- the worker, on host memory --------------------------------------------------------------------------------------


def host_estimator(weights, streams):
    cuda = HostCuda()
    graphs = {graph: HostGraph(cuda, graph, as_gpu_form(bind_graph(weights, graph)), weights) for graph in GRAPHS}
    return GpuEstimator(cuda, graphs, weights.step_ns, [CameraView(weights.input)] * streams)


def processor_estimator(weights):
    runner = backend("onnxruntime")  # as the worker's graphs here: of two equal peaks, both take the same
    path = ensure_engines(weights, [STEP_GRAPH], runner, "fp32", 1)[0].path
    engine = load_engine(path, wanted_fields(weights, STEP_GRAPH, runner, "fp32", 1), 0)
    return EveryFrameEstimator({1: engine}, weights.step_ns, [CameraView(weights.input)])


def assert_poses_of_a_processor(worker, weights, atol):
    """Three streams at their own rates, a break in one, batches of every size: the same poses."""
    rng, alone = np.random.default_rng(2), [processor_estimator(weights) for _ in range(3)]
    for turn in range(5):
        frames = {}
        for number in rng.permutation([n for n, every in enumerate((1, 2, 3)) if turn % every == 0]):
            t_ns = (turn + 1) * weights.step_ns + int(number) * weights.step_ns // 3
            image = rng.integers(0, 256, (256, 256, 3), np.uint8)
            frames[int(number)] = NetworkInput(turn, int(number == 1 and turn >= 3), t_ns, image, {}, 0)
        for number, pose in worker.poses(frames):
            expected = alone[number].estimate(frames[number])
            np.testing.assert_allclose(pose.joints, expected.joints, atol=atol)
            np.testing.assert_allclose(pose.keypoints, expected.keypoints, atol=500 * atol)
            np.testing.assert_allclose(pose.confidence, expected.confidence, atol=atol)
    assert [stream.resets for stream in worker.streams] == [0, 1, 0]


@pytest.mark.parametrize("kind", ["window", "causal"])
def test_the_worker_gives_each_stream_the_poses_of_a_processor(thin_weights_of, kind):
    weights = thin_weights_of(kind)
    worker = host_estimator(weights, 3)
    calls = len(worker.gpu.cuda.held)
    assert_poses_of_a_processor(worker, weights, atol=1e-4)
    assert len(worker.gpu.cuda.held) == calls, "memory was allocated while running"


@needs_gpu
@pytest.mark.parametrize("kind", ["window", "causal"])
def test_the_worker_on_a_gpu_gives_the_poses_of_a_processor(weights_of, kind):
    """Engines, both streams, the captured graph and the ring, as ``egostream run --backend tensorrt`` has them."""
    try:
        gpu_backend("tensorrt").aimed_here()
    except EgostreamError as error:
        pytest.skip(str(error))
    cuda, weights = find_gpu(), weights_of(kind)
    cuda.open()
    for sizes in ([4], [1, 2, 4]):
        worker = bench_gpu.load_worker(cuda, weights, "fp32", 3, lambda line: None, sizes)
        assert_poses_of_a_processor(worker, weights, atol=1e-3)


@pytest.mark.parametrize("place", ["processor", "gpu"])
def test_a_pose_that_is_not_finite_spoils_no_other(thin_weights_of, place):
    """One overflow, say of fp16, must not stay in the window, nor in the filter."""
    weights, rng = thin_weights_of("causal"), np.random.default_rng(4)
    images = rng.integers(0, 256, (5, 256, 256, 3), np.uint8)
    frames = [NetworkInput(n, 0, (n + 1) * weights.step_ns, image, {}, 0) for n, image in enumerate(images)]

    def estimator():
        return processor_estimator(weights) if place == "processor" else host_estimator(weights, 1)

    struck, spared = estimator(), estimator()
    for one in (struck, spared):
        one.streams[0].refiner.smooth = OneEuroFilter(4.0, 6.0)
    spoil(struck, call=2)
    found = [struck.estimate(frame).joints for frame in frames]
    expected = {n: spared.estimate(frames[n]).joints for n in (0, 1, 3, 4)}
    assert not np.isfinite(found[2]).any()
    for n, joints in expected.items():  # as if that frame had been dropped
        np.testing.assert_allclose(found[n], joints, atol=1e-5)


@pytest.mark.parametrize("place", ["processor", "gpu"])
def test_a_look_gives_a_poses_keypoints_and_leaves_no_trace(thin_weights_of, place):
    weights, rng = thin_weights_of("causal"), np.random.default_rng(6)
    images = rng.integers(0, 256, (4, 256, 256, 3), np.uint8)
    frames = [NetworkInput(n, 0, (n + 1) * weights.step_ns, image, {}, 0) for n, image in enumerate(images)]
    make = (lambda: processor_estimator(weights)) if place == "processor" else (lambda: host_estimator(weights, 1))
    asked, left_alone = make(), make()
    for frame, other in zip(frames, images[::-1]):
        pose = asked.estimate(frame)
        np.testing.assert_array_equal(pose.joints, left_alone.estimate(frame).joints)
        peaks, heights = asked.look(frame.image)
        np.testing.assert_array_equal(asked.streams[0].view.keypoints_in_camera(peaks)[0], pose.keypoints)
        np.testing.assert_array_equal(heights[pose.confidence > 0], pose.confidence[pose.confidence > 0])
        asked.look(other)
    assert asked.streams[0].resets == 0


def spoil(estimator, call: int) -> None:
    """Let the network give NaN once: joints, and what is kept of the frame."""
    calls = itertools.count()
    if isinstance(estimator, EveryFrameEstimator):
        engine, _ = estimator.runners[1]
        run = engine.run

        def spoiled():
            outputs = run()
            if next(calls) == call:
                outputs = {name: np.full_like(value, np.nan) for name, value in outputs.items()}
            return outputs

        engine.run = spoiled
        return
    (plan,) = estimator.gpu
    run = plan.run

    def spoiled():
        outputs = run()
        if next(calls) == call:
            outputs["joints"][:] = np.nan
            view(plan.addresses[estimator.kept], "float32", (estimator.row_bytes // 4,))[:] = np.nan
        return outputs

    plan.run = spoiled


STEP_ON_STREAMS = [
    "upload main",
    "record main",
    "wait side",
    "backbone side",
    "temporal side",
    "heatmap main",
    "record side",
    "wait main",
    "decoder main",
    "download main",
]


def test_a_frame_is_one_upload_one_graph_and_one_download(thin_weights_of):
    weights = thin_weights_of("causal")
    worker = host_estimator(weights, 2)
    log, streams = worker.gpu.cuda.log, worker.gpu.cuda.on_stream
    assert log.count("capture") == len(worker.gpu.plans) == 2
    # the side stream begins when the upload is done, and the decoder when the side stream is
    recorded = [n for n in range(len(streams)) if streams[n : n + len(STEP_ON_STREAMS)] == STEP_ON_STREAMS]
    assert len(recorded) == 2
    del log[:]
    image = np.zeros((256, 256, 3), np.uint8)
    list(worker.poses({n: NetworkInput(0, 0, 10 + n, image, {"handover": 5}, 0) for n in (0, 1)}))
    assert [step for step in log if step != "record"] == [
        "launch",
        "copy",
        "copy",
    ]  # what is kept goes into the ring on the device
    assert not list(worker.poses({}))


def test_a_failure_on_the_gpu_restarts_the_worker_and_is_not_the_users(thin_weights_of, monkeypatch):
    worker = host_estimator(thin_weights_of("window"), 1)

    def fall_off(*_):
        raise CudaError("CUDA: cuGraphLaunch failed: CUDA_ERROR_LAUNCH_FAILED")

    monkeypatch.setattr(worker.gpu.cuda, "launch", fall_off)
    with pytest.raises(RuntimeError, match="LAUNCH_FAILED") as caught:
        worker.estimate(NetworkInput(0, 0, 1, np.zeros((256, 256, 3), np.uint8), {}, 0))
    assert not isinstance(caught.value, EgostreamError)


def test_one_graph_alone_for_comparing(thin_weights_of):
    weights, cuda, rng = thin_weights_of("window"), HostCuda(), np.random.default_rng(3)
    inputs = {
        "tokens": rng.standard_normal((2, 15, 128)).astype(np.float32),
        "motion": rng.standard_normal((2, 384)).astype(np.float32),
    }
    model = bind_graph(weights, "decoder")
    found = run_graph(cuda, HostGraph(cuda, "decoder", model, weights), inputs)
    np.testing.assert_array_equal(found["joints"], session(model).run(None, inputs)[0])


@pytest.mark.parametrize(
    ("module", "capability", "target"),
    [
        ("tensorrt_rtx", (8, 6), "current"),
        ("tensorrt_rtx", (7, 5), "sm75"),
        ("tensorrt", (7, 5), "current"),
        ("tensorrt", (9, 0), "current"),
    ],
)
def test_each_module_aims_at_the_gpus_it_serves(monkeypatch, module, capability, target):
    known = {"SM75": 0, "SM86": 0}
    library = SimpleNamespace(__name__=module, ComputeCapability=SimpleNamespace(__members__=known))
    monkeypatch.setattr(TensorRTBackend, "library", lambda self: library)
    monkeypatch.setattr(backend_tensorrt, "find_gpu", lambda: SimpleNamespace(device=lambda: ("Claimed", capability)))
    runner = TensorRTBackend().aimed_here()
    assert runner.target == target
    assert runner.serves("NVIDIA ampere+") == (capability[0] >= 8)
    runner = TensorRTBackend(module=module)  # by name: no other is taken instead
    monkeypatch.setattr(backend_tensorrt, "find_gpu", lambda: SimpleNamespace(device=lambda: ("Claimed", (10, 0))))
    if module == "tensorrt_rtx":
        assert not runner.serves("NVIDIA ampere+")
        with pytest.raises(
            EgostreamError, match=r"does not run on Claimed \(compute capability 10.0\).*pip install tensorrt"
        ):
            runner.aimed_here()


def test_a_failed_recording_is_ended():
    """Or the thread could put nothing on the GPU any more."""
    cuda = HostCuda()

    def work():
        raise CudaError("TensorRT could not run the heatmap graph")

    with pytest.raises(CudaError, match="heatmap"):
        record(cuda, cuda.stream(), work)
    assert cuda.recording is None


def test_an_empty_kernel_cache_is_not_written(tmp_path):
    graph = TensorRTGraph.__new__(TensorRTGraph)
    graph.path, graph.kept, blobs = tmp_path / "g.engine", b"", [None, b"kernels"]
    graph.cache = SimpleNamespace(serialize=lambda: blobs.pop(0))
    graph.save_cache()
    assert not list(tmp_path.iterdir())
    graph.save_cache()
    assert graph.cache_path.read_bytes() == b"kernels" and len(list(tmp_path.iterdir())) == 1


def test_batch_sizes_and_too_many_frames(thin_weights_of, monkeypatch):
    assert [gpu_batch_sizes(n) for n in (1, 2, 3, 5, 32)] == [
        [1],
        [1, 2],
        [1, 2, 4],
        [1, 2, 4, 8],
        [1, 2, 4, 8, 16, 32],
    ]
    assert all(gpu_batch_sizes(n)[-1] == 1 << (n - 1).bit_length() for n in range(1, 33))
    monkeypatch.setattr("egostream.infer.on_gpu.MOST_ROWS", 100)
    with pytest.raises(EgostreamError, match="engines take up to 100"):
        host_estimator(thin_weights_of("window"), 2)


def test_tensors_of_a_block_lie_apart_and_aligned():
    block = Block(HostCuda(), {"a": ("uint8", (3, 5)), "b": ("bool", (7,)), "c": ("float32", (2, 2))})
    assert [address - block.device for address in block.addresses.values()] == [0, 256, 512]
    for value, array in enumerate(block.arrays.values(), 1):
        array[...] = value
    assert (block.arrays["a"] == 1).all() and (block.arrays["b"] == 1).all() and (block.arrays["c"] == 3).all()


def test_the_benchmark_measures_the_worker(thin_weights_of, capsys, monkeypatch):
    worker = host_estimator(thin_weights_of("causal"), 2)
    del worker.gpu.plans[:-1]
    monkeypatch.setattr(bench_gpu, "LAUNCHES", 2)
    row = bench_gpu.measure(worker, worker.streams[0].window.step_ns, steps=3, warm=2, label="")
    assert set(row["parts"]) == {*GRAPHS, "copies"} and all(ms > 0 for ms in row["parts"].values())
    assert 0 < row["gpu"]["p50"] <= row["gpu"]["p99"] and 0 < row["step"]["p50"] <= row["step"]["p99"]
    assert row["idle"] == 1 - sum(row["parts"].values()) / row["in_turn"] and row["overlap"] < 1
    assert worker.gpu.plans[0].uploaded.arrays["valid"].sum() == 2 * 4, "the window of its own past frames"
    bench_gpu.print_tables({"about": "host", "precisions": {"fp32": {2: row}}})
    printed = capsys.readouterr().out
    assert printed.count("fp32") == 2 and "…" not in printed
    with pytest.raises(EgostreamError, match="1 to 32"):
        bench_gpu.parse(["--streams", "33"])


@needs_no_gpu
def test_the_benchmark_says_what_is_missing():
    done = subprocess.run([sys.executable, "tools/bench_gpu.py"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stderr.startswith("bench_gpu: no ") and "Traceback" not in done.stderr


# -- bindings --------------------------------------------------------------------------------------------------------

METHODS = [name for name, value in vars(Cuda).items() if callable(value) and not name.startswith("_")]


@pytest.mark.parametrize("binding", [*BINDINGS, HostCuda])
def test_every_binding_has_every_call_of_the_contract(binding):
    assert len(METHODS) > 15
    for name in METHODS:
        if binding is HostCuda and name in ("open", "close", "driver_version", "device", "memory"):
            continue  # what the worker does not ask of it
        wanted = list(inspect.signature(getattr(Cuda, name)).parameters)
        assert list(inspect.signature(getattr(binding, name)).parameters) == wanted, name


def test_cuda_python_has_what_is_called():
    driver = pytest.importorskip("cuda.bindings.driver", reason="pip install cuda-bindings")
    source = inspect.getsource(CudaPython)
    called = {
        word
        for word in source.replace("(", " ").replace(",", " ").replace(")", " ").split()
        if word.startswith(("self.driver.cu", "driver.cu"))
    }
    assert len(called) > 20
    for name in called:
        assert hasattr(driver, name.rsplit(".", 1)[1]), name
    for kind, names in (
        ("CUstream_flags", ["CU_STREAM_NON_BLOCKING"]),
        ("CUevent_flags", ["CU_EVENT_DEFAULT", "CU_EVENT_DISABLE_TIMING"]),
        (
            "CUdevice_attribute",
            ["CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR", "CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR"],
        ),
    ):
        assert all(hasattr(getattr(driver, kind), name) for name in names)
    assert driver.CUstreamCaptureMode(cuda_module.THREAD_LOCAL).name == "CU_STREAM_CAPTURE_MODE_THREAD_LOCAL"
    assert driver.CUresult(cuda_module.OUT_OF_MEMORY).name == "CUDA_ERROR_OUT_OF_MEMORY"


def test_pycuda_has_what_is_called():
    if not importlib.util.find_spec("pycuda"):
        pytest.skip("pip install pycuda (needs the CUDA toolkit)")
    driver = pytest.importorskip("pycuda.driver", reason="needs libcuda", exc_type=ImportError)
    source = inspect.getsource(PyCuda)
    for word in {
        word.strip("(),:") for word in source.replace("(", " ").split() if word.startswith(("self.driver.", "driver."))
    }:
        target = driver
        for part in word.removeprefix("self.").split(".")[1:]:
            target = getattr(target, part.rstrip("),"))
    assert {"DEFAULT", "DISABLE_TIMING"} <= set(dir(driver.event_flags))
    assert all(hasattr(driver.Stream, name) for name in ("handle", "wait_for_event"))
    assert all(hasattr(driver.Event, name) for name in ("record", "synchronize", "time_since"))


def test_nothing_else_knows_which_binding_it_is():
    for path in (ROOT / "egostream").rglob("*.py"):
        text = path.read_text()
        if path.name != "cuda.py":
            assert "import pycuda" not in text and "cuda.bindings" not in text, path


def test_a_machine_without_a_binding_is_told_which_to_install(monkeypatch):
    def missing(number):
        raise ImportError("No module named 'cuda'")

    missing.binding = "cuda-python"
    monkeypatch.setattr(cuda_module, "BINDINGS", (missing,))
    with pytest.raises(CudaError, match="no binding to CUDA is installed.*cuda-python.*pip install cuda-bindings"):
        find_gpu()


@needs_gpu
@pytest.mark.parametrize("binding", BINDINGS)
def test_copies_events_and_captured_graphs_on_a_gpu(binding):
    try:
        cuda = binding(0)
    except ImportError as error:
        pytest.skip(str(error))
    cuda.open()
    n = 1 << 20
    stream, start, end = cuda.stream(), cuda.event(timed=True), cuda.event(timed=True)
    there, twice, given, found = cuda.allocate(n), cuda.allocate(n), cuda.pinned(n), cuda.pinned(n)

    def chain():
        cuda.upload(there, given, stream)
        cuda.copy(twice, there, n, stream)
        cuda.download(found, twice, stream)

    given[:] = np.arange(n) % 251
    cuda.record(start, stream)
    chain()
    cuda.record(end, stream)
    cuda.synchronize(end)
    assert (found == given).all() and cuda.elapsed_ms(start, end) > 0
    cuda.begin_capture(stream)
    chain()
    graph = cuda.end_capture(stream)
    for value in (3, 200):
        given[:] = value
        cuda.launch(graph, stream)
        cuda.record(end, stream)
        cuda.synchronize(end)
        assert (found == value).all()
    cuda.clear(twice, n, stream)
    cuda.download(found, twice, stream)
    cuda.record(end, stream)
    cuda.synchronize(end)
    assert not found.any() and cuda.memory()[1] > n
    with pytest.raises(CudaError, match="out of GPU memory"):
        cuda.allocate(1 << 50)


# -- the choice of backend -------------------------------------------------------------------------------------------


@needs_no_gpu
@pytest.mark.skipif(not importlib.util.find_spec("tensorrt_rtx"), reason="pip install tensorrt-rtx")
def test_without_a_gpu_auto_says_so_once_and_a_name_is_refused():
    said, weights = [], default_weights()
    runner, precision = choose_runner(RunConfig(), weights, 1, said.append)
    assert runner.name == "openvino" and len(said) == 1 and "TensorRT is installed, but not used: no" in said[0]
    with pytest.raises(EgostreamError, match="^no .*(driver|GPU)"):
        prepare_run(RunConfig(backend="tensorrt"), said.append)
    done = subprocess.run(
        [sys.executable, "-m", "egostream", "run", "--backend", "tensorrt"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


@pytest.mark.skipif(not importlib.util.find_spec("tensorrt_rtx"), reason="pip install tensorrt-rtx")
def test_with_a_gpu_auto_takes_engines_that_are_there(thin_weights_of, monkeypatch, tmp_path):
    """The rules alone: a GPU is only claimed here, and nothing is run on it."""

    class Claimed:
        capability = 8, 6

        def device(self):
            return "Claimed", self.capability

    monkeypatch.setattr("egostream.engine.choose.find_gpu", Claimed)
    monkeypatch.setattr(backend_tensorrt, "find_gpu", Claimed)
    monkeypatch.setenv("EGOSTREAM_CACHE", str(tmp_path))
    said, weights = [], thin_weights_of("causal")
    assert choose_runner(RunConfig(), weights, 1, said.append)[0].name == "openvino"
    assert "not compiled in fp16 for it yet. Run once with --backend tensorrt" in said.pop()

    runner = gpu_backend("tensorrt")
    config = RunConfig(backend="tensorrt", precision="fp16")
    monkeypatch.setattr(TensorRTBackend, "runs", ("decoder",))  # one is enough to show it
    monkeypatch.setattr(TensorRTBackend, "aimed_here", lambda self: self)  # compiling for the GPU there needs it
    files = prepare_engines(config, weights, runner, "fp16", 3, said.append)
    assert [file.fields["batch"] for file in files] == [4] and "compiling" in said.pop()
    assert (
        prepare_engines(config, weights, runner, "fp16", 1, said.append) == files and not said
    )  # nothing is compiled again
    for streams in (1, 3, 32):  # they take any batch
        assert choose_runner(RunConfig(), weights, streams, said.append) == (runner, "fp16") and not said
    assert (
        choose_runner(RunConfig(preset="accuracy"), weights, 3, said.append)[0].name == "openvino"
        and "in fp32" in said.pop()
    )
    with pytest.raises(EgostreamError, match="--motion trained-step is for processors"):
        choose_runner(RunConfig(backend="tensorrt", motion="trained-step"), weights, 1, said.append)
    assert (
        choose_runner(RunConfig(motion="trained-step"), weights, 1, said.append)[0].name == "openvino"
        and "leave it out" in said.pop()
    )
    assert [runner.serves(f"NVIDIA {target}") for target in ("ampere+", "sm86", "sm89", "current")] == [
        True,
        True,
        False,
        False,
    ]
    Claimed.capability = 9, 0  # a data centre's: not for RTX
    assert not runner.serves("NVIDIA ampere+")
    Claimed.capability = 7, 5
    assert choose_runner(RunConfig(), weights, 3, said.append)[0].name == "openvino"
    assert "was built for device NVIDIA ampere+" in said.pop()

    Claimed.capability = 8, 6
    engine = files[0].path
    engine.write_bytes(engine.read_bytes()[:-1] + b"?")
    assert choose_runner(RunConfig(), weights, 3, said.append)[0].name == "openvino" and "SHA-256" in said.pop()
    with pytest.raises(EgostreamError, match="is not there"):
        prepare_engines(
            msgspec.structs.replace(config, engines=str(tmp_path / "nothing")), weights, runner, "fp16", 1, said.append
        )


def test_a_run_loads_the_worker_beating_and_says_that_kernels_cannot_be_kept(thin_weights_of, monkeypatch):
    config = RunConfig(weights=str(thin_weights_of("two seconds").folder))
    setup, said, beats = prepare_run(config, lambda line: None), [], []
    files = [
        EngineFile(ROOT / f"{graph}.engine", {"backend": "tensorrt", "graph": graph, "precision": "fp32"})
        for graph in GRAPHS
    ]
    host = HostCuda()
    host.open = lambda: None
    graph_of = lambda path, fields, runner: HostGraph(
        host, fields["graph"], as_gpu_form(bind_graph(setup.weights, fields["graph"])), setup.weights
    )
    monkeypatch.setattr("egostream.infer.load.find_gpu", lambda: host)
    monkeypatch.setattr("egostream.infer.load.gpu_backend", lambda name: SimpleNamespace(aimed_here=lambda: None))
    monkeypatch.setattr("egostream.infer.load.load_device_graph", graph_of)
    worker = load_estimator(dataclasses.replace(setup, engines=tuple(files)), said.append, lambda: beats.append(0))
    refiner = worker.streams[0].refiner
    assert isinstance(worker, GpuEstimator) and refiner.has_rays and refiner.smooth is not None
    assert len(beats) > len(GRAPHS) and "every start compiles them again: kernels: Permission denied" in said[0]


@needs_no_gpu
def test_a_gpu_that_fails_at_the_start_is_left_unless_it_was_named():
    """Engines of a GPU that is not there: what a full GPU or an old driver is to a run."""
    on_gpu, said = with_gpu_engines(prepare_run(RunConfig(), lambda line: None)), []
    with pytest.raises(GpuUnusable, match="^no "):
        load_estimator(on_gpu, said.append, lambda: None)
    with pytest.raises(CudaError):
        load_estimator(dataclasses.replace(on_gpu, config=RunConfig(backend="tensorrt")), said.append, lambda: None)
    setup = on_processor(on_gpu, said.append)
    assert setup.backend == "openvino" and not said
    assert load_estimator(setup, said.append, lambda: None).manifest.backend == "openvino"


def with_gpu_engines(setup: RunSetup) -> RunSetup:
    """The same run, as if its engines were a GPU's."""
    fields = setup.engines[0].fields | {"backend": "tensorrt"}
    return dataclasses.replace(setup, engines=(EngineFile(setup.engines[0].path, fields),))


@needs_no_gpu
def test_a_run_whose_gpu_cannot_be_used_goes_on_without_it(tmp_path):
    """The real processes: inference ends, the supervisor plans again, and poses come from the processor."""
    config = RunConfig(publish=f"ipc://{tmp_path}/poses", control="", seconds=60)
    said: list[str] = []
    supervisor = Supervisor(with_gpu_engines(prepare_run(config, print)), said.append)
    with PoseSubscriber(config.publish) as poses:
        received = []

        def look(supervisor: Supervisor) -> None:
            received.extend(pose for pose in [poses.newest(0)] if pose)
            if len(received) > 5 and poses.status():
                supervisor.stop()

        supervisor.run(look)
        assert len(received) > 5 and poses.status().engine.backend == "openvino"
    assert sum("the GPU is not used: no " in line for line in said) == 1
