"""calib/schema.json says what the readers of our own layout read, for every model."""

from __future__ import annotations

import json

import jsonschema
import pytest
from conftest import ROOT
from lenses import SIZE, WRITTEN

from egostream.calibration.file import MODELS, Calibration, as_json

SCHEMA = json.loads((ROOT / "calib" / "schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
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
    assert [error.message for error in VALIDATOR.iter_errors(data)] == []
    for key in set(data) - {"name"}:
        assert not VALIDATOR.is_valid(data | {key: {}}), key
    for key in REQUIRED[data["model"]]:
        assert not VALIDATOR.is_valid({other: data[other] for other in data if other != key}), key


def test_the_schema_is_one_and_holds_for_the_shipped_cameras():
    VALIDATOR.check_schema(SCHEMA)
    shipped = [path for path in (ROOT / "calib").glob("*.json") if path.name != "schema.json"]
    assert shipped
    for path in shipped:
        VALIDATOR.validate(json.loads(path.read_text()))
