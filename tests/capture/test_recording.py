"""Sources: recordings and streams, healthy and broken, real files where they lie beside the checkout."""

from __future__ import annotations

import http.server
import threading
import time

import cv2
import numpy as np
import pytest
from conftest import SHARED

from egostream.capture.camera import CameraLost, Pace
from egostream.capture.clips import ImageFolder, Video
from egostream.capture.device import fourcc_name
from egostream.capture.recording import RecordingCamera
from egostream.capture.sources import choose_camera
from egostream.config import RunConfig
from egostream.errors import EgostreamError, StreamEnded
from egostream.files import asset
from egostream.redact import without_password

SAMPLE = asset("sample", "sample.avi")


def camera(source, say=lambda note: None, **settings):
    made = choose_camera(RunConfig(source=str(source), **settings), 0, 0, say)
    made.open()
    return made


def read_all(source):
    frames = []
    try:
        while True:
            frames.append(source.read())
    except StreamEnded:
        source.close()
        return frames


@pytest.fixture
def folder(tmp_path):
    """Twelve images, each as bright as its number, named so that text order is wrong."""
    for n in range(12):
        cv2.imwrite(str(tmp_path / f"img_{n}.png"), np.full((48, 64, 3), n * 20, np.uint8))
    (tmp_path / "notes.txt").write_text("not an image")
    return tmp_path


def test_folder_is_read_in_natural_order(folder):
    frames = read_all(camera(folder, pace="every-frame", fps=25))
    assert [int(cv2.imdecode(f.data, 1)[0, 0, 0]) // 20 for f in frames] == list(range(12))
    assert [f.seq for f in frames] == list(range(12))
    stamps = np.diff([f.t_capture_ns for f in frames])
    np.testing.assert_allclose(stamps, 40_000_000, atol=1)


def test_live_pace_keeps_the_rate_and_skips_what_is_late(folder):
    source = camera(folder, fps=50)
    start = time.monotonic()
    first = [source.read() for _ in range(5)]
    assert 0.07 < time.monotonic() - start < 0.5
    assert [f.seq for f in first] == [0, 1, 2, 3, 4]
    time.sleep(0.07)  # three frames go by unseen
    late = source.read()
    assert late.seq >= 7
    assert time.monotonic_ns() - late.t_capture_ns < 40_000_000
    np.testing.assert_allclose((late.t_capture_ns - first[0].t_capture_ns) / 20e6, late.seq, atol=1e-6)


def test_a_recording_that_cannot_be_skipped_in_time_plays_slowly(capsys):
    """Sixty frames a second of a codec that takes twenty milliseconds to pass over one."""

    class Slow:
        fps, count, mode = 60.0, 200, "slow"

        def __init__(self):
            self.position = 0

        def skip(self):
            time.sleep(0.02)
            self.position += 1
            return self.position <= self.count

        def read(self):
            return np.zeros(4, np.uint8) if self.skip() else None

        def open(self):
            self.position = 0

    source = RecordingCamera(Slow(), Pace.LIVE, False, 0, 0, print)
    source.open()
    begun, frames = time.monotonic_ns(), [source.read() for _ in range(10)]
    assert [f.seq for f in frames] == sorted({f.seq for f in frames}) and frames[-1].seq < 100  # not one in ten
    assert time.monotonic_ns() - frames[-1].t_capture_ns < 0.2e9  # what is delivered is fresh
    assert (np.diff([f.t_capture_ns for f in frames]) > 0).all() and frames[0].t_capture_ns >= begun


def test_max_rate_stamps_when_frames_are_taken(folder):
    before = time.monotonic_ns()
    frames = read_all(camera(folder, pace="max-rate", fps=1))
    assert time.monotonic_ns() - before < 5e9
    assert all(before <= f.t_capture_ns <= time.monotonic_ns() for f in frames)


def test_a_loop_is_a_new_segment_and_numbers_go_on(folder):
    source = camera(folder, pace="every-frame", fps=25, loop=True)
    frames = [source.read() for _ in range(30)]
    assert [f.seq for f in frames] == list(range(30))
    assert [f.segment for f in frames] == [0] * 12 + [1] * 12 + [2] * 6
    np.testing.assert_allclose(np.diff([f.t_capture_ns for f in frames]), 40_000_000, atol=1)


@pytest.mark.parametrize(
    ("seq", "loop", "expected"), [(5, False, list(range(5, 12))), (12, False, []), (29, True, [29, 30])]
)
def test_a_recording_opened_again_goes_on_where_it_was(folder, seq, loop, expected):
    source = choose_camera(RunConfig(source=str(folder), pace="every-frame", loop=loop), seq, 3, print)
    source.open()
    frames = read_all(source) if not loop else [source.read() for _ in range(2)]
    assert [f.seq for f in frames] == expected and all(f.segment == 3 for f in frames)
    assert [int(cv2.imdecode(f.data, 1)[0, 0, 0]) // 20 for f in frames] == [n % 12 for n in expected]


def test_motion_jpeg_stays_encoded():
    frames = read_all(camera(SAMPLE, pace="every-frame"))
    assert len(frames) == 90 and all(f.is_encoded and f.data[:2].tobytes() == b"\xff\xd8" for f in frames)
    plain = cv2.VideoCapture(str(SAMPLE)).read()[1]
    decoded = cv2.imdecode(frames[0].data, cv2.IMREAD_COLOR)
    assert decoded.shape == (1024, 1280, 3) and np.abs(decoded.astype(int) - plain.astype(int)).mean() < 1.5


def test_other_codecs_come_as_pixels(tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "clip.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 30, (64, 48))
    for n in range(20):
        writer.write(np.full((48, 64, 3), n * 10, np.uint8))
    writer.release()
    frames = read_all(camera(tmp_path / "clip.mp4", pace="every-frame"))
    assert len(frames) == 20 and frames[0].data.shape == (48, 64, 3)
    assert [round(float(f.data.mean()) / 10) for f in frames] == list(range(20))


@pytest.mark.parametrize(
    ("name", "count", "shape"),
    [("gopro_max-heromode.mp4", None, (480, 848, 3)), ("pupil_eye0_001.mp4", 95, (192, 192, 3))],
)
def test_files_of_real_cameras(name, count, shape):
    path = SHARED / "video" / name
    if not path.is_file():
        pytest.skip("no real recordings beside this checkout")
    frames = read_all(camera(path, pace="every-frame"))
    assert frames[0].data.shape == shape and frames[0].data.mean() > 1
    assert count is None or len(frames) == count
    assert len(frames) > 30


def test_a_truncated_video_plays_to_where_it_ends_and_says_so(tmp_path):
    cut = tmp_path / "cut.avi"
    cut.write_bytes(SAMPLE.read_bytes()[: SAMPLE.stat().st_size // 2])
    notes = []
    frames = read_all(camera(cut, notes.append, pace="every-frame"))
    assert 20 < len(frames) < 70
    if frames and cv2.VideoCapture(str(cut)).get(cv2.CAP_PROP_FRAME_COUNT) > len(frames):
        assert "truncated or damaged" in notes[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: (p / "x.mp4").write_bytes(b"no video" * 100), "cannot be read"),
        (lambda p: (p / "x.mp4").write_bytes(b""), "cannot be read"),
        (lambda p: (p / "x.mp4").mkdir(), "holds no images"),
        (lambda p: None, "no source"),
    ],
)
def test_unusable_files_are_named(tmp_path, make, message):
    make(tmp_path)
    with pytest.raises(EgostreamError, match=message) as caught:
        camera(tmp_path / "x.mp4")
    assert "x.mp4" in str(caught.value)


def test_missing_devices_name_the_next_command():
    for source in ("97", "/dev/v4l/by-id/usb-nothing"):
        with pytest.raises(EgostreamError, match=rf"no camera {source}.*egostream cameras"):
            camera(source, width=640, height=480)


def test_an_image_that_vanishes_is_an_empty_frame(folder):
    source = ImageFolder(folder, 30)
    source.open()
    (folder / "img_0.png").unlink()
    assert source.read().size == 0 and source.read().size > 0


def test_video_ending_is_silent_when_whole():
    video = Video(SAMPLE)
    video.open()
    while video.skip():
        pass
    assert video.position == 90 and video.ending() == ""


class MotionJPEGServer:
    """A real HTTP camera: multipart JPEG at about 30 frames a second, until it is told to die."""

    def __init__(self, port=0):
        outer = self
        self.is_alive, self.sent = True, 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                while outer.is_alive:
                    outer.sent += 1
                    jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), outer.sent % 250, np.uint8))[1].tobytes()
                    try:
                        self.wfile.write(
                            b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n"
                            % (len(jpeg), jpeg)
                        )
                    except OSError:
                        return
                    time.sleep(1 / 30)

            def log_message(self, *_):
                pass

        http.server.ThreadingHTTPServer.allow_reuse_address = True
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def kill(self):
        self.is_alive = False
        self.server.shutdown()
        self.server.server_close()


def test_a_network_stream_delivers_the_newest_frame():
    server = MotionJPEGServer()
    source = camera(f"http://127.0.0.1:{server.port}/video.mjpg")
    first = source.read()
    assert first.data.shape == (48, 64, 3)
    time.sleep(0.5)
    second, third = source.read(), source.read()
    assert second.seq - first.seq >= 3  # what was not looked at is skipped and counted
    assert third.seq == second.seq + 1 and third.t_capture_ns > second.t_capture_ns
    source.close()
    server.kill()


def test_a_network_stream_that_dies_is_lost_and_opens_again():
    server = MotionJPEGServer()
    source = camera(f"http://127.0.0.1:{server.port}/video.mjpg")
    last = source.read()
    server.kill()
    start = time.monotonic()
    with pytest.raises(CameraLost):
        while True:
            last = source.read()
    assert time.monotonic() - start < 6
    source.close()
    with pytest.raises(EgostreamError, match="cannot be opened"):
        source.open()
    again = MotionJPEGServer(server.port)
    source.open()
    back = source.read()
    assert back.seq > last.seq and back.segment > last.segment
    source.close()
    again.kill()


def test_a_lost_stream_comes_back_in_a_running_pipeline(pipeline, tmp_path):
    server = MotionJPEGServer()
    calibration = tmp_path / "small.json"
    calibration.write_text(
        '{"schema": 1, "name": "small", "model": "kannala_brandt", "size": [64, 48], "focal": [20, 20], "center": [32, 24], "k": [0, 0, 0, 0]}'
    )
    run = pipeline(source=f"http://127.0.0.1:{server.port}/video.mjpg", calibration=str(calibration))
    with run.subscribe() as poses:
        before = run.wait_first(poses)
        server.kill()
        deadline = time.monotonic() + 15
        while poses.status(1.0).camera.state != "lost" and time.monotonic() < deadline:
            time.sleep(0.05)
        assert poses.status(1.0).camera.state == "lost" and "opening it again" in poses.status(1.0).camera.note
        while poses.newest(0) is not None:
            pass
        again, deadline = MotionJPEGServer(server.port), time.monotonic() + 20
        after = poses.newest(20)
        assert after is not None and after.seq > before.seq
        while "camera is back" not in run.output() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert run.process.poll() is None
    again.kill()
    assert "camera is back" in run.output() and "Traceback" not in run.output()


def test_broken_images_are_skipped_and_counted(pipeline, tmp_path):
    frames = tmp_path / "frames"
    frames.mkdir()
    good = cv2.imencode(".jpg", np.zeros((1024, 1280, 3), np.uint8))[1].tobytes()
    for n in range(6):
        (frames / f"{n}.jpg").write_bytes(b"not a jpeg" if n in (0, 3) else good)
    run = pipeline(source=str(frames), assume_canonical=True, pace="every-frame")
    with run.subscribe(every=True) as poses:
        seqs = [run.wait_first(poses).seq]
        while (pose := poses.newest(1.0)) is not None:
            seqs.append(pose.seq)
        assert run.wait() == 0
    assert seqs == [1, 2, 4, 5]
    assert run.output().count("skipping frames: the image is broken") == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda p: [(p / f"{n}.jpg").write_bytes(b"junk") for n in range(3)],
            "the source has no usable frame: skipping frames: the image is broken",
        ),
        (
            lambda p: cv2.imwrite(str(p / "1.png"), np.zeros((480, 640, 3), np.uint8)),
            "it is 640x480, calibration canonical is for 1280x1024",
        ),
    ],
)
def test_a_source_without_a_usable_frame_ends_in_one_line(pipeline, tmp_path, make, message):
    frames = tmp_path / "frames"
    frames.mkdir()
    make(frames)
    run = pipeline(source=str(frames), assume_canonical=True)
    assert run.wait() == 1
    last = run.output().strip().splitlines()[-1]
    assert last.startswith("egostream: ") and message in last and "Traceback" not in run.output()


def test_small_things():
    assert fourcc_name(cv2.VideoWriter.fourcc(*"MJPG")) == "MJPG" and fourcc_name(-1.0) == "" and fourcc_name(0) == ""
    assert without_password("rtsp://me:secret@host/x") == "rtsp://***@host/x"
    assert without_password("rtsp://me:p@ss@host/x@2") == "rtsp://***@host/x@2"
