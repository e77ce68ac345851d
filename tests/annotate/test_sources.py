"""Which recordings a text names."""

from __future__ import annotations

import os

import pytest

from egostream.annotate.sources import find_recordings
from egostream.errors import EgostreamError

FILES = """day1/walk_2.mp4 day1/walk_10.avi day1/notes.txt day1/.hidden.mp4 day1/walk_2.overlay.mp4
day2/sit/0.jpg day2/sit/1.jpg day2/sit/preview/0.jpg day2/run.MKV day2/cover.png .git/x.mp4 alone.bin""".split()


@pytest.fixture
def tree(tmp_path, monkeypatch):
    for name in FILES:
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("named", "found"),
    [
        (["data"], ["day1/walk_2.mp4", "day1/walk_10.avi", "day2/run.MKV", "day2/sit"]),
        (["data/day2"], ["run.MKV", "sit"]),
        (["data/day2/sit"], ["sit"]),  # pictures and no videos: a recording itself
        (["data/**/*.mp4"], ["day1/walk_2.mp4"]),
        (["data/*"], ["day1/walk_2.mp4", "day1/walk_10.avi", "day2/run.MKV", "day2/sit"]),
        (["data/day?/*.[am]*"], ["day1/walk_2.mp4", "day1/walk_10.avi"]),
        (["data/day1/walk_10.avi", "data/day1/walk_2.mp4"], ["walk_10.avi", "walk_2.mp4"]),  # as they were named
        (["data/day1/walk_2.mp4", "data/day1"], ["walk_2.mp4", "walk_10.avi"]),  # each once
        (["data/alone.bin"], ["alone.bin"]),  # a file that is named may end in anything
        (["sample"], ["sample"]),
    ],
)
def test_texts_name_recordings(tree, named, found):
    recordings = find_recordings(named)
    assert ["/".join(part for part in (one.below, one.name) if part) for one in recordings] == found
    assert all(one.source == "sample" or os.path.exists(one.source) for one in recordings)


def test_a_name_with_the_signs_of_a_pattern_is_a_name(tree):
    odd = tree / "data" / "take [1].mp4"
    odd.touch()
    assert [one.name for one in find_recordings(["data/take [1].mp4"])] == ["take [1].mp4"]


def test_links_that_lead_back_do_not_go_round(tree):
    (tree / "data" / "day1" / "up").symlink_to(tree / "data")
    assert len(find_recordings(["data"])) == 4


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ([], "no source is named"),
        (["nowhere.mp4"], "no source 'nowhere.mp4'"),
        (["data/**/*.webm"], "no recordings at"),
        (["data/empty"], "no recordings at data/empty"),
    ],
)
def test_where_there_is_none_the_text_is_named(tree, named, words):
    (tree / "data" / "empty").mkdir()
    with pytest.raises(EgostreamError, match=words):
        find_recordings(named)


def test_remote_places_name_recordings_below_what_was_named():
    fsspec = pytest.importorskip("fsspec", reason="pip install fsspec")
    system = fsspec.filesystem("memory")
    for name in ("a/x.mp4", "a/b/y.avi", "a/notes.txt"):
        system.pipe(f"/bucket/{name}", b"x")
    try:
        whole = find_recordings(["memory://bucket/a"])
        assert [(one.source, one.below) for one in whole] == [
            ("memory:///bucket/a/b/y.avi", "b"),
            ("memory:///bucket/a/x.mp4", ""),
        ]
        assert [one.name for one in find_recordings(["memory://bucket/a/x.mp4"])] == ["x.mp4"]
        (deep,) = find_recordings(["memory://bucket/**/*.avi"])
        assert deep.below == "a/b"
        with pytest.raises(EgostreamError, match="no recordings at memory://bucket/none"):
            find_recordings(["memory://bucket/none"])
    finally:
        system.rm("/bucket", recursive=True)


def test_a_place_that_nothing_reaches_is_named():
    with pytest.raises(EgostreamError, match="nonsense://bucket/x"):
        find_recordings(["nonsense://bucket/x"])
