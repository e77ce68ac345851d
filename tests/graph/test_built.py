"""A folder of engines names the weights that it was built of, and a run takes it in their place."""

from __future__ import annotations

import shutil

import pytest

from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.graph.built import FILE, Built, read_built, seen_from, write_built
from egostream.graph.default_weights import DEFAULT_WEIGHTS, shipped_weights, with_built
from egostream.graph.weights import load_weights

ID = load_weights(DEFAULT_WEIGHTS).id if shipped_weights() else ""
pytestmark = pytest.mark.skipif(not ID, reason="no weights are shipped with this tree")


def built(folder, weights=DEFAULT_WEIGHTS, weights_id=ID):
    """A folder with what ``tools/build_engine.py`` says of it, and no engines."""
    folder.mkdir(parents=True, exist_ok=True)
    seen = seen_from(folder, weights)
    write_built(folder, Built(weights_id=weights_id, weights=seen, backend="openvino", precisions=("int8",), batch=1))
    return folder


def test_a_run_takes_the_weights_the_engines_and_the_backend_of_a_built_folder(tmp_path):
    folder = str(built(tmp_path / "engines"))
    for named in (RunConfig(weights=folder), RunConfig(engines=folder)):
        config = with_built(named)
        assert (config.weights, config.engines, config.backend) == (str(DEFAULT_WEIGHTS.resolve()), folder, "openvino")
    assert with_built(RunConfig(weights=folder, backend="onnxruntime")).backend == "onnxruntime"
    assert with_built(RunConfig(weights=folder, engines="others")).engines == "others"


def test_any_other_folder_stays_what_it_is(tmp_path):
    for config in (RunConfig(), RunConfig(weights=str(DEFAULT_WEIGHTS)), RunConfig(engines="nowhere")):
        assert with_built(config) is config
    config = RunConfig(weights=str(DEFAULT_WEIGHTS), engines=str(built(tmp_path / "engines")))
    assert with_built(config) is config  # both are named: every engine is compared with the weights


def test_a_tree_that_is_moved_as_a_whole_keeps_its_weights(tmp_path):
    shutil.copytree(DEFAULT_WEIGHTS, tmp_path / "here" / "runs" / "mine" / "weights")
    built(tmp_path / "here" / "engines" / "built" / "mine", tmp_path / "here" / "runs" / "mine" / "weights")
    (tmp_path / "here").rename(tmp_path / "there")
    config = with_built(RunConfig(weights=str(tmp_path / "there" / "engines" / "built" / "mine")))
    assert config.weights == str(tmp_path / "there" / "runs" / "mine" / "weights")


def test_weights_that_are_gone_or_others_are_said_with_what_to_type(tmp_path):
    folder = built(tmp_path / "engines", tmp_path / "gone")
    with pytest.raises(EgostreamError, match=f"weights {ID[:12]}, which are not in .*gone any more.*--weights FOLDER"):
        with_built(RunConfig(weights=str(folder)))
    built(folder, weights_id="f" * 64)
    with pytest.raises(EgostreamError, match=f"ffffffffffff, and .* has other ones now, {ID[:12]}.*build_engine.py"):
        with_built(RunConfig(weights=str(folder)))
    (folder / FILE).write_text('{"weights_id": 3}')
    with pytest.raises(EgostreamError, match="built.json is malformed.*Build it again"):
        read_built(folder)


def test_where_weights_alone_will_do_the_error_says_which(tmp_path):
    folder = built(tmp_path / "engines")
    with pytest.raises(EgostreamError, match=f"holds engines of the weights {ID[:12]}. Name those here: .*default$"):
        load_weights(folder)
    (folder / FILE).unlink()
    (folder / "step.openvino-fp32-b1.blob").touch()
    (folder / "step.openvino-fp32-b1.blob.json").touch()
    with pytest.raises(EgostreamError, match="holds engines. Name both: --weights FOLDER --engines"):
        load_weights(folder)
