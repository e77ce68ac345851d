"""The importer of released checkpoints."""

from __future__ import annotations

import pytest
import torch
from released_checkpoints import make_checkpoints, run_importer, save_checkpoints

from egostream.errors import EgostreamError
from tools import import_checkpoint


def test_importer_is_strict(tmp_path):
    good = make_checkpoints()
    flags = save_checkpoints(tmp_path, good)

    def failure(kind, change):
        state = dict(good[kind])
        change(state)
        save_checkpoints(tmp_path, {kind: state})
        with pytest.raises(EgostreamError) as error:
            import_checkpoint.main([*flags, "-o", str(tmp_path / "out")])
        assert not (tmp_path / "out").exists()
        save_checkpoints(tmp_path, {kind: good[kind]})
        return str(error.value)

    assert "lack decoder/pose_head.6.bias [3]" in failure("decoder", lambda s: s.pop("pose_head.6.bias"))
    assert "unknown tensor head.weight" in failure("embedding", lambda s: s.update({"head.weight": torch.zeros(1)}))
    wrong = {"linear.weight": torch.zeros(384, 1024)}
    assert "backbone/linear.weight has shape [384, 1024], the released network wants [384, 2048]" in failure(
        "encoder", lambda s: s.update(wrong)
    )
    other = {"backbone.backbone.layer0.0.weight": torch.zeros(64, 3, 7, 7)}
    assert "repeats the tensor heatmap/network.encoder.conv1.weight" in failure("heatmap", lambda s: s.update(other))


def test_importer_never_runs_code(tmp_path):
    class Payload:
        def __reduce__(self):
            return (print, ("EXECUTED",))

    done = run_importer(tmp_path, make_checkpoints() | {"decoder": {"x": Payload()}}, tmp_path / "out")
    assert done.returncode == 1 and "EXECUTED" not in done.stdout + done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
    assert "not a checkpoint of plain tensors" in done.stderr
