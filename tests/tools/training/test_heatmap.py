"""Where a heatmap network is loaded from."""

from __future__ import annotations

import pytest

import tools.train_heatmap
from egostream.errors import EgostreamError
from tools.network.vision import HeatmapNetwork
from tools.training.heatmap import load_heatmap


def test_bad_sources_are_named(tmp_path):
    with pytest.raises(EgostreamError, match="no heatmap network in .*runs"):
        load_heatmap(HeatmapNetwork(), tmp_path / "runs")
    (tmp_path / "broken.safetensors").write_bytes(b"no")
    with pytest.raises(EgostreamError, match="broken.safetensors"):
        load_heatmap(HeatmapNetwork(), tmp_path / "broken.safetensors")
    with pytest.raises(EgostreamError, match="a list file is one split"):
        tools.train_heatmap.main(["--data", "egopw:list.txt", "--out", str(tmp_path)])
