"""Image folders: the order of names, what is left out, and files of stamps."""

from __future__ import annotations

import os
import random
from pathlib import Path

import cv2
import numpy as np
import pytest
from cameras import open_camera, read_all
from hypothesis import given
from hypothesis import strategies as st

from egostream.capture.image_folder import ImageFolder, natural_order, tell_another_order
from egostream.errors import EgostreamError

IMAGE = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()


def folder_of(tmp_path: Path, *names: str) -> Path:
    for name in names:
        (tmp_path / name).write_bytes(IMAGE)
        os.utime(tmp_path / name, (0, 0))
    return tmp_path


def names_in_order(folder: Path) -> list[str]:
    source = ImageFolder(folder)
    source.open()
    return [path.name for path in source.paths]


# ---- order ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        ["0.0.jpg", "0.033.jpg", "0.067.jpg", "0.1.jpg", "0.133.jpg", "0.2.jpg"],
        ["1690000000.0335848.jpg", "1690000000.067.jpg", "1690000000.1.jpg", "1690000001.0.jpg"],
        ["frame_-2.png", "frame_-1.png", "frame_0.png", "frame_1.png", "frame_10.png"],
        ["-10.png", "-2.5.png", "-2.png", "0.png", "3.png"],
        ["img_9.jpg", "IMG_10.JPG", "Img_11.jpg"],
        ["img-1.jpg", "img-2.jpg", "img-10.jpg"],
        ["2026-01-02.jpg", "2026-01-10.jpg", "2026-02-01.jpg"],
        ["cam1.8.jpg", "cam1.9.jpg", "cam1.10.jpg", "cam1.11.jpg", "cam2.1.jpg"],
        ["v1.2.3.jpg", "v1.2.10.jpg", "v1.10.1.jpg"],
        ["1²3.jpg", "2.jpg"],
        ["٣.png", "10.png", "١١.png"],
        ["7.png", "007b.png", "8.png"],
        ["9" * 100 + ".png", "1" + "0" * 100 + ".png", "1" + "0" * 99 + "1.png"],
        ["a.png", "a1.png", "a1b.png", "a1b2.png", "b.png"],
        ["left_1.png", "left_2.png", "right_1.png"],
    ],
    ids=lambda names: names[0][:12],
)
def test_names_are_ordered_as_people_count(tmp_path, names):
    folder_of(tmp_path, *random.Random(1).sample(names, len(names)))
    assert names_in_order(tmp_path) == names


@given(
    st.lists(st.integers(0, 10**12), min_size=2, max_size=40, unique=True), st.sampled_from(["", "img_", "f ", "Ü-"])
)
def test_whole_numbers_are_ordered_by_value(numbers, prefix):
    paths = [Path(f"{prefix}{number}.jpg") for number in numbers]
    assert natural_order(paths) == [Path(f"{prefix}{number}.jpg") for number in sorted(numbers)]


@given(st.lists(st.floats(0, 1e10).map(lambda t: round(t, 7)), min_size=2, max_size=40, unique=True))
def test_decimals_as_python_writes_them_are_ordered_by_value(times):
    times = [t for t in times if "e" not in str(t)]
    assert natural_order([Path(f"{t}.jpg") for t in times]) == [Path(f"{t}.jpg") for t in sorted(times)]


@given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=40, unique=True))
def test_negative_numbers_are_ordered_by_value(numbers):
    assert natural_order([Path(f"frame_{n}.png") for n in numbers]) == [Path(f"frame_{n}.png") for n in sorted(numbers)]


@given(st.lists(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1), unique=True))
def test_any_names_have_one_order(names):
    paths = [Path(name) for name in names if name not in (".", "..")]
    assert natural_order(paths) == natural_order(reversed(paths)) and sorted(natural_order(paths)) == sorted(paths)


def test_numbers_longer_than_python_reads():
    paths = [Path("x" + "1" * 5000), Path("x2")]
    assert natural_order(paths) == paths[::-1]


# ---- what is in it --------------------------------------------------------------------------------------------------


def test_hidden_files_and_folders_are_left_out(tmp_path):
    folder_of(tmp_path, "._1.jpg", ".hidden.png", "1.jpg", "2.JPG", "3.txt")
    (tmp_path / "4.jpg").mkdir()
    assert names_in_order(tmp_path) == ["1.jpg", "2.JPG"]


def test_a_folder_with_hidden_files_only_holds_no_images(tmp_path):
    with pytest.raises(EgostreamError, match="holds no images"):
        names_in_order(folder_of(tmp_path, "._1.jpg"))


def stamp_files(folder: Path, times: list[float]) -> None:
    for path, t in zip(natural_order(folder.glob("*.jpg")), times, strict=True):
        os.utime(path, (t, t))


@pytest.mark.parametrize(
    ("times", "is_said"),
    [
        ([100 + n for n in range(12)], False),
        ([100 + (n + 5) % 12 for n in range(12)], True),
        ([100.0] * 12, False),
        ([100 + n * 0.001 for n in (3, 1, 0, 5, 4, 2, 8, 7, 6, 11, 10, 9)], False),
        ([100 + n / 30 for n in (3, 1, 0, 5, 4, 2, 8, 7, 6, 11, 10, 9)], True),
        ([100 + n**3 for n in (3, 1, 0, 5, 4, 2, 8, 7, 6, 11, 10, 9)], False),
    ],
    ids=["agree", "numbering began anew", "all one", "copied", "a camera's rate, names in no order", "edited"],
)
def test_files_whose_times_tell_another_order_are_said_once(tmp_path, times, is_said):
    stamp_files(folder_of(tmp_path, *(f"{n}.jpg" for n in range(12))), times)
    notes = []
    frames = read_all(open_camera(tmp_path, notes.append, pace="every-frame"))
    assert len(frames) == 12 and len(notes) == is_said
    assert not is_said or "times tell another order" in notes[0]


def test_few_files_tell_no_order():
    assert not tell_another_order([3 * 10**9, 2 * 10**9, 10**9])


# ---- stamps ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("timestamps.txt", "a.jpg 10.0\nb.jpg 10.033\nc.jpg 11.5\n"),
        ("timestamps.csv", "name,time\na.jpg,10.0\nb.jpg,10.033\nc.jpg,11.5\n"),
        (
            "timestamps.csv",
            "\ufeff#timestamp [ns],filename\r\n10000000000,a.jpg\r\n10033000000,b.jpg\r\n11500000000,c.jpg",
        ),
        ("timestamps.txt", "# time name\n\n10.0 rgb/a.jpg 0.3\n10.033 rgb/b.jpg 1\n11.5 rgb/c.jpg 4"),
        ("timestamps.csv", '"a.jpg"; 10.0\n"b.jpg"; 10.033\n"gone.jpg"; 11.0\n"c.jpg"; 11.5'),
        ("timestamps.txt", "a.jpg\t-1.5\nc.jpg\t-0.0\nb.jpg\t-1.467"),
    ],
    ids=["seconds", "heading", "EuRoC", "TUM", "quoted, one gone", "negative, in no order"],
)
def test_a_file_of_stamps_gives_the_times(tmp_path, name, text):
    folder_of(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    (tmp_path / name).write_bytes(text.encode())
    camera = open_camera(tmp_path, pace="every-frame", loop=True)
    frames = [camera.read() for _ in range(4)]
    times = np.subtract([f.t_capture_ns for f in frames], frames[0].t_capture_ns).tolist()
    assert times == [0, 33_000_000, 1_500_000_000, 1_500_000_000 + 1_467_000_000]
    assert f"by {name}" in camera.mode


def test_stamps_decide_the_order(tmp_path):
    folder_of(tmp_path, "1.jpg", "2.jpg", "3.jpg")
    (tmp_path / "timestamps.txt").write_text("3.jpg 0.5\n1.jpg 1.0\n2.jpg 1.5\n")
    assert names_in_order(tmp_path) == ["3.jpg", "1.jpg", "2.jpg"]


@given(st.lists(st.integers(0, 2**62), min_size=2, max_size=30, unique=True))
def test_nanoseconds_are_exact(tmp_path_factory, times):
    folder = folder_of(tmp_path_factory.mktemp("stamped"), *(f"{n}.png" for n in range(len(times))))
    (folder / "timestamps.txt").write_text("".join(f"{n}.png {t}\n" for n, t in enumerate(times)))
    source = ImageFolder(folder)
    source.open()
    assert source.times_ns[:-1] == [t - min(times) for t in sorted(times)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.jpg 0.0\nb.jpg 0.1\n", r"no time for 1 of 3 images, the first is c\.jpg.*--fps 30"),
        ("", "no time for 3 of 3 images"),
        ("a.jpg 0.0\nb.jpg 0.1\nc.jpg 0.1\n", r"c\.jpg the time of another image"),
        ("a.jpg 0.0\nb.jpg 0.1\nc.jpg soon\n", "line 3 is 'c.jpg soon', wanted a name and a time"),
        ("a.jpg 0.0\nb.jpg 0.1\nb.jpg 0.2\nc.jpg 0.3\n", r"line 3 gives b\.jpg a second time"),
        ("a.jpg nan\nb.jpg inf\nc.jpg 1e400\n", "line 2 is 'b.jpg inf'"),
        ("a.jpg 0.0 \xff\xfe", "cannot be read.*UTF-8"),
    ],
    ids=["lacking", "empty", "same time", "no time", "twice", "not finite", "not UTF-8"],
)
def test_stamps_that_do_not_fit_are_refused(tmp_path, text, message):
    folder_of(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    (tmp_path / "timestamps.txt").write_bytes(text.encode("latin-1"))
    with pytest.raises(EgostreamError, match=message):
        names_in_order(tmp_path)


def test_a_rate_overrides_stamps_and_says_so(tmp_path):
    folder_of(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "timestamps.txt").write_text("a.jpg 0.0\nb.jpg 7.0\n")
    notes = []
    frames = read_all(open_camera(tmp_path, notes.append, pace="every-frame", fps=10))
    assert frames[1].t_capture_ns - frames[0].t_capture_ns == 100_000_000
    assert len(notes) == 1 and "--fps" in notes[0] and "timestamps.txt" in notes[0]
