"""From a source's text to its camera."""

from __future__ import annotations

import base64
import contextlib
import http.server
import inspect
import os
import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest
from cameras import open_camera

from egostream.capture import sources
from egostream.capture.camera import Camera
from egostream.capture.device import DeviceCamera
from egostream.capture.recording import RecordingCamera
from egostream.capture.sources import SOURCE_KINDS, What, check_source, choose_camera, clip_path, is_live, what_is
from egostream.capture.url_stream import NetworkCamera
from egostream.capture.web import LOOK_S, look_at
from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.files import asset
from egostream.supervise.prepare import drops_frames

SOURCES = [
    ("0", DeviceCamera), ("12", DeviceCamera), ("/dev/video3", DeviceCamera), ("/dev/v4l/by-id/usb-x", DeviceCamera),
    ("rtsp://host/x", NetworkCamera), ("rtsps://host/x", NetworkCamera), ("http://host/x.mjpg", NetworkCamera),
    ("https://host/x", NetworkCamera), ("udp://@:5000", NetworkCamera), ("tcp://host:1", NetworkCamera),
    ("rtmp://host/x", NetworkCamera), ("sample", RecordingCamera), (".", RecordingCamera),
]  # fmt: skip


@pytest.mark.parametrize(("source", "expected"), SOURCES)
def test_a_source_names_its_camera(source, expected):
    camera = choose_camera(RunConfig(source=source), 7, 2, print)
    assert type(camera) is expected and (camera.seq, camera.segment, camera.say) == (7, 2, print)
    assert camera.is_live is is_live(source) is expected.is_live


@pytest.mark.parametrize(("source", "expected"), SOURCES)
def test_every_camera_keeps_the_contract(source, expected):
    camera = choose_camera(RunConfig(source=source), 0, 0, print)
    for name, _ in inspect.getmembers(Camera, inspect.isfunction):
        if not name.startswith("_"):
            assert inspect.signature(getattr(expected, name)) == inspect.signature(getattr(Camera, name)), name
    for name in ("seq", "segment", "say", "is_live", "is_paced"):
        assert hasattr(camera, name)


def test_no_camera_is_made_to_know_whether_it_is_live(monkeypatch):
    def refuse(*_):
        raise AssertionError("a camera was made")

    for camera in (DeviceCamera, NetworkCamera, RecordingCamera):
        monkeypatch.setattr(camera, "__init__", refuse)
    assert [is_live(source) for source in ("3", "rtsp://host/x", "sample", "no/such/file.mp4")] == [
        True,
        True,
        False,
        False,
    ]
    assert drops_frames(RunConfig(source="rtsp://host/x", pace="every-frame"))
    assert not drops_frames(RunConfig(source="no/such/file.mp4", pace="every-frame"))


def test_a_new_kind_of_source_is_one_line(monkeypatch):
    made = []

    def make(config, seq, segment, say):
        made.append((config.source, seq, segment, say))
        return made

    kind = sources.SourceKind(lambda source: source.startswith("gige:"), make, True)
    monkeypatch.setattr(sources, "SOURCE_KINDS", (kind, *SOURCE_KINDS))
    check_source("gige:4")
    assert is_live("gige:4") and choose_camera(RunConfig(source="gige:4"), 1, 2, print) is made
    assert made == [("gige:4", 1, 2, print)]


def test_a_source_that_is_nothing_is_refused(tmp_path):
    for source in ("0", "/dev/video9", "rtsp://host/x", "sample", str(tmp_path)):
        check_source(source)
    with pytest.raises(EgostreamError, match="no source 'nowhere.mp4'.*egostream cameras"):
        check_source("nowhere.mp4")
    assert clip_path("sample") == asset("sample", "sample.avi") and str(clip_path("nowhere.mp4")) == "nowhere.mp4"


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
        open_camera(tmp_path / "x.mp4")
    assert "x.mp4" in str(caught.value)


def test_missing_devices_name_the_next_command():
    for source in ("97", "/dev/v4l/by-id/usb-nothing"):
        with pytest.raises(EgostreamError, match=rf"no camera {source}.*egostream cameras"):
            open_camera(source, width=640, height=480)


# -- what is decided by looking ----------------------------------------------------------------------------------------

SESSION = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=%s 5004 RTP/AVP 96\r\n"


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A working folder with files of odd names; the machine has /dev/video3 alone."""
    here = tmp_path / "work"
    for folder in ("0", "12", "http:/host", "sample", "clips", "rtsp:"):
        (here / folder).mkdir(parents=True)
    for file in ("3", "http:/host/x.mp4", "clips/a b.mp4", "http:clip.mp4", "C:\\clips\\a.mp4", "live.sdp.mp4", "²"):
        (here / file).write_bytes(b"content")
    (here / "session.txt").write_text(SESSION % "video")
    (here / "sound.sdp").write_text(SESSION % "audio")
    (here / "camera").symlink_to("/dev/null")  # a character device, wherever the link lies
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(here))
    monkeypatch.setattr(sources, "has_device", lambda index: index == "3")
    return here


CASES = [
    ("0", What.RECORDING), ("./0", What.RECORDING), ("12", What.RECORDING),  # folders; there are no such cameras
    ("3", What.DEVICE), ("./3", What.RECORDING),  # a file is called so as well
    ("7", What.DEVICE), ("007", What.DEVICE), ("²", What.RECORDING), ("-1", What.RECORDING), ("1.5", What.RECORDING),
    ("sample", What.RECORDING), ("./sample", What.RECORDING), ("clips", What.RECORDING),
    ("camera", What.DEVICE), ("/dev/null", What.DEVICE), ("/dev/video97", What.DEVICE), ("/dev/v4l/x", What.DEVICE),
    ("/dev/shm", What.RECORDING),  # a folder, where it is
    ("clips/a b.mp4", What.RECORDING), ("~/clips/a b.mp4", What.RECORDING), ("{here}/clips/a b.mp4", What.RECORDING),
    ("file://{here}/clips/a%20b.mp4", What.RECORDING), ("FILE://localhost{here}/clips/a%20b.mp4", What.RECORDING),
    ("file://{here}/none.mp4", What.RECORDING), ("file:///dev/null", What.DEVICE),
    ("http://host/x.mp4", What.RECORDING), ("http:/host/x.mp4", What.RECORDING), ("http:clip.mp4", What.RECORDING),
    ("rtsp:", What.RECORDING), ("C:\\clips\\a.mp4", What.RECORDING), ("D:\\none.mp4", What.RECORDING),
    ("C://none.mp4", What.RECORDING), ("nowhere.mp4", What.RECORDING), ("ftp://host/x.mp4", What.RECORDING),
    ("rtsp://host/x", What.STREAM), ("RTSP://host/x", What.STREAM), ("Rtsps://host/x", What.STREAM),
    ("UDP://@:5000", What.STREAM), ("rtp://host:1", What.STREAM), ("SRT://host:1", What.STREAM),
    ("tcp://host:1", What.STREAM), ("rtmps://host/x", What.STREAM), ("rtsp://host/clip.mp4", What.STREAM),
    ("session.txt", What.STREAM), ("file://{here}/session.txt", What.STREAM), ("sound.sdp", What.RECORDING),
    ("live.sdp.mp4", What.RECORDING), ("x" * 5000, What.RECORDING), ("rtsp://host/" + "x" * 5000, What.STREAM),
    ("a\0b", What.RECORDING), ("", What.RECORDING),
]  # fmt: skip


@pytest.mark.skipif(os.name != "posix", reason="its paths are POSIX ones")
@pytest.mark.parametrize(("source", "expected"), CASES, ids=[repr(source[:30]) for source, _ in CASES])
def test_what_a_source_is(place, source, expected):
    source = source.format(here=place)
    if source.startswith("/dev/shm") and not Path(source).is_dir():
        pytest.skip("no /dev/shm here")
    assert what_is(source) is expected
    assert is_live(source) is (expected is not What.RECORDING)


def test_a_regular_file_below_dev_is_a_recording(tmp_path, monkeypatch):
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("no /dev/shm here")
    path = Path(f"/dev/shm/egostream-test-{os.getpid()}.avi")
    path.write_bytes(b"content")
    try:
        assert what_is(str(path)) is What.RECORDING
    finally:
        path.unlink()


def test_paths_of_urls_and_homes_are_resolved(place):
    for source in ("file://{here}/clips/a%20b.mp4", "~/clips/a b.mp4", "clips/a b.mp4", "./clips/../clips/a b.mp4"):
        assert clip_path(source.format(here=place)).resolve() == place / "clips" / "a b.mp4"
        check_source(source.format(here=place))


class Answers(http.server.BaseHTTPRequestHandler):
    """A web server with all that may lie behind a URL."""

    protocol_version = "HTTP/1.1"
    clip = asset("sample", "sample.avi").read_bytes()

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/late":
            time.sleep(LOOK_S + 2)
        if path == "/missing" or (path == "/locked.avi" and not self.is_known()):
            return self.answer(404 if path == "/missing" else 401, b"no", {"Content-Length": "2"})
        if path == "/moved.avi":
            return self.answer(302, b"", {"Location": "/clip.avi", "Content-Length": "0"})
        if path in ("/endless", "/camera.mjpg"):
            kind = "multipart/x-mixed-replace; boundary=x" if path == "/camera.mjpg" else "video/mp2t"
            return self.answer(200, b"G" * 1880, {"Content-Type": kind, "Connection": "close"})
        if path == "/parts":
            return self.answer(200, b"--x", {"Content-Type": "multipart/x-mixed-replace", "Content-Length": "99999"})
        if path == "/list":
            return self.answer(200, b"#EXTM3U\n#EXT-X-VERSION:3\n", {"Content-Length": "26"})
        return self.answer(200, self.clip, {"Content-Length": str(len(self.clip))})

    def is_known(self) -> bool:
        return self.headers["Authorization"] == "Basic " + base64.b64encode(b"me:p@ss").decode()

    def answer(self, code, body, headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def web():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("url", "expected", "note"),
    [
        ("http://{web}/clip.avi", What.RECORDING, ""),
        ("HTTP://{web}/video.mjpg?really=a-file", What.RECORDING, ""),
        ("http://{web}/moved.avi", What.RECORDING, ""),
        ("http://me:p%40ss@{web}/locked.avi", What.RECORDING, ""),
        ("http://me:p@ss@{web}/locked.avi", What.RECORDING, ""),
        (
            "http://me:wrong@{web}/locked.avi",
            What.STREAM,
            "http://***@{web}/locked.avi could not be looked at (HTTP 401",
        ),
        ("http://{web}/camera.mjpg", What.STREAM, ""),
        ("http://{web}/endless", What.STREAM, ""),
        ("http://{web}/parts", What.STREAM, ""),
        ("http://{web}/list", What.STREAM, ""),
        ("http://{web}/missing", What.STREAM, "could not be looked at (HTTP 404"),
        ("http://{web}/late", What.STREAM, "did not answer within 2 s: taken as a live stream"),
        ("http://127.0.0.1:9/clip.mp4", What.STREAM, "could not be looked at (Connection refused)"),
        ("http://no.such.host.invalid/clip.mp4", What.STREAM, "taken as a live stream"),
        ("http://[broken/clip.mp4", What.STREAM, "could not be looked at"),
    ],
)
def test_what_a_web_address_is(web, url, expected, note):
    url, notes, start = url.format(web=web), [], time.monotonic()
    look_at.cache_clear()
    assert what_is(url) is expected
    assert time.monotonic() - start < LOOK_S + 1
    assert is_live(url, notes.append) is (expected is What.STREAM)
    assert note.format(web=web) in "".join(notes) and bool(notes) is bool(note)
    assert "p@ss" not in "".join(notes) and "wrong" not in "".join(notes)


def test_https_is_looked_at_and_fetched(tmp_path):
    """With a certificate that the camera made itself."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=camera -keyout {key} -out {certificate}"
    try:
        subprocess.run(command.split(), check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no openssl to make a certificate with")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"https://127.0.0.1:{server.server_address[1]}"
    assert what_is(f"{url}/clip.avi") is What.RECORDING and what_is(f"{url}/camera.mjpg") is What.STREAM
    source = open_camera(f"{url}/clip.avi", pace="max-rate")
    assert source.read().is_encoded
    source.close()
    server.shutdown()
    server.server_close()


def test_a_server_is_not_asked_again_by_a_camera_whose_kind_is_known(web, monkeypatch):
    monkeypatch.setattr(sources, "look_at", lambda url: pytest.fail("it was asked"))
    url = f"http://{web}/clip.avi"
    for known, kind in ((True, NetworkCamera), (False, RecordingCamera)):
        assert type(choose_camera(RunConfig(source=url), 0, 0, print, known)) is kind


def test_a_recording_that_cannot_be_fetched_is_an_error_in_a_line(web, monkeypatch):
    recording = sources.recording_of(RunConfig(source=f"http://me:secret@{web}/missing"))
    with pytest.raises(EgostreamError, match=rf"http://\*\*\*@{web}/missing cannot be fetched: HTTP 404"):
        recording.open()


def test_a_recording_over_http_plays_at_its_own_rate_and_ends(pipeline, web):
    """It was read as fast as it came, lost, and opened again for ever."""
    run = pipeline(source=f"http://{web}/clip.avi", assume_canonical=True, pace="every-frame")
    with run.subscribe(every=True) as poses:
        seqs = [run.wait_first(poses).seq]
        stamps = []
        while (pose := poses.newest(1.0)) is not None:
            seqs.append(pose.seq)
            stamps.append(pose.t_capture_ns)
        assert run.wait() == 0
    assert seqs[-1] == 89 and seqs == sorted(seqs)
    assert abs((stamps[-1] - stamps[0]) / (seqs[-1] - seqs[1]) - 1e9 / 30) < 1e6
    assert "lost" not in run.output() and "90 poses" in run.output()
