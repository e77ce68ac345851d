"""The choice of a precision."""

from __future__ import annotations

import pytest

from egostream.config import RunConfig
from egostream.engine.backends import backend
from egostream.engine.build import engine_name
from egostream.engine.choose import choose_precision, precisions_in


@pytest.mark.parametrize(
    ("preset", "precision", "quantised", "expected"),
    [
        ("performance", "auto", True, "int8"),
        ("performance", "auto", False, "best"),
        ("balanced", "auto", True, "int8"),
        ("balanced", "auto", False, "best"),
        ("accuracy", "auto", True, "fp32"),
        ("accuracy", "int8", True, "int8"),
    ],
)
def test_presets_choose_the_precision_unless_it_is_named(
    quantised_weights, weights_of, preset, precision, quantised, expected
):
    runner = backend("openvino")
    config = RunConfig(preset=preset, precision=precision)
    chosen = choose_precision(config, quantised_weights if quantised else weights_of("window"), runner)
    assert chosen == (runner.precisions()[0] if expected == "best" else expected)


def test_int8_is_only_chosen_where_it_pays(quantised_weights):
    """ONNX Runtime's takes longer than its fp32."""
    assert choose_precision(RunConfig(), quantised_weights, backend("onnxruntime")) == "fp32"
    assert choose_precision(RunConfig(precision="int8"), quantised_weights, backend("onnxruntime")) == "int8"


def test_a_folder_of_engines_has_the_precisions_that_it_was_built_in(tmp_path, weights_of):
    runner = backend("openvino")
    for graph, precision in (("step", "bf16"), ("body", "fp32")):  # ``body`` is in fp32 whatever the others are in
        (tmp_path / engine_name(graph, runner, precision, 1)).touch()
    assert precisions_in(tmp_path, runner, ["int8", "bf16", "fp32"]) == ["bf16"]
    assert precisions_in(tmp_path, backend("onnxruntime"), ["fp32"]) == []
    (tmp_path / engine_name("step", runner, "bf16", 1)).rename(tmp_path / engine_name("step", runner, "fp32", 1))
    assert choose_precision(RunConfig(engines=str(tmp_path)), weights_of("window"), runner) == "fp32"
