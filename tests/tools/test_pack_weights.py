"""Packed weights: small, whole, and close to what they were."""

from __future__ import annotations

import numpy as np
import pytest

from egostream.graph.ports import GRAPHS
from egostream.graph.weights import load_tensors, load_weights
from tools import pack_weights


def test_quantise_is_the_best_of_its_candidates_per_channel():
    rng = np.random.default_rng(0)
    value = (
        rng.normal(0, 1, (6, 40, 3, 3)).astype(np.float32) * np.array([1e-4, 0.01, 1, 5, 100, 0])[:, None, None, None]
    )
    value[2, 0, 0, 0] = 9.0  # an outlier, worth clipping
    stored, scale = pack_weights.quantize_channels(value)
    assert stored.dtype == np.int8 and scale.shape == (6,) and np.isfinite(scale).all()
    restored = stored * scale[:, None, None, None]
    plain = np.abs(value).max((1, 2, 3)) / 127
    naive = np.round(value / np.maximum(plain, 1e-12)[:, None, None, None]) * plain[:, None, None, None]
    error, naive_error = (((x - value) ** 2).sum((1, 2, 3)) for x in (restored, naive))
    assert (error <= naive_error * (1 + 1e-5) + 1e-20).all() and error[2] < naive_error[2]
    np.testing.assert_allclose(restored[[0, 1, 3, 4]], value[[0, 1, 3, 4]], atol=float(plain.max()) * 0.51)
    assert not restored[5].any()


def test_a_packed_folder_loads_as_the_same_network(weights_of, tmp_path):
    weights = weights_of("causal")
    pack_weights.main([str(weights.folder), "--out", str(tmp_path / "packed")])
    packed = load_weights(tmp_path / "packed")
    assert packed.id != weights.id and packed.network == weights.network and packed.step_ms == weights.step_ms
    bytes_of = lambda folder: sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    assert bytes_of(packed.folder) < 0.27 * bytes_of(weights.folder)
    for graph in GRAPHS:
        before, after = load_tensors(weights, graph), load_tensors(packed, graph)
        assert before.keys() == after.keys()
        for key, value in before.items():
            assert after[key].dtype == value.dtype and after[key].shape == value.shape, key
            spread = np.abs(value).reshape(len(value), -1).max(1) if value.ndim > 1 else np.abs(value)
            error = np.abs(after[key] - value)
            error = error.reshape(len(value), -1).mean(1) if value.ndim > 1 else error
            assert (error <= 0.006 * spread + 1e-6).all(), key


def test_what_is_no_weights_folder_is_refused(tmp_path):
    from egostream.errors import EgostreamError

    with pytest.raises(EgostreamError, match="is not a weights folder"):
        pack_weights.main([str(tmp_path), "--out", str(tmp_path / "x")])
