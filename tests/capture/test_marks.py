"""Reading that begins at a mark gives what reading from the beginning does: numbers, times and pictures."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from made_videos import read_stamped, write_video

from egostream.capture.camera import Pace
from egostream.capture.clips import ImageFolder, Video
from egostream.capture.marks import opened_seal, sealed
from egostream.capture.recording import RecordingCamera

TICKS_90K = Fraction(1, 90_000)
VARYING = [0, 100, 200, 300, 400, 433, 467, 500, 533, 567, 600, 700, 950, 983]
PAUSED = [*range(0, 800, 40), *range(5800, 6600, 40)]
JPEG = {"codec": "mjpeg", "pixels": "yuvj420p"}
LONG = list(range(0, 1440, 40))
COUNT = len(LONG)
LONG_90K = [90 * t for t in LONG]
FAST = {"cpu-used": "8", "deadline": "realtime"}
GROUPED = {"gop": 7}
#: Recordings with several groups of pictures each.
FILES = {
    "MP4": ("x.mp4", LONG, {}),
    "MP4, B-frames": ("x.mp4", LONG, {"bframes": 2}),
    "open groups of pictures": ("x.mp4", LONG, {"bframes": 2, "options": {"x264-params": "open-gop=1"}}),
    "gradual refresh, no picture of which stands alone": (
        "x.mp4", LONG, {"options": {"x264-params": "intra-refresh=1"}},
    ),
    "Matroska, varying rate": ("x.mkv", VARYING + [1000 + t for t in VARYING], {"bframes": 2}),
    "paused": ("x.mkv", PAUSED, {"bframes": 2}),
    "late start, behind an empty edit": ("x.mp4", LONG, {"bframes": 2, "shift": 1500}),
    "negative start": ("x.mkv", LONG, {"shift": -700}),
    "fragmented MP4": ("x.mp4", LONG, {"bframes": 2, "muxer": {"movflags": "frag_keyframe+empty_moov"}}),
    "H.265": ("x.mp4", LONG, {"codec": "libx265", "bframes": 2, "options": {"x265-params": "log-level=none"}}),
    "WebM, VP8 with frames that are not shown": (
        "x.webm", LONG, {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "16", **FAST}},
    ),
    "WebM, VP9": ("x.webm", LONG, {"codec": "libvpx-vp9", "options": FAST}),
    "WebM as browsers write it": ("x.webm", LONG, {"codec": "libvpx", "muxer": {"live": "1"}, "options": FAST}),
    "MPEG-TS": ("x.ts", LONG_90K, {"bframes": 2, "time_base": TICKS_90K}),
    "MPEG-TS whose times wrap": ("x.ts", LONG_90K, {"bframes": 2, "time_base": TICKS_90K, "shift": 2**33 - 60_000}),
    "MPEG-4": ("x.mp4", LONG, {"codec": "mpeg4", "bframes": 2}),
    "MPEG-4 in AVI, which has places only": ("x.avi", list(range(COUNT)), {"codec": "mpeg4", "bframes": 2}),
    "Motion-JPEG, MOV": ("x.mov", VARYING, JPEG),
    "Motion-JPEG, AVI with dropped frames": ("x.avi", [0, 1, 2, 3, 9, 10, 11, 30, 31, 32, 33], JPEG),
}  # fmt: skip
#: Files that cannot be begun with in the middle, so that they are read from the start: others have to be.
UNMARKED = ("MPEG-4 in AVI, which has places only", "gradual refresh, no picture of which stands alone")


def opened(path: Path, fps: float = 0.0) -> Video:
    """A video at its first frame."""
    video = Video(path, fps)
    video.open()
    return video


def made(name: str, folder: Path) -> Path:
    """One of FILES."""
    file, times, options = FILES[name]
    return write_video(folder / file, times, **{**GROUPED, **options})


def rest_from_mark(path: Path, position: int, fps: float = 0.0) -> tuple[int, list] | None:
    """What another reader gives that begins at the mark told at a position, and how many frames lie before it."""
    first = opened(path, fps)
    for _ in range(position):
        first.skip()
    number, text = first.mark()
    first.close()
    second = opened(path, fps)
    assert number <= position
    return (number, read_stamped(second)) if second.go_to_mark(text) else None


def is_same(one: list, other: list) -> bool:
    """Whether two readings have the same times and the same pictures, or reasons why there is none."""
    return len(one) == len(other) and all(
        t == t_other and (np.array_equal(data, data_other) if isinstance(data, np.ndarray) else data == data_other)
        for (t, data), (t_other, data_other) in zip(one, other)
    )


def assert_marks_work(path: Path, fps: float = 0.0) -> int:
    """How many of three marks, told near the start, the middle and the end, another reader could begin at."""
    whole, found = read_stamped(opened(path, fps)), 0
    for position in (1, len(whole) // 2, len(whole) - 2):
        if (rest := rest_from_mark(path, position, fps)) is not None:
            number, frames = rest
            assert is_same(frames, whole[number:]), (position, number)
            found += number > 0
    return found


@pytest.mark.parametrize("name", FILES)
def test_what_follows_a_mark_is_what_a_whole_reading_gives(tmp_path, name):
    found = assert_marks_work(made(name, tmp_path))
    assert found == 0 if name in UNMARKED else found == 2 or name == "MPEG-TS whose times wrap"


def test_so_it_is_at_a_rate_of_the_users_own(tmp_path):
    assert assert_marks_work(made("MP4, B-frames", tmp_path), 25.0) == 2
    assert assert_marks_work(made("Motion-JPEG, AVI with dropped frames", tmp_path), 25.0) == 2


@pytest.mark.parametrize("name", ["MP4, B-frames", "MPEG-TS"])
def test_damage_before_a_mark_changes_nothing_behind_it(tmp_path, name):
    path = made(name, tmp_path)
    data = bytearray(path.read_bytes())
    for place in range(3 * len(data) // 8, len(data) // 2, 97):
        data[place] ^= 0x55
    path.write_bytes(data)
    whole = read_stamped(opened(path))
    assert any(isinstance(data, str) for _, data in whole)
    for position in (COUNT // 2, len(whole) - 2):
        number, frames = rest_from_mark(path, position) or pytest.fail("it was not found")
        assert [t_ns for t_ns, _ in frames] == [t_ns for t_ns, _ in whole[number:]]
    assert is_same(frames, whole[number:])  # from behind the damage on


def test_interlaced_pictures_are_read_from_the_start_since_each_is_made_of_its_neighbours(tmp_path):
    options = {"flags": "+ildct+ilme", "x264-params": "tff=1"}
    path = write_video(tmp_path / "x.mp4", LONG, options=options, **GROUPED)
    assert "deinterlaced" in opened(path).mode
    assert assert_marks_work(path) == 0


def camera_at(path: Path, seq: int, mark: str, said: list[str], fps: float = 0.0) -> RecordingCamera:
    """A camera of a process that goes on at frame ``seq``, playing in a loop."""
    recording = ImageFolder(path, fps) if path.is_dir() else Video(path, fps)
    camera = RecordingCamera(recording, Pace.EVERY_FRAME, True, seq, 0, said.append)
    camera.last_mark = mark
    camera.open()
    return camera


def read_until(camera: RecordingCamera, seq: int) -> None:
    """Read frames until that one is next."""
    while camera.seq < seq:
        camera.read()


@pytest.mark.parametrize("kind", ["video", "motion-jpeg", "folder"])
@pytest.mark.parametrize("seq", [3, COUNT - 1, COUNT, 2 * COUNT + 25])
def test_a_capture_process_goes_on_near_where_the_one_before_was(tmp_path, kind, seq, monkeypatch):
    """Also in a later turn of a recording that plays in a loop."""
    if kind == "folder":
        for n in range(COUNT):
            (tmp_path / f"{n}.png").write_bytes(b"%d" % n)
    file, options = ("x.mp4", {"bframes": 2}) if kind == "video" else ("x.avi", JPEG)
    path = tmp_path if kind == "folder" else write_video(tmp_path / file, LONG, **GROUPED, **options)
    said: list[str] = []
    first = camera_at(path, 0, "", said)
    read_until(first, seq)
    mark = first.mark()
    wanted = [first.read() for _ in range(COUNT + 3)]
    passed: list[int] = []
    for known in (Video, ImageFolder):
        skip = known.skip
        monkeypatch.setattr(known, "skip", lambda recording, skip=skip: passed.append(1) or skip(recording))
    second = camera_at(path, seq, mark, said)
    got = [second.read() for _ in range(COUNT + 3)]
    assert len(passed) <= GROUPED["gop"] and not said
    assert [one.seq for one in got] == [one.seq for one in wanted]
    assert all(np.array_equal(one.data, other.data) for one, other in zip(got, wanted))
    steps = lambda frames: np.diff([frame.t_capture_ns for frame in frames]).tolist()
    assert steps(got)[: COUNT - seq % COUNT - 1] == steps(wanted)[: COUNT - seq % COUNT - 1]


@pytest.mark.parametrize("mark", ["", "half", sealed("5 5 [1,2]"), sealed("5 5 [5,99999,1,0,[0,0,0,0,0]]")])
def test_a_place_that_cannot_be_gone_to_is_found_from_the_start_and_it_is_said(tmp_path, mark):
    path, said = made("MP4, B-frames", tmp_path), []
    camera = camera_at(path, 20, mark, said)
    wanted = read_stamped(opened(path))[20]
    assert camera.seq == camera.index == 20 and np.array_equal(camera.read().data, wanted[1])
    assert len(said) == 1 and "reading up to frame 20 again" in said[0]


def test_a_mark_that_a_killed_process_left_half_written_is_none():
    whole = sealed("41 41 place")
    assert opened_seal(whole) == "41 41 place"
    assert not any(opened_seal(whole[:n] + "x" * (len(whole) - n)) for n in range(len(whole)))
    assert opened_seal("") == opened_seal("0123") == ""
