"""The importer of released checkpoints."""

from __future__ import annotations

import io
import pickle
import zipfile

import numpy as np
import pytest
import torch
from released_checkpoints import make_checkpoints, run_importer, save_checkpoints
from safetensors.numpy import save

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


def zipped(data: bytes) -> bytes:
    """An archive with one file in it."""
    with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
        archive.writestr("a/data.pkl", data)
    return file.getvalue()


def saved(thing: object) -> bytes:
    """What ``torch.save`` writes."""
    torch.save(thing, file := io.BytesIO())
    return file.getvalue()


WHOLE = saved({"state_dict": {"x": torch.zeros(2)}})
NO_CHECKPOINTS = {
    "a text": (b"hello, this is\na text\n", "it is no file of PyTorch"),
    "an empty file": (b"", "it is empty"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(99), "it is no file of PyTorch"),
    "noise": (np.random.default_rng(3).bytes(3000), "it is no file of PyTorch"),
    "safetensors": (save({"a": np.zeros(3, np.float32)}), "it is a safetensors file"),
    "an archive": (zipped(b"nothing"), "it is an archive that holds other things"),
    "a cut checkpoint": (WHOLE[: len(WHOLE) // 2], "its end is missing, it was cut off"),
    "another pickle": (pickle.dumps({"a": np.zeros(3)}), "it is a pickle that holds other things than tensors"),
    "a pickled text": (pickle.dumps("hello", 2), "it is a pickle that holds other things than tensors"),
    "a module": (saved(torch.nn.Linear(2, 2)), "it is an archive that holds other things"),
    "numbers": (saved({"a": 1}), "a map from names to tensors is expected"),
    "a list": (saved([torch.zeros(1)]), "a map from names to tensors is expected"),
    "no names": (saved({1: torch.zeros(1)}), "a map from names to tensors is expected"),
    "nothing": (saved({}), "a map from names to tensors is expected"),
    "a sparse tensor": (saved({"proj.bias": torch.zeros(2).to_sparse()}), "proj.bias is no plain tensor"),
}


@pytest.mark.parametrize("data, reason", NO_CHECKPOINTS.values(), ids=NO_CHECKPOINTS)
def test_a_file_that_is_no_checkpoint_is_one_line(tmp_path, recwarn, data, reason):
    (path := tmp_path / "decoder.ckpt").write_bytes(data)
    with pytest.raises(EgostreamError) as error:
        import_checkpoint.rename("embedding", path, import_checkpoint.read_state_dict(path))
    text = str(error.value)
    assert text.startswith(str(path)) and reason in text and "--help" in text and "weights_only" not in text
    assert len(text) < 300 + len(str(path)) and not recwarn.list


def test_a_folder_or_nothing_is_no_checkpoint(tmp_path):
    for path, reason in ((tmp_path, "Is a directory"), (tmp_path / "absent", "no checkpoint")):
        with pytest.raises(EgostreamError, match=reason):
            import_checkpoint.read_state_dict(path)


def test_importer_never_runs_code(tmp_path):
    class Payload:
        def __reduce__(self):
            return (print, ("EXECUTED",))

    done = run_importer(tmp_path, make_checkpoints() | {"decoder": {"x": Payload()}}, tmp_path / "out")
    assert done.returncode == 1 and "EXECUTED" not in done.stdout + done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
    assert "not a checkpoint of plain tensors" in done.stderr
