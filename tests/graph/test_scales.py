"""int8.json, and every way it can be wrong."""

from __future__ import annotations

import json

import msgspec
import pytest

from egostream.engine.backends import backend
from egostream.engine.build import available_precisions
from egostream.errors import EgostreamError
from egostream.graph.scales import FILE, Quantization, load_quantization


def test_bad_tables_are_refused(quantised_weights, weights_of, tmp_path):
    with pytest.raises(EgostreamError, match=r"have no int8.json.*tools/quantize.py"):
        load_quantization(weights_of("window"))
    assert "int8" not in available_precisions(weights_of("window"), backend("openvino"))
    path = quantised_weights.folder / FILE
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:100])
        with pytest.raises(EgostreamError, match="is malformed"):
            load_quantization(quantised_weights)
        table = json.loads(whole)
        for scales, message in (
            ({"step": table["scales"]["step"]}, "lacks the backbone graph"),
            (table["scales"] | {"step": {"relu": -1.0}}, "the scale of relu is no positive number"),
        ):
            path.write_text(json.dumps({**table, "scales": scales, "sha256": ""}))
            with pytest.raises(EgostreamError, match=message):
                load_quantization(quantised_weights)
        changed = {**table["scales"], "step": {**table["scales"]["step"], "relu": 0.123}}
        path.write_text(json.dumps({**table, "scales": changed}))
        with pytest.raises(EgostreamError, match="has changed since it was made"):
            load_quantization(quantised_weights)
        path.write_text(json.dumps({**table, "weights_id": "f" * 64, "sha256": ""}))
        with pytest.raises(EgostreamError, match="is of weights ffffffffffff"):
            load_quantization(quantised_weights)
    finally:
        path.write_bytes(whole)
    one = Quantization(weights_id="a", scales={"step": {"x": 0.5}})
    assert one.digest != msgspec.structs.replace(one, kept=["y"]).digest
