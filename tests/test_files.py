"""Files are written whole or not at all."""

from __future__ import annotations

import os

import pytest

from egostream.errors import EgostreamError
from egostream.files import replacing, write_whole


def test_a_full_disk_keeps_what_was_there(tmp_path):
    write_whole(tmp_path / "file", b"whole")
    (tmp_path / f".{os.getpid()}.file").mkdir()  # the next write fails
    with pytest.raises(EgostreamError, match="cannot write .*file"):
        write_whole(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"whole"


def test_a_draft_that_is_not_completed_leaves_nothing(tmp_path):
    (tmp_path / "file").write_bytes(b"whole")
    with pytest.raises(ValueError), replacing(tmp_path / "file") as draft:
        draft.write_bytes(b"ha")
        raise ValueError("stopped half way")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"whole")]


def test_a_missing_folder_is_made_and_one_that_cannot_be_is_said(tmp_path):
    write_whole(tmp_path / "new" / "file", b"whole")
    assert (tmp_path / "new" / "file").read_bytes() == b"whole"
    with pytest.raises(EgostreamError, match="cannot write .*inner: .*[.] Choose another place$"):
        write_whole(tmp_path / "new" / "file" / "inner", b"new", "Choose another place")
