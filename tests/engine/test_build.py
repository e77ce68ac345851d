"""Compiling engines: the cache, and folders that are replaced."""

from __future__ import annotations

import pytest

from egostream.engine.backend_onnxruntime import BACKEND as ONNXRUNTIME
from egostream.engine.build import build_engines, ensure_engines
from egostream.engine.load import check_engine
from egostream.errors import EgostreamError
from egostream.graph.ports import STEP_GRAPH


def test_a_cached_engine_that_no_longer_fits_is_built_again(weights_of, monkeypatch, tmp_path):
    monkeypatch.setenv("EGOSTREAM_CACHE", str(tmp_path))
    said = []
    path = ensure_engines(weights_of("causal"), [STEP_GRAPH], ONNXRUNTIME, "fp32", 1, said.append)[0].path
    path.write_bytes(b"half a file")
    assert ensure_engines(weights_of("causal"), [STEP_GRAPH], ONNXRUNTIME, "fp32", 1, said.append)[0].path == path
    check_engine(path, {})
    assert "compiling again" in said[1]


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
