"""The page for people who call us from their own programs: its example runs as it stands."""

from __future__ import annotations

import re

import pytest
from conftest import ROOT


def test_a_video_is_annotated_and_plotted_in_fifteen_lines(tmp_path, monkeypatch):
    matplotlib = pytest.importorskip("matplotlib", reason="pip install matplotlib")
    matplotlib.use("Agg")
    page = (ROOT / "docs" / "library.md").read_text()
    code = re.search(r"```python\n(.*?)```", page, re.S)[1]
    assert len(code.strip().splitlines()) <= 15
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile(code, "docs/library.md", "exec"), names)
    assert names["joints"].shape == (90, 15, 3) and (tmp_path / "reach.png").stat().st_size > 10_000
    (axes,) = names["pyplot"].gcf().axes
    assert [line.get_label() for line in axes.lines] == ["left wrist", "right wrist"]
    names["pyplot"].close("all")
