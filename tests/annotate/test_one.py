"""One recording to its files: whole, or not at all."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess

import av
import cv2
import numpy as np
import pytest
from made_videos import write_video
from sample_clip import sample_images

from egostream.annotate.one import annotate
from egostream.annotate.plan import Job
from egostream.files import asset


def run(stream, source, *places, overlays=(), smooth=False):
    """The report of a job, and what it told on the way."""
    told = []
    job = Job(str(source), tuple(map(str, places)), tuple(map(str, overlays)), smooth)
    return annotate(stream, job, lambda *progress: told.append(progress)), told


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_report_counts_frames_and_tells_how_far_it_is(stream, images_in, tmp_path):
    clip = images_in(tmp_path / "clip", 6)
    report, told = run(stream, clip, tmp_path / "out" / "poses.csv")
    assert not report.error and (report.frames, report.poses, report.bad) == (6, 6, {})
    assert 0.5 < report.confidence < 1 and report.outputs == (str(tmp_path / "out" / "poses.csv"),)
    assert told[0] == (1 / 6, 1)
    assert names_in(tmp_path / "out") == ["poses.csv"]


def test_bad_frames_are_counted_by_reason_and_leave_their_numbers_out(stream, images_in, tmp_path):
    clip = images_in(tmp_path / "clip", 6)
    (clip / "2.jpg").write_bytes((clip / "2.jpg").read_bytes()[:20_000])
    (clip / "4.jpg").write_bytes(b"no image")
    report, _ = run(stream, clip, tmp_path / "poses.npz", tmp_path / "poses.jsonl")
    assert (report.frames, report.poses, report.bad) == (6, 4, {"damaged": 1, "broken": 1})
    with np.load(tmp_path / "poses.npz") as file:
        assert file["frame"].tolist() == [0, 1, 3, 5]
        assert file["t_ns"].tolist() == [0, 33_333_333, 100_000_000, 166_666_667]
    lines = [json.loads(line) for line in (tmp_path / "poses.jsonl").read_text().splitlines()]
    assert [line["dropped_frames"] for line in lines] == [0, 0, 1, 2]


def test_the_same_recording_gives_the_same_bytes(stream, images_in, tmp_path):
    pytest.importorskip("pyarrow", reason="pip install pyarrow")
    clip = images_in(tmp_path / "clip")
    for folder in ("a", "b"):
        places = [tmp_path / folder / f"poses{suffix}" for suffix in (".parquet", ".csv", ".jsonl", ".npz")]
        assert not run(stream, clip, *places)[0].error
    for name in names_in(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_a_video_whose_end_is_missing_gives_what_there_is_and_says_so(stream, tmp_path):
    whole = asset("sample", "sample.avi").read_bytes()
    clip = tmp_path / "cut.avi"
    clip.write_bytes(whole[: len(whole) // 10])
    report, _ = run(stream, clip, tmp_path / "poses.csv")
    assert 5 < report.poses < 12 and report.bad == {"damaged": 1}
    assert any("truncated or damaged" in note for note in report.notes)


def test_a_video_whose_last_frames_are_broken_gives_those_before(stream, tmp_path):
    clip = write_video(tmp_path / "clip.mkv", [33 * n for n in range(8)], size=(1280, 1024), gop=4)
    data = bytearray(clip.read_bytes())
    data[len(data) * 3 // 4 : -2000] = bytes(len(data) - 2000 - len(data) * 3 // 4)
    clip.write_bytes(data)
    report, _ = run(stream, clip, tmp_path / "poses.npz")
    assert not report.error and 3 < report.poses < 8, report
    assert report.notes or report.bad
    assert np.load(tmp_path / "poses.npz")["frame"].tolist() == list(range(report.poses))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda clip: [path.write_bytes(b"") for path in clip.iterdir()], "has no usable frame: the image is broken"),
        (lambda clip: [path.unlink() for path in clip.iterdir()], "holds no images"),
        (lambda clip: [cv2.imwrite(str(path), np.zeros((480, 640, 3))) for path in clip.iterdir()], "it is 640x480"),
    ],
    ids=["broken", "empty", "another size"],
)
def test_where_nothing_comes_out_nothing_is_written(stream, images_in, tmp_path, spoil, words):
    clip = images_in(tmp_path / "clip")
    spoil(clip)
    before = b"an earlier one"
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "poses.csv").write_bytes(before)
    report, _ = run(stream, clip, tmp_path / "out" / "poses.csv", tmp_path / "out" / "poses.npz")
    assert words in report.error and "\n" not in report.error and not report.is_fatal and not report.outputs
    assert names_in(tmp_path / "out") == ["poses.csv"] and (tmp_path / "out" / "poses.csv").read_bytes() == before


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl", ".npz", ".bvh", ".glb", ".mp4"])
def test_a_disk_that_fills_leaves_no_half_file(stream, images_in, tmp_path, suffix):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow", reason="pip install pyarrow")
    clip, out = images_in(tmp_path / "clip"), tmp_path / "out"
    out.mkdir()
    small = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", str(out)], capture_output=True).returncode
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        if small != 0:  # not root, or a container that may not mount
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        places = {"overlays": [out / f"poses{suffix}"]} if suffix == ".mp4" else {}
        report, _ = run(stream, clip, *([] if places else [out / f"poses{suffix}"]), **places)
        left = names_in(out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
        if small == 0:
            subprocess.run(["umount", str(out)], check=True)
    assert report.is_fatal and "cannot write" in report.error and "Free some space" in report.error, report
    assert left == []


def test_a_folder_that_cannot_be_made_is_an_error_of_writing(stream, images_in, tmp_path):
    (tmp_path / "file").write_text("no folder")
    report, _ = run(stream, images_in(tmp_path / "clip"), tmp_path / "file" / "poses.csv")
    assert report.is_fatal and f"cannot write {tmp_path / 'file' / 'poses.csv'}" in report.error


@pytest.mark.parametrize("smooth", [False, True])
def test_an_overlay_shows_the_bones_on_the_right_pictures(stream, images_in, tmp_path, smooth):
    clip = images_in(tmp_path / "clip", 6)
    (clip / "2.jpg").write_bytes(b"no image")
    report, _ = run(stream, clip, tmp_path / "p.npz", overlays=[tmp_path / "bones.mp4"], smooth=smooth)
    assert not report.error, report.error
    with av.open(str(tmp_path / "bones.mp4")) as container:
        frames = list(container.decode(video=0))
    assert [round(frame.time * 30) for frame in frames] == [0, 1, 3, 4, 5]
    keypoints, images = np.load(tmp_path / "p.npz")["keypoints"], sample_images()
    for place, number in enumerate((0, 1, 3, 4, 5)):
        shown = frames[place].to_ndarray(format="bgr24").astype(int)
        pure = cv2.imdecode(images[number], cv2.IMREAD_COLOR_BGR).astype(int)
        assert np.abs(shown - pure).mean() < 4  # the picture is that frame's ...
        difference = np.abs(shown - pure).max(-1)
        x, y = keypoints[place].round().astype(int).T
        assert (difference[y, x] > 25).all()  # ... and something is drawn at every keypoint


def test_smoothing_forgets_at_breaks_of_time(stream, tmp_path):
    """A video of two takes, 10 s apart: nothing of the one is mixed into the other."""
    images = sample_images()[:4]
    both, second = tmp_path / "both", tmp_path / "second"
    for folder, numbers, stamps in ((both, range(4), (0, 1, 300, 301)), (second, (2, 3), (0, 1))):
        folder.mkdir()
        for number in numbers:
            images[number].tofile(folder / f"{number}.jpg")
        rows = [f"{number}.jpg,{stamp / 30}" for number, stamp in zip(numbers, stamps)]
        (folder / "timestamps.csv").write_text("\n".join(rows) + "\n")
        report, _ = run(stream, folder, tmp_path / f"{folder.name}.npz", smooth=True)
        assert not report.error, report.error
    joints = np.load(tmp_path / "both.npz")["joints"], np.load(tmp_path / "second.npz")["joints"]
    assert np.array_equal(joints[0][2:], joints[1])


def test_any_video_does(stream, tmp_path):
    clip = write_video(tmp_path / "clip.mp4", [0, 33, 66], size=(1280, 1024))
    report, told = run(stream, clip, tmp_path / "poses.csv")
    assert report.poses == 3 and told[0][0] == pytest.approx(1 / 3)


def test_drafts_are_named_by_their_process_and_hidden(stream, images_in, tmp_path):
    seen = []
    job = Job(str(images_in(tmp_path / "clip")), (str(tmp_path / "out" / "poses.csv"),))
    annotate(stream, job, lambda *_: seen.extend(names_in(tmp_path / "out")))
    assert set(seen) == {f".{os.getpid()}.poses.csv"}
