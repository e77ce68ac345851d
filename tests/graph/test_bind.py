"""Weights folders, graphs and engines: shipped topologies, parity, manifests, and every way they can be wrong."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from types import SimpleNamespace

import msgspec
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from conftest import ROOT
from onnx import TensorProto, helper
from released_checkpoints import make_checkpoints, run_importer, save_checkpoints

from egostream.config import RunConfig
from egostream.engine.backend_onnxruntime import BACKEND as ONNXRUNTIME
from egostream.engine.backend_openvino import BACKEND as OPENVINO
from egostream.engine.backends import backend, choose_backend
from egostream.engine.build import build_engine, build_engines, ensure_engines, wanted_fields
from egostream.engine.load import check_engine, load_engine, manifest_path
from egostream.errors import EgostreamError
from egostream.graph.bind import bind_graph, shipped_topologies
from egostream.graph.ports import COMPOSED_OF, GRAPH_IO, GRAPHS, MOTION_GRAPH, POSE_GRAPH, STEP_GRAPH, graph_io
from egostream.graph.untrained import untrained_weights
from egostream.graph.weights import load_tensors, load_weights, save_weights
from egostream.supervise.prepare import prepare_run
from tools import import_checkpoint
from tools.network import NetworkSpec, build_network
from tools.network.build import load_network
from tools.network.export import example_inputs, export_graph, export_module, export_topologies


@pytest.fixture(scope="module")
def bound(weights_of):
    """Bound ONNX graphs, made once per kind of weights."""
    made = {}

    def make(kind, graph):
        return made.setdefault((kind, graph), bind_graph(weights_of(kind), graph))

    return make


@pytest.mark.parametrize("kind", ["window", "causal", "released"])
@pytest.mark.parametrize(
    ("graph", "batch"),
    [(graph, batch) for graph in (*GRAPHS, STEP_GRAPH) for batch in (1, 3)] + [(MOTION_GRAPH, 3), (POSE_GRAPH, 3)],
)
def test_graphs_equal_pytorch(weights_of, bound, kind, graph, batch):
    """The exported graphs, run by a library that is neither our default backend nor PyTorch, at two batch sizes."""
    torch.manual_seed(batch)
    network = load_network(weights_of(kind))
    inputs = example_inputs(graph, network.spec, batch)
    with torch.no_grad():
        expected = export_module(network, graph)(*inputs.values())
    session = onnxruntime.InferenceSession(bound(kind, graph).SerializeToString(), providers=["CPUExecutionProvider"])
    names = graph_io(graph, network.spec.temporal)
    assert ([p.name for p in session.get_inputs()], [p.name for p in session.get_outputs()]) == tuple(map(list, names))
    found = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
    for value, reference in zip(found, expected if isinstance(expected, tuple) else (expected,)):
        scale = max(1.0, float(reference.abs().max()))
        np.testing.assert_allclose(value, reference.numpy(), atol=2e-5 * scale)


def test_the_uint8_input_meets_a_cast_first(bound):
    """TensorRT takes uint8 only into a Cast."""
    for graph in ("heatmap", "backbone", *COMPOSED_OF):
        consumers = [node.op_type for node in bound("window", graph).graph.node if "frame" in node.input]
        assert consumers and set(consumers) == {"Cast"}


def test_shipped_topologies_are_those_of_the_network():
    """Nobody changed the network and forgot to export it."""
    fresh = export_topologies(build_network(NetworkSpec(temporal="window")))
    assert_shipped("window", fresh)
    fresh["temporal"] = export_graph(
        build_network(NetworkSpec(temporal="causal")), "temporal"
    )  # the only one that differs
    assert_shipped("causal", fresh)


def assert_shipped(temporal, fresh):
    assert set(fresh) == set(GRAPHS)
    for graph, model in fresh.items():
        made = onnx.load_from_string(model)
        shipped = onnx.load(shipped_topologies("paper", temporal) / f"{graph}.onnx", load_external_data=False)
        assert [n.op_type for n in made.graph.node] == [n.op_type for n in shipped.graph.node]
        assert {i.name: list(i.dims) for i in made.graph.initializer} == {
            i.name: list(i.dims) for i in shipped.graph.initializer
        }


@pytest.mark.parametrize("kind", ["window", "causal", "released"])
@pytest.mark.parametrize("runner", [OPENVINO, ONNXRUNTIME], ids=lambda r: r.name)
def test_step_engines_equal_pytorch(weights_of, kind, runner):
    weights = weights_of(kind)
    torch.manual_seed(1)
    network = load_network(weights)
    inputs = example_inputs(STEP_GRAPH, network.spec, 1)
    with torch.no_grad():
        expected = export_module(network, STEP_GRAPH)(*inputs.values())
    path = ensure_engines(weights, [STEP_GRAPH], runner, "fp32", 1)[0].path
    engine, manifest = load_engine(path, wanted_fields(weights, STEP_GRAPH, runner, "fp32", 1), threads=0)
    arrays = {name: np.ascontiguousarray(tensor.numpy()) for name, tensor in inputs.items()}
    engine.bind(arrays)
    outputs = engine.run()
    assert list(manifest.outputs) == list(graph_io(STEP_GRAPH, weights.temporal)[1])
    for name, reference in zip(manifest.outputs, expected):
        np.testing.assert_allclose(
            outputs[name], reference.numpy(), atol=1e-3 if name == "joints" else 1e-3 * float(reference.abs().max())
        )
    joints = outputs["joints"].copy()
    arrays["frame"][:] = 255 - arrays["frame"]  # bound arrays are read again at every run
    assert np.abs(engine.run()["joints"] - joints).max() > 1e-3


@pytest.mark.parametrize("inner", ["a", "joints_", "decoder.val_535", "val_1", "zzz", "x.y", "out", "0"])
def test_an_output_is_called_as_the_graph_calls_it(inner, tmp_path):
    """OpenVINO gives a result the name of the value before it as well, and lists the two in no order."""
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2]) for name in ("frame", "joints")]
    nodes = [helper.make_node("Neg", ["frame"], [inner]), helper.make_node("Identity", [inner], ["joints"])]
    model = helper.make_model(
        helper.make_graph(nodes, "g", ports[:1], ports[1:]), opset_imports=[helper.make_opsetid("", 20)], ir_version=10
    )
    inputs, outputs = OPENVINO.build(model, "fp32", 1, tmp_path / "e.blob")
    assert (list(inputs), list(outputs)) == (["frame"], ["joints"])
    engine = OPENVINO.load(tmp_path / "e.blob", SimpleNamespace(outputs=outputs, precision="fp32"), 0)
    engine.bind({"frame": np.array([[1.0, -2.0]], np.float32)})
    assert engine.run()["joints"].tolist() == [[-1.0, 2.0]]


@pytest.mark.skipif("bf16" not in OPENVINO.precisions(), reason="this processor has no bf16")
def test_bf16_is_really_bf16_and_close(weights_of):
    weights = weights_of("window")
    outputs = {}
    for precision in ("fp32", "bf16"):
        engine, manifest = load_engine(
            ensure_engines(weights, [STEP_GRAPH], OPENVINO, precision, 1)[0].path, {"precision": precision}, threads=0
        )
        rng = np.random.default_rng(0)
        engine.bind(
            {
                name: (rng.integers(0, 256, shape).astype(dtype) if dtype == "uint8" else np.ones(shape, dtype))
                for name, (dtype, shape) in manifest.inputs.items()
            }
        )
        outputs[precision] = {name: value.copy() for name, value in engine.run().items()}
    difference = np.abs(outputs["bf16"]["joints"] - outputs["fp32"]["joints"]).max()
    assert 1e-5 < difference < 0.15  # bf16 keeps eight bits; untrained weights magnify what is lost


@pytest.fixture
def engine(weights_of, tmp_path):
    """A small real engine in a folder of its own."""
    path = build_engine(weights_of("window"), "decoder", ONNXRUNTIME, "fp32", 1, tmp_path)
    return path, wanted_fields(weights_of("window"), "decoder", ONNXRUNTIME, "fp32", 1)


def test_a_fitting_engine_loads(engine):
    path, wanted = engine
    loaded, manifest = load_engine(path, wanted, threads=1)
    loaded.bind({name: np.ones(shape, dtype) for name, (dtype, shape) in manifest.inputs.items()})
    assert loaded.run()["joints"].shape == (1, 15, 3)


@pytest.mark.parametrize(
    ("field", "value"),
    [("graph", "heatmap"), ("precision", "bf16"), ("weights_id", "0" * 64), ("temporal", "causal"), ("window", 32), ("batch", 4),
     ("backend_version", "0.1"), ("format", 9), ("device", "another processor")],
)  # fmt: skip
def test_every_mismatch_names_itself_and_the_rebuild(engine, field, value):
    path, wanted = engine
    manifest = json.loads(manifest_path(path).read_text()) | {field: value}
    manifest_path(path).write_text(json.dumps(manifest))
    with pytest.raises(EgostreamError, match=f"built for {field} .*build_engine.py"):
        check_engine(path, wanted)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: p.write_bytes(p.read_bytes()[:-100]), "not the file that its manifest describes"),
        (lambda p: p.unlink(), "missing or not the file"),
        (lambda p: manifest_path(p).unlink(), "has no manifest"),
        (lambda p: manifest_path(p).write_text("{"), "malformed"),
        (
            lambda p: manifest_path(p).write_text(manifest_path(p).read_text().replace('"schema": 1', '"schema": 9')),
            "schema 9",
        ),
    ],
)
def test_a_spoiled_engine_is_never_deserialised(engine, monkeypatch, spoil, message):
    path, wanted = engine
    spoil(path)
    monkeypatch.setattr(ONNXRUNTIME, "load", lambda *_: pytest.fail("it was deserialised"))
    with pytest.raises(EgostreamError, match=message):
        load_engine(path, wanted, threads=0)


def test_a_cached_engine_that_no_longer_fits_is_built_again(weights_of, monkeypatch, tmp_path):
    monkeypatch.setenv("EGOSTREAM_CACHE", str(tmp_path))
    said = []
    path = ensure_engines(weights_of("causal"), [STEP_GRAPH], ONNXRUNTIME, "fp32", 1, said.append)[0].path
    path.write_bytes(b"half a file")
    assert ensure_engines(weights_of("causal"), [STEP_GRAPH], ONNXRUNTIME, "fp32", 1, said.append)[0].path == path
    check_engine(path, {})
    assert "compiling again" in said[1]


def test_two_first_runs_at_once_both_succeed(tmp_path):
    """Four processes replace one folder again and again: none fails, and the folder is always a whole one."""
    code = """
import sys
from pathlib import Path
from egostream.files import write_folder
for n in range(60):
    write_folder(Path(sys.argv[1]), {".json"}, lambda staging: [(staging / f"{i}.json").write_text(sys.argv[2]) for i in range(3)])
"""
    target = tmp_path / "cache"
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(target), str(n)], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        for n in range(4)
    ]
    for writer in writers:
        assert writer.wait(60) == 0, writer.stderr.read()
    assert len({path.read_text() for path in target.iterdir()}) == 1 and len(list(target.iterdir())) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


def test_auto_falls_back_to_the_next_backend(monkeypatch):
    def missing():
        raise ImportError("No module named 'it'")

    assert choose_backend("auto").name == "openvino"
    monkeypatch.setattr(OPENVINO, "version", missing)
    assert choose_backend("auto").name == "onnxruntime"
    with pytest.raises(EgostreamError, match="backend openvino is not installed .*Install it: pip install openvino"):
        choose_backend("openvino")
    monkeypatch.setattr(ONNXRUNTIME, "version", missing)
    with pytest.raises(EgostreamError, match="no backend is installed.*pip install onnxruntime"):
        choose_backend("auto")


def test_unknown_and_missing_backends():
    with pytest.raises(EgostreamError, match="no backend 'tensorflow'; choose one of openvino, onnxruntime"):
        backend("tensorflow")


@pytest.fixture
def copied_weights(tmp_path, weights_of):
    return shutil.copytree(weights_of("window").folder, tmp_path / "weights")


def resaved(folder, change):
    """The same weights with other decoder tensors, saved whole by whoever changed them."""
    weights = load_weights(folder)
    tensors = {graph: load_tensors(weights, graph) for graph in GRAPHS}
    change(tensors["decoder"])
    topologies = {graph: (folder / f"{graph}.onnx").read_bytes() for graph in GRAPHS}
    return save_weights(folder.with_name("resaved"), weights, tensors, topologies)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("motion_proj.weight"), "lacks the tensor motion_proj.weight"),
        (
            lambda t: t.update({"joint_queries": np.zeros((15, 64), np.float32)}),
            r"joint_queries has shape \[15, 64\], the graph wants \[15, 128\]",
        ),
    ],
)
def test_a_missing_or_wrongly_shaped_tensor_stops_a_run(copied_weights, change, message):
    weights = resaved(copied_weights, change)
    with pytest.raises(EgostreamError, match=message):
        prepare_run(RunConfig(weights=str(weights.folder), backend="onnxruntime"), print)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"files": {}}, "files lacks backbone.onnx"),
        ({"id": "0" * 64}, "id is not the SHA-256"),
        ({"step_ms": 0}, "step_ms is 0"),
        ({"network": {"variant": "paper", "temporal": "weird", "window": 64}}, "names no known form"),
        ({"network": {"variant": "paper", "temporal": "window", "window": "64"}}, "network.window is '64'"),
        ({"schema": 2}, "schema 2"),
    ],
)
def test_a_wrong_record_is_refused(copied_weights, change, message):
    path = copied_weights / "weights.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(EgostreamError, match=message):
        load_weights(copied_weights)


def test_what_is_not_ours_is_never_replaced(copied_weights, weights_of, tmp_path):
    """Writing to an existing folder must not cost anyone their files."""
    (copied_weights / "thesis.txt").write_text("three years")
    with pytest.raises(EgostreamError, match="holds other things"):
        build_engines(weights_of("window"), ["decoder"], ONNXRUNTIME, "fp32", 1, copied_weights)
    with pytest.raises(EgostreamError, match="holds other things"):
        build_engines(weights_of("window"), ["decoder"], ONNXRUNTIME, "fp32", 1, tmp_path)
    assert (copied_weights / "thesis.txt").read_text() == "three years"
    for _ in range(2):  # engines do replace engines
        build_engines(weights_of("window"), ["decoder"], ONNXRUNTIME, "fp32", 1, tmp_path / "engines")
    assert (tmp_path / "engines").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "weights.json").unlink(), "not a weights folder"),
        (lambda f: (f / "weights.json").write_text("[]"), "malformed"),
        (lambda f: (f / "heatmap.safetensors").unlink(), "heatmap.safetensors is missing"),
        (lambda f: (f / "heatmap.safetensors").write_bytes(b"x"), "heatmap.safetensors has changed"),
        (lambda f: (f / "decoder.onnx").write_bytes(b"x"), "decoder.onnx has changed"),
    ],
)
def test_a_spoiled_weights_folder_is_refused(copied_weights, spoil, message):
    spoil(copied_weights)
    with pytest.raises(EgostreamError, match=message):
        load_weights(copied_weights)


def test_untrained_weights_are_reproducible_and_say_so(monkeypatch, tmp_path, weights_of):
    monkeypatch.setenv("EGOSTREAM_CACHE", str(tmp_path))
    again = untrained_weights("window")
    assert again.id == weights_of("window").id and not again.trained
    assert weights_of("causal").id != again.id


def test_a_full_disk_leaves_no_half_written_folder(tmp_path):
    """A file-size limit stands in for the full disk: the write fails in the middle, for real."""
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000_000, 20_000_000))  # noqa: E731
    command = [sys.executable, "-m", "egostream", "run", "--seconds", "1"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"EGOSTREAM_CACHE": str(tmp_path)},
        preexec_fn=limit,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"egostream: cannot write {tmp_path}" in done.stderr.splitlines()[-1] and "Free some space" in done.stderr
    assert [p for p in tmp_path.rglob("*") if p.is_file() and p.stat().st_size > 10_000] == []


def test_importer_is_strict(tmp_path):
    good = make_checkpoints()
    flags = save_checkpoints(tmp_path, good)

    def failure(kind, change):
        state = dict(good[kind])
        change(state)
        save_checkpoints(tmp_path, {kind: state})
        with pytest.raises(EgostreamError) as error:
            import_checkpoint.main([*flags, "-o", str(tmp_path / "out")])
        assert not (tmp_path / "out").exists()
        save_checkpoints(tmp_path, {kind: good[kind]})
        return str(error.value)

    assert "lack decoder/pose_head.6.bias [3]" in failure("decoder", lambda s: s.pop("pose_head.6.bias"))
    assert "unknown tensor head.weight" in failure("embedding", lambda s: s.update({"head.weight": torch.zeros(1)}))
    wrong = {"linear.weight": torch.zeros(384, 1024)}
    assert "backbone/linear.weight has shape [384, 1024], the released network wants [384, 2048]" in failure(
        "encoder", lambda s: s.update(wrong)
    )
    other = {"backbone.backbone.layer0.0.weight": torch.zeros(64, 3, 7, 7)}
    assert "repeats the tensor heatmap/network.encoder.conv1.weight" in failure("heatmap", lambda s: s.update(other))


def test_importer_never_runs_code(tmp_path):
    class Payload:
        def __reduce__(self):
            return (print, ("EXECUTED",))

    done = run_importer(tmp_path, make_checkpoints() | {"decoder": {"x": Payload()}}, tmp_path / "out")
    assert done.returncode == 1 and "EXECUTED" not in done.stdout + done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
    assert "not a checkpoint of plain tensors" in done.stderr


def test_build_engine_writes_graphs_engines_and_parity(tmp_path):
    command = [
        sys.executable,
        "tools/build_engine.py",
        "--backend",
        "onnxruntime",
        "--count",
        "2",
        "--batch",
        "2",
        "-o",
        str(tmp_path / "built"),
        "--json",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    parity = json.loads(done.stdout)
    assert set(parity) == {*GRAPHS, *COMPOSED_OF} and parity[STEP_GRAPH]["fp32"]["joints"][0] < 1e-3
    for graph in (*GRAPHS, *COMPOSED_OF):
        onnx.checker.check_model(onnx.load(tmp_path / "built" / f"{graph}.onnx"))
        manifest = json.loads((tmp_path / "built" / f"{graph}.onnxruntime-fp32-b2.onnx.json").read_text())
        assert manifest["parity"] == parity[graph]["fp32"]
    assert {name.partition("/")[0] for name in GRAPH_IO} == {*GRAPHS, *COMPOSED_OF}


def test_weights_record_survives_its_json(weights_of):
    weights = weights_of("window")
    assert msgspec.json.decode((weights.folder / "weights.json").read_bytes())["id"] == weights.id
