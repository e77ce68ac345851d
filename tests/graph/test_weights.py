"""Weights folders: their record, and every way they can be wrong."""

from __future__ import annotations

import json

import msgspec
import pytest

from egostream.calibration.view import InputGeometry
from egostream.errors import EgostreamError
from egostream.graph.weights import Weights, load_weights


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


def test_weights_record_survives_its_json(weights_of):
    weights = weights_of("window")
    assert msgspec.json.decode((weights.folder / "weights.json").read_bytes())["id"] == weights.id


def test_the_validation_error_is_known_and_says_whether_anything_was_learnt():
    def made(trained=True, **metrics):
        network = {"variant": "paper", "temporal": "causal", "window": 2}
        geometry = InputGeometry("canonical", "crop")
        return Weights(network=network, step_ms=33.0, input=geometry, trained=trained, metrics=metrics)

    assert made(val_mpjpe_mm=84.8).validation_mm == 84.8 and not made(val_mpjpe_mm=84.8).has_failed
    assert made(val_mpjpe=420).has_failed and not made(trained=False, val_mpjpe=420).has_failed
    for odd in ({}, {"val_mpjpe_mm": "84"}, {"val_mpjpe_mm": float("nan")}, {"val_mpjpe_mm": None}, {"val_mpjpe": -1}):
        assert made(**odd).validation_mm == 0 and not made(**odd).has_failed
