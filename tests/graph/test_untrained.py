"""Untrained weights."""

from __future__ import annotations

from egostream.graph.untrained import untrained_weights


def test_untrained_weights_are_reproducible_and_say_so(monkeypatch, tmp_path, weights_of):
    monkeypatch.setenv("EGOSTREAM_CACHE", str(tmp_path))
    again = untrained_weights("window")
    assert again.id == weights_of("window").id and not again.trained
    assert weights_of("causal").id != again.id
