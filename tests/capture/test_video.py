"""Video files: every frame's time is the container's own, and a picture is whole or it is not used."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from cameras import open_camera, read_all
from made_videos import MS, picture, read_stamped, relative_ns, write_video

from egostream.capture.clips import Video
from egostream.errors import EgostreamError

TICKS_90K = Fraction(1, 90_000)
TICKS_25 = Fraction(1, 25)
EVEN = list(range(0, 1200, 40))
EVEN_90K = [90 * t for t in EVEN]
VARYING = [0, 100, 200, 300, 400, 433, 467, 500, 533, 567, 600, 700, 950, 983]
PAUSED = [*range(0, 400, 40), *range(5400, 5800, 40)]
JPEG = {"codec": "mjpeg", "pixels": "yuvj420p"}

#: Kinds of recordings: file, times, how it is written.
KINDS = {
    "constant, B-frames": ("x.mp4", EVEN, {"bframes": 2}),
    "varying rate": ("x.mp4", VARYING, {}),
    "varying rate, B-frames, Matroska": ("x.mkv", VARYING, {"bframes": 2}),
    "paused": ("x.mkv", PAUSED, {"bframes": 2}),
    "paused, MP4": ("x.mp4", PAUSED, {}),
    "Motion-JPEG, varying rate": ("x.mov", VARYING, JPEG),
    "negative start": ("x.mkv", EVEN, {"shift": -700}),
    "late start, behind an empty edit": ("x.mp4", EVEN, {"bframes": 2, "shift": 1500}),
    "WebM as browsers write it": ("x.webm", VARYING, {"codec": "libvpx", "muxer": {"live": "1"}}),
    "WebM, VP9": ("x.webm", VARYING, {"codec": "libvpx-vp9"}),
    "MPEG-TS": ("x.ts", EVEN_90K, {"bframes": 2, "time_base": TICKS_90K}),
    "MPEG-TS whose times wrap": ("x.ts", EVEN_90K, {"bframes": 2, "time_base": TICKS_90K, "shift": 2**33 - 60_000}),
    "MPEG-PS": ("x.mpg", list(range(30)), {"codec": "mpeg2video", "bframes": 2, "time_base": TICKS_25}),
    "fragmented MP4": ("x.mp4", VARYING, {"bframes": 2, "muxer": {"movflags": "frag_keyframe+empty_moov"}}),
    "H.265": ("x.mp4", VARYING, {"codec": "libx265", "options": {"x265-params": "log-level=none"}}),
    "AVI with B-frames, which has places only": (
        "x.avi", list(range(30)), {"codec": "mpeg4", "bframes": 2, "time_base": TICKS_25},
    ),
    "AVI with dropped frames": ("x.avi", [0, 1, 2, 3, 9, 10, 11], {**JPEG, "time_base": TICKS_25}),
    "Flash": ("x.flv", VARYING, {"codec": "flv1"}),
    "GIF": ("x.gif", [0, 10, 20, 50, 60], {"codec": "gif", "pixels": "rgb8", "time_base": Fraction(1, 100)}),
}  # fmt: skip


def opened(path: Path, fps: float = 0.0) -> Video:
    video = Video(path, fps)
    video.open()
    return video


def without_rate(path: Path) -> Path:
    """A Matroska file whose default duration, and so its rate, is gone: turned into padding."""
    data = path.read_bytes()
    at = data.index(b"\x23\xe3\x83\x84")  # DefaultDuration, four bytes
    path.write_bytes(data[:at] + b"\xec\x86" + bytes(6) + data[at + 8 :])
    return path


#: Files in which the last frame lasts as long as the one before. In the others its duration is the writer's, of 30
#: frames a second.
LAST_40_MS = (
    "constant, B-frames", "late start, behind an empty edit", "MPEG-TS", "MPEG-TS whose times wrap", "MPEG-PS",
    "AVI with B-frames, which has places only", "AVI with dropped frames",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_times_are_the_containers_own(tmp_path, kind):
    name, times, how = KINDS[kind]
    video = opened(write_video(tmp_path / name, times, **how))
    frames = read_stamped(video)
    assert [t for t, _ in frames] == relative_ns(times, how.get("time_base", MS))
    assert not any(isinstance(data, str) for _, data in frames)
    assert video.count == len(times) and video.ending() == ""
    last_ns = frames[-1][0]
    # A loop goes on behind the last frame, which lasts as long as its file says: 30 ms (GIF), 33 or 40.
    assert video.begins_ns() - last_ns == pytest.approx(40e6 if kind in LAST_40_MS else 31.7e6, abs=1.8e6)


@pytest.mark.parametrize("kind", KINDS)
def test_times_are_those_of_ffprobe(tmp_path, kind):
    if shutil.which("ffprobe") is None:
        pytest.skip("apt-get install ffmpeg")
    name, times, how = KINDS[kind]
    path = write_video(tmp_path / name, times, **how)
    told = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", "v:0", "-of", "json", path]
        + ["-show_entries", "stream=time_base:frame=best_effort_timestamp"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(told.stdout)
    if name.endswith(("avi", "mpg")) and how.get("bframes"):
        pytest.skip("ffprobe knows no time of frames that such a file reorders")
    ticks = [frame["best_effort_timestamp"] for frame in found["frames"]]
    assert [t for t, _ in read_stamped(opened(path))] == relative_ns(ticks, Fraction(found["streams"][0]["time_base"]))


def test_a_webm_without_rate_and_length_has_its_own_times(tmp_path):
    path = without_rate(write_video(tmp_path / "x.webm", VARYING, codec="libvpx", muxer={"live": "1"}))
    with av.open(str(path)) as container:
        assert not container.streams.video[0].average_rate and container.duration is None
    frames = read_all(open_camera(path, pace="every-frame"))
    assert np.subtract([f.t_capture_ns for f in frames], frames[0].t_capture_ns).tolist() == relative_ns(VARYING)


def test_what_an_edit_list_cuts_off_is_not_shown(tmp_path):
    cut = {"bframes": 2, "shift": -400, "muxer": {"avoid_negative_ts": "disabled"}}
    video = opened(write_video(tmp_path / "x.mp4", EVEN, **cut))
    frames = read_stamped(video)
    assert [t for t, _ in frames] == relative_ns([t for t in EVEN if t >= 400]) and video.count == len(frames)
    assert np.abs(frames[0][1].astype(int) - picture(10)).mean() < 8


def test_b_frames_come_in_the_order_in_which_they_are_shown(tmp_path):
    frames = read_stamped(opened(write_video(tmp_path / "x.mp4", EVEN, bframes=3)))
    assert len(frames) == len(EVEN)
    for number, (_, data) in enumerate(frames):
        errors = [np.abs(data.astype(int) - picture(n)).mean() for n in range(len(EVEN))]
        assert int(np.argmin(errors)) == number


# ---- rates ----------------------------------------------------------------------------------------------------------


def test_a_rate_that_is_given_overrides_the_files_times_and_says_so(tmp_path):
    notes = []
    path = write_video(tmp_path / "x.mp4", VARYING)
    camera = open_camera(path, notes.append, pace="every-frame", fps=20)
    frames = read_all(camera)
    assert np.diff([f.t_capture_ns for f in frames]).tolist() == [50_000_000] * 13
    assert notes == ["x.mp4 plays at 20 fps as --fps says, not by its own times"] and "20 fps by --fps" in camera.mode


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("x.mjpeg", {**JPEG, "format": "mjpeg"}),
        ("x.m4v", {"codec": "mpeg4", "format": "m4v"}),
        ("x.h264", {"time_base": MS}),  # its timing information tells the unit of its times, 1 ms
        ("x.obu", {"codec": "libsvtav1", "options": {"svtav1-params": "lp=1"}, "format": "obu"}),
    ],
)
def test_a_stream_without_times_is_refused_and_plays_at_the_rate_given(tmp_path, name, how):
    path = write_video(tmp_path / name, VARYING if name == "x.h264" else EVEN, **how)
    with pytest.raises(EgostreamError, match=rf"{name} does not say when its frames were taken.*--fps 30"):
        opened(path)
    times = [t for t, _ in read_stamped(opened(path, 30))]
    assert len(times) == (14 if name == "x.h264" else 30)
    np.testing.assert_allclose(np.diff(times), 1e9 / 30, atol=1)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("x.h264", {"bframes": 2}),
        ("x.h265", {"codec": "libx265", "options": {"x265-params": "log-level=none"}, "format": "hevc"}),
        ("x.m2v", {"codec": "mpeg2video", "format": "mpeg2video"}),
    ],
)
def test_a_stream_that_tells_its_rate_plays_at_it(tmp_path, name, how):
    video = opened(write_video(tmp_path / name, list(range(30)), time_base=Fraction(1, 50), rate=50, **how))
    np.testing.assert_allclose(np.diff([t for t, _ in read_stamped(video)]), 20_000_000, atol=1)
    assert "50 fps" in video.note and "--fps" in video.note


def test_a_rate_that_cannot_be_is_refused(tmp_path):
    path = write_video(tmp_path / "x.avi", list(range(5)), **JPEG, time_base=TICKS_25)
    data = bytearray(path.read_bytes())
    at = data.index(b"vidsMJPG")  # the stream's header; its scale stands 20 bytes behind, its rate 24
    data[at + 20 : at + 28] = (1).to_bytes(4, "little") + (50_000).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(EgostreamError, match=r"50000 frames per second.*--fps 30"):
        opened(path)


# ---- odd files ------------------------------------------------------------------------------------------------------


def test_names_that_look_like_something_else(tmp_path):
    for name in ("udp:5000.mp4", "x%03d.mp4", "-i.mp4", "a b'\".mp4", "ü\u0301.mp4", "concat:x|y.mp4"):
        made = write_video(tmp_path / "x.mp4", VARYING)
        path = made.rename(tmp_path / name)
        assert len(read_stamped(opened(path))) == len(VARYING)


def test_a_cover_picture_is_no_recording(tmp_path):
    with av.open(str(tmp_path / "song.m4a"), "w", format="mp4") as container:
        sound = container.add_stream("aac", rate=48_000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 48_000
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    with pytest.raises(EgostreamError, match="no pictures"):
        opened(tmp_path / "song.m4a")


def test_a_file_whose_index_was_never_written_says_so(tmp_path):
    data = write_video(tmp_path / "x.mp4", VARYING).read_bytes()
    (tmp_path / "x.mp4").write_bytes(data[: data.index(b"moov") - 4])
    with pytest.raises(EgostreamError, match=r"moov.*broken off"):
        opened(tmp_path / "x.mp4")


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://127.0.0.1:9/x.ts\n",
        "ffconcat version 1.0\nfile 'x.mp4'\n",
        '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>\n',
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    ],
    ids=["HLS", "concat", "DASH", "SDP"],
)
def test_a_playlist_opens_nothing_elsewhere(tmp_path, text):
    (tmp_path / "x.mp4").write_text(text)
    begun_s = time.monotonic()
    with pytest.raises(EgostreamError, match="list of recordings"):
        opened(tmp_path / "x.mp4")
    assert time.monotonic() - begun_s < 5


@pytest.mark.parametrize("name", ["x.mp4", "x.mkv", "x.avi", "x.ts", "x.mov"])
def test_a_file_cut_short_plays_to_where_it_ends_and_says_so(tmp_path, name):
    codec = {"mp4": {}, "mkv": {}, "avi": JPEG, "ts": {}, "mov": JPEG}[name[2:]]
    muxer = {"movflags": "faststart"} if name[2:] in ("mp4", "mov") else {}
    path = write_video(tmp_path / name, list(range(60)), time_base=TICKS_25, muxer=muxer, **codec)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 3 // 5])
    notes = []
    frames = read_all(open_camera(path, notes.append, pace="every-frame"))
    assert 10 < len(frames) < 60
    assert len(notes) == 1 and "truncated or damaged" in notes[0]
    path.write_bytes(whole)
    assert read_all(open_camera(path, notes.append, pace="every-frame")) and len(notes) == 1


def test_nothing_of_ffmpegs_reaches_the_terminal(tmp_path, capfd):
    path = write_video(tmp_path / "x.mp4", EVEN, muxer={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[:-900])
    read_stamped(opened(path))
    (tmp_path / "y.mp4").write_bytes(b"junk" * 1000)
    with pytest.raises(EgostreamError):
        opened(tmp_path / "y.mp4")
    assert capfd.readouterr() == ("", "")


# ---- pictures -------------------------------------------------------------------------------------------------------


def errors_of(frames, size=(96, 64)) -> list[float]:
    """Mean distance of each frame from the picture that was drawn for it."""
    return [float(np.abs(data.astype(int) - picture(n, size)).mean()) for n, (_, data) in enumerate(frames)]


@pytest.mark.parametrize("pixels", ["yuv420p", "yuvj420p", "yuv444p", "yuv422p", "yuv420p10le", "yuv444p10le"])
def test_colours_of_every_depth_and_range(tmp_path, pixels):
    frames = read_stamped(opened(write_video(tmp_path / "x.mp4", EVEN, pixels=pixels, options={"crf": "4"})))
    assert frames[0][1].shape == (64, 96, 3) and max(errors_of(frames)) < 3


@pytest.mark.parametrize("pixels", ["yuv420p", "yuvj420p", "yuv420p10le", "yuv444p", "gray"])
def test_pictures_are_those_of_opencv(tmp_path, pixels):
    path = write_video(tmp_path / "x.mp4", EVEN, pixels=pixels, size=(130, 98))
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    frames = read_stamped(opened(path))
    assert len(frames) == len(EVEN)
    for _, data in frames:
        ok, theirs = capture.read()
        assert ok and np.abs(data.astype(int) - theirs).mean() < 1


def test_a_rotation_that_the_header_asks_for_is_not_done(tmp_path):
    source = write_video(tmp_path / "x.mp4", EVEN)
    with av.open(str(source)) as given, av.open(str(tmp_path / "y.mp4"), "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        stream.set_display_rotation(90)
        for packet in given.demux(video=0):
            if packet.size:
                packet.stream = stream
                made.mux(packet)
    with av.open(str(tmp_path / "y.mp4")) as turned:
        assert next(turned.decode(video=0)).rotation in (90, -90)
    assert max(errors_of(read_stamped(opened(tmp_path / "y.mp4")))) < 10


INTERLACED = {"flags": "+ildct+ilme", "x264-params": "bff=1", "crf": "4", "preset": "fast"}


def write_interlaced(path: Path, count: int = 20) -> Path:
    """An interlaced H.264 file of a bar that moves: its odd lines come first: field 2n of frame n, then 2n + 1."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options=INTERLACED)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for n in range(count):
            rows = bar(2 * n)
            rows[::2] = bar(2 * n + 1)[::2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rows, "bgr24").reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    return path


def bar(at: int) -> np.ndarray:
    """Half a picture bright, its edge at 2 * at."""
    rows = np.full((64, 96, 3), 60, np.uint8)
    rows[:, : 10 + 2 * at % 80] = 180
    return rows


def test_interlaced_frames_are_made_whole(tmp_path):
    video = opened(write_interlaced(tmp_path / "x.mp4"))
    frames = read_stamped(video)
    assert "deinterlaced" in video.mode and [t for t, _ in frames] == [40_000_000 * n for n in range(20)]
    for n, (_, data) in enumerate(frames[1:-1], 1):
        of_first, of_second = (np.abs(data.astype(int) - bar(field)).mean(axis=(1, 2)) for field in (2 * n, 2 * n + 1))
        assert of_first.max() < 4 and (of_first < of_second).all()  # no line shows the other field
    assert np.abs(frames[5][1].astype(int) - frames[9][1]).mean() > 5  # pictures, not one over and over


def test_interlaced_frames_are_those_of_ffmpeg(tmp_path):
    if shutil.which("ffmpeg") is None:
        pytest.skip("apt-get install ffmpeg")
    path = write_interlaced(tmp_path / "x.mp4")
    done = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", path, "-vf", "bwdif=mode=send_frame:deint=interlaced"]
        + ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "bgr24", "-"],
        capture_output=True, check=True,
    )  # fmt: skip
    theirs = np.frombuffer(done.stdout, np.uint8).reshape(-1, 64, 96, 3)
    ours = read_stamped(opened(path))
    assert len(theirs) == len(ours)
    assert max(np.abs(data.astype(int) - frame).mean() for (_, data), frame in zip(ours, theirs)) < 0.5


# ---- damage ---------------------------------------------------------------------------------------------------------

NOISY = {"preset": "fast", "crf": "10"}


def damaged(path: Path, number: int) -> Path:
    """The same file with the middle of frame ``number`` (in the file's order) overwritten."""
    with av.open(str(path)) as container:
        packet = [p for p in container.demux(video=0) if p.size][number]
        at, size = packet.pos, packet.size
    data = bytearray(path.read_bytes())
    data[at + size // 3 : at + size * 2 // 3] = bytes(size * 2 // 3 - size // 3)
    path.write_bytes(data)
    return path


def test_damage_is_counted_with_its_reason_up_to_the_next_whole_picture(tmp_path):
    path = write_video(tmp_path / "x.mp4", EVEN, gop=10, options=NOISY | {"x264-params": "scenecut=0"})
    whole = read_stamped(opened(path))
    frames = read_stamped(opened(damaged(path, 12)))
    bad = [n for n, (_, data) in enumerate(frames) if isinstance(data, str)]
    assert [t for t, _ in frames] == [t for t, _ in whole]
    assert bad[0] == 12 and bad == list(range(12, 20))
    assert frames[12][1] == "the picture is damaged" and frames[13][1] == "the picture builds on a damaged one"
    for n in set(range(len(frames))) - set(bad):
        assert np.array_equal(frames[n][1], whole[n][1])


def test_a_picture_that_cannot_be_decoded_keeps_its_number_and_its_neighbours_times(tmp_path):
    path = damaged(write_video(tmp_path / "x.mov", VARYING, codec="png", pixels="rgb24"), 6)
    camera = open_camera(path, pace="every-frame")
    frames = read_all(camera)
    assert [f.seq for f in frames] == [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13]
    times = np.array(relative_ns(VARYING))[[f.seq for f in frames]]
    assert np.subtract([f.t_capture_ns for f in frames], frames[0].t_capture_ns).tolist() == times.tolist()


def test_a_jpeg_that_the_file_cuts_short_is_not_used(tmp_path):
    path = write_video(tmp_path / "x.avi", list(range(30)), **JPEG, time_base=TICKS_25)
    with av.open(str(path)) as container:
        packet = [p for p in container.demux(video=0) if p.size][20]
    path.write_bytes(path.read_bytes()[: packet.pos + 8 + packet.size // 2])
    frames = read_stamped(opened(path))
    assert [n for n, (_, data) in enumerate(frames) if isinstance(data, str)] == [20]
    assert frames[-1][1] == "the picture is cut short"


def test_a_picture_that_claims_to_be_huge_is_not_decoded(tmp_path):
    """268 million pixels would take a gigabyte and many seconds; no camera has 40 million."""
    path = write_video(tmp_path / "x.webm", EVEN, codec="libvpx", gop=10)
    data = bytearray(path.read_bytes())
    at = data.index(b"\x9d\x01\x2a", data.index(b"\x9d\x01\x2a") + 1)  # the second key frame's start, then its size
    data[at + 3 : at + 7] = b"\xff\x3f\xff\x3f"
    path.write_bytes(data)
    begun_s = time.monotonic()
    frames = read_stamped(opened(path))
    bad = [n for n, (_, data) in enumerate(frames) if isinstance(data, str)]
    assert len(frames) == len(EVEN) and bad and bad[0] == 10 and bad[-1] < 20
    assert time.monotonic() - begun_s < 3


@pytest.mark.parametrize("kind", [k for k in KINDS if "wrap" not in k])
def test_any_damage_ends_in_frames_or_one_line(tmp_path, kind):
    name, times, how = KINDS[kind]
    path = write_video(tmp_path / name, times, **how)
    whole, rng, usable = path.read_bytes(), np.random.default_rng(16), 0
    for n in range(20):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), rng.integers(1, 6)):
            data[at] = rng.integers(256)
        path.write_bytes(data[: rng.integers(len(data) // 4, len(data))] if n % 2 else data)  # MP4 has its index last
        try:
            video = opened(path)
            frames = read_stamped(video)
        except EgostreamError as error:
            assert "\n" not in str(error) and name in str(error)
            continue
        assert (np.diff([t for t, _ in frames]) > 0).all() and len(frames) < 3 * len(times) + 10
        assert video.count >= 0 and "\n" not in video.ending()
        usable += sum(not isinstance(data, str) for _, data in frames)
        video.close()
    assert usable
