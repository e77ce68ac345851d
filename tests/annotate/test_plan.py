"""Which file each recording goes to, and which are done."""

from __future__ import annotations

import os

import pytest

from egostream.annotate import formats
from egostream.annotate.plan import make_plan
from egostream.annotate.sources import Found
from egostream.errors import EgostreamError

WALK, RUN = Found("data/walk.mp4", "walk.mp4"), Found("data/day1/run.avi", "run.avi", "day1")
IMAGES = Found("data/day1/v1.2", "v1.2", "day1")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def places(found, outs, suffix=".csv", overlay="", again=False):
    return [job.places for job in make_plan(found, outs, suffix, overlay, False, again).jobs]


@pytest.mark.parametrize(
    ("found", "outs", "overlay", "files"),
    [
        ([WALK], ["p.csv"], "", [("p.csv",)]),
        ([WALK], ["p.CSV", "q.npz"], "b.mp4", [("p.CSV", "q.npz", "b.mp4")]),
        ([WALK, RUN], ["out"], "", [("out/walk.csv",), ("out/day1/run.csv",)]),
        ([WALK, RUN], ["out/"], "out", [("out/walk.csv", "out/walk.overlay.mp4"),
                                        ("out/day1/run.csv", "out/day1/run.overlay.mp4")]),
        ([IMAGES], ["out.v2/"], "", [("out.v2/day1/v1.2.csv",)]),
        ([WALK, RUN], ["out/{name}.jsonl"], "", [("out/walk.mp4.jsonl",), ("out/run.avi.jsonl",)]),
        ([WALK, RUN], ["{below}/{stem}.npz"], "", [("walk.npz",), ("day1/run.npz",)]),
        ([WALK, RUN], ["memory://bucket/out"], "", [("memory://bucket/out/walk.csv",),
                                                    ("memory://bucket/out/day1/run.csv",)]),
        ([WALK], [], "b.mp4", [("b.mp4",)]),
    ],
)  # fmt: skip
def test_outputs_are_files_folders_or_patterns(found, outs, overlay, files):
    assert places(found, outs, overlay=overlay) == files


@pytest.mark.parametrize(
    ("found", "outs", "words"),
    [
        ([WALK], [], "nowhere to write.*-o poses.parquet"),
        ([WALK, RUN], ["p.csv"], "2 recordings and one file p.csv.*'{stem}.csv'"),
        ([WALK], ["p.txt"], "p.txt: files of poses end in .parquet, .csv, .jsonl, .npz"),
        ([WALK], ["{stem}"], "files of poses end in"),
        ([WALK], ["{who}.csv"], "its fields are {below}, {stem} and {name}"),
        ([WALK], ["{stem.csv"], "its fields are"),
        ([WALK, Found("x/walk.avi", "walk.avi")], ["out"], "data/walk.mp4 and x/walk.avi would both be written to"),
        ([WALK], ["data/../data/walk.mp4/"], "Not a directory|File exists|is a recording"),
    ],
)
def test_outputs_that_do_not_fit_are_named(here, found, outs, words):
    (here / "data").mkdir()
    (here / "data" / "walk.mp4").touch()
    with pytest.raises(EgostreamError, match=words):
        places(found, outs)


def test_a_recording_is_never_overwritten(here):
    (here / "walk.mp4").touch()
    with pytest.raises(EgostreamError, match="walk.mp4 is a recording, which would be overwritten"):
        places([Found("walk.mp4", "walk.mp4")], [], overlay=str(here / "walk.mp4"), again=True)


def test_a_file_that_was_named_and_exists_is_refused(here):
    (here / "p.csv").touch()
    with pytest.raises(EgostreamError, match="p.csv exists.*--again"):
        places([WALK], ["p.csv"])
    assert places([WALK], ["p.csv"], again=True) == [("p.csv",)]


def test_what_is_done_in_a_folder_is_not_done_again(here):
    (here / "out").mkdir()
    (here / "out" / "walk.csv").touch()
    plan = make_plan([WALK, RUN], ["out"], ".csv", "", False, False)
    assert [job.source for job in plan.jobs] == [RUN.source] and plan.done_before == 1
    assert len(places([WALK, RUN], ["out"], again=True)) == 2
    both = make_plan([WALK, RUN], ["out"], ".csv", "out", False, False)
    assert len(both.jobs) == 2  # its overlay is not done


def test_a_folder_in_a_files_place_is_named(here):
    (here / "p.csv").mkdir()
    with pytest.raises(EgostreamError, match="p.csv is a folder"):
        places([WALK], ["p.csv"])


def test_a_folder_that_cannot_be_written_is_named_before_anything_is_estimated(here):
    (here / "file").touch()
    with pytest.raises(EgostreamError, match="cannot write into file/out"):
        places([WALK], ["file/out"])
    if os.getuid() != 0:
        (here / "locked").mkdir(mode=0o500)
        with pytest.raises(EgostreamError, match="cannot write into locked: Permission denied"):
            places([WALK], ["locked"])


def test_a_format_without_its_library_names_the_command(monkeypatch):
    monkeypatch.setattr(formats, "find_spec", lambda name: None)
    with pytest.raises(
        EgostreamError, match=r"pip install 'egostream\[annotate\]'.*need nothing: .csv, .jsonl, .npz, .bvh"
    ):
        places([WALK], ["p.parquet"])
    assert places([WALK], ["p.csv"]) == [("p.csv",)]
