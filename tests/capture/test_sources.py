"""From a source's text to its camera."""

from __future__ import annotations

import inspect

import pytest
from cameras import open_camera

from egostream.capture import sources
from egostream.capture.camera import Camera
from egostream.capture.device import DeviceCamera
from egostream.capture.recording import RecordingCamera
from egostream.capture.sources import SOURCE_KINDS, check_source, choose_camera, clip_path, is_live
from egostream.capture.url_stream import NetworkCamera
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
