"""Recordings and files in places that fsspec reaches."""

from __future__ import annotations

import sys

import pytest

from egostream.annotate.one import annotate
from egostream.annotate.places import CannotWrite, check_writable, drafts_of, is_remote, is_there, reach, size_of
from egostream.annotate.plan import Job
from egostream.errors import EgostreamError

fsspec = pytest.importorskip("fsspec", reason="pip install fsspec")


@pytest.fixture
def bucket():
    system = fsspec.filesystem("memory")
    yield system
    system.rm("/bucket", recursive=True)


def put_folder(system, folder, there):
    for path in folder.iterdir():
        system.pipe(f"{there}/{path.name}", path.read_bytes())


def test_a_bucket_gives_the_bytes_that_a_folder_gives(stream, images_in, tmp_path, bucket):
    clip = images_in(tmp_path / "clip")
    put_folder(bucket, clip, "/bucket/clip")
    there, here = "memory://bucket/out/poses.csv", tmp_path / "poses.csv"
    for source, place in (("memory://bucket/clip", there), (clip, here)):
        report = annotate(stream, Job(str(source), (str(place),)), lambda *_: None)
        assert not report.error, report.error
    assert bucket.cat("/bucket/out/poses.csv") == here.read_bytes()
    assert bucket.ls("/bucket/out", detail=False) == ["/bucket/out/poses.csv"]
    assert is_there(there) and not is_there("memory://bucket/out/none.csv")
    assert size_of("memory://bucket/out/poses.csv") == here.stat().st_size


def test_where_nothing_comes_out_nothing_is_put(stream, tmp_path, bucket):
    bucket.pipe("/bucket/clip.mp4", b"no video")
    report = annotate(stream, Job("memory://bucket/clip.mp4", ("memory://bucket/poses.csv",)), lambda *_: None)
    assert "cannot be read" in report.error and not is_there("memory://bucket/poses.csv")
    gone = annotate(stream, Job("memory://bucket/gone.mp4", ("memory://bucket/poses.csv",)), lambda *_: None)
    assert "memory://bucket/gone.mp4 cannot be fetched" in gone.error


def test_a_place_that_breaks_off_keeps_what_was_there(tmp_path, bucket, monkeypatch):
    bucket.pipe("/bucket/poses.csv", b"an earlier one")

    def broken(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(bucket), "put_file", broken)
    with pytest.raises(CannotWrite, match="memory://bucket/poses.csv: No space left"):
        with drafts_of(["memory://bucket/poses.csv"]) as (draft,):
            draft.write_bytes(b"new")
    assert bucket.cat("/bucket/poses.csv") == b"an earlier one"


def test_what_fsspec_lacks_is_named(monkeypatch):
    with pytest.raises(EgostreamError, match="nonsense://x"):
        reach("nonsense://x")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(EgostreamError, match=r"fsspec is needed: pip install 'egostream\[ray\]'"):
        check_writable("memory://bucket/x")


@pytest.mark.parametrize(
    ("place", "remote"),
    [("a/b.csv", False), ("C:/b.csv", False), ("file:///a.csv", False), ("http://a/b.mp4", False), ("s3://a/b", True)],
)
def test_only_what_nobody_else_reads_is_remote(place, remote):
    assert is_remote(place) is remote
