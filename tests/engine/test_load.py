"""Manifests, and every way an engine can fail to fit them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from egostream.engine.backend_onnxruntime import BACKEND as ONNXRUNTIME
from egostream.engine.build import build_engine, wanted_fields
from egostream.engine.load import check_engine, load_engine, manifest_path
from egostream.errors import EgostreamError


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
    [
        ("graph", "heatmap"),
        ("precision", "bf16"),
        ("weights_id", "0" * 64),
        ("temporal", "causal"),
        ("window", 32),
        ("batch", 4),
        ("backend_version", "0.1"),
        ("format", 9),
        ("device", "another processor"),
    ],
)
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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"outputs": {"joynts": ["float32", [1, 15, 3]]}}, "output 'joints' is missing"),
        ({"outputs": {}}, "output 'joints' is missing"),
        ({"outputs": {"joints": ["float32", [1, 15, 3]], "more": ["float32", [1]]}}, "output 'more' is unknown"),
        ({"outputs": {"joints": ["float32", [1, 14, 3]]}}, "'joints' has shape"),
        ({"outputs": {"joints": ["float32", [2, 15, 3]]}}, "'joints' has shape"),
        ({"outputs": {"joints": ["object", [1, 15, 3]]}}, "not a dtype and a shape"),
        ({"outputs": {"joints": ["float32", [1, 15, "3"]]}}, "not a dtype and a shape"),
        ({"outputs": {"joints": ["float32"]}}, "not a dtype and a shape"),
        ({"outputs": {"joints": [["float32"], 3]}}, "not a dtype and a shape"),
        ({"inputs": {}}, "input 'motion' is missing|input 'tokens' is missing"),
    ],
)
def test_inputs_and_outputs_are_checked_against_the_graphs_contract(engine, change, message):
    path, wanted = engine
    manifest = json.loads(manifest_path(path).read_text()) | change
    manifest_path(path).write_text(json.dumps(manifest))
    with pytest.raises(EgostreamError, match=message):
        check_engine(path, wanted)
