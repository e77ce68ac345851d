"""calib/schema.json says what the readers of our own layout read, for every model."""

from __future__ import annotations

import json

import pytest
from conftest import ROOT
from lenses import SIZE, WRITTEN

from egostream.calibration.file import MODELS, Calibration, as_json

SCHEMA = json.loads((ROOT / "calib" / "schema.json").read_text())
README = (ROOT / "calib" / "README.md").read_text()
REQUIRED = {branch["if"]["properties"]["model"]["const"]: branch["then"]["required"] for branch in SCHEMA["allOf"]}


def test_every_model_is_in_the_schema_and_in_the_table():
    assert sorted(SCHEMA["properties"]["model"]["enum"]) == sorted(MODELS) == sorted(REQUIRED)
    assert all(f"| `{model}` (" in README for model in MODELS)
    assert {lens.fields()["model"] for _, lens in WRITTEN} == set(MODELS)


@pytest.mark.parametrize(("name", "lens"), WRITTEN, ids=[name for name, _ in WRITTEN])
def test_what_is_written_is_what_the_schema_allows(name, lens):
    data = json.loads(as_json(Calibration(name, SIZE, lens)))
    assert set(data) <= set(SCHEMA["properties"])
    assert {*SCHEMA["required"], *REQUIRED[data["model"]]} <= set(data)
    for key, value in data.items():
        rule = SCHEMA["properties"][key]
        if isinstance(value, list):
            assert rule.get("minItems", 0) <= len(value) <= rule.get("maxItems", 99)
