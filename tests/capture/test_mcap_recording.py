"""A recording as a camera: its own bytes at its own times, in stretches that continue as the recorded run did."""

from __future__ import annotations

from pathlib import Path

import pytest
from cameras import open_camera, read_all
from made_recordings import FRAME_NS, T0_NS, about, made_picture, made_pose, write_recording

from egostream.capture.clips import Recording
from egostream.capture.mcap_recording import McapRecording
from egostream.capture.source_text import mcap_of
from egostream.capture.sources import check_source, choose_camera, is_live
from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.record.writer import RecordingWriter


@pytest.fixture
def path(tmp_path):
    write_recording(tmp_path / "made.mcap", count=12, streams=("left", "right"))
    return tmp_path / "made.mcap"


def write(path: Path, frames: list[tuple[int, int, int, bool]]) -> None:
    """A recording of frames: (seq, segment, capture time ns, whether it continues)."""
    writer = RecordingWriter(path, [about()])
    for seq, segment, t_ns, continues in frames:
        picture = made_picture(seq)._replace(segment=segment, t_capture_ns=t_ns)
        pose = made_pose(seq)
        pose = type(pose)(**{**{f: getattr(pose, f) for f in pose.__struct_fields__}, "continues": continues})
        writer.add_picture("0", picture, pose)
        writer.add_pose(pose)
    writer.finish({})


def test_a_camera_delivers_the_recorded_bytes_at_their_distances(path):
    frames = read_all(open_camera(path, pace="every-frame"))
    assert [frame.data.tobytes() for frame in frames] == [made_picture(seq).data for seq in range(12)]
    assert [frame.t_capture_ns - frames[0].t_capture_ns for frame in frames] == [n * FRAME_NS for n in range(12)]
    assert [frame.seq for frame in frames] == list(range(12)) and {frame.segment for frame in frames} == {0}


def test_a_stream_is_named_behind_the_file(path):
    assert mcap_of(f"{path}#right") == (path, "right") and mcap_of(str(path)) == (path, "")
    assert mcap_of("sample") is None and mcap_of(f"{path.parent}/none.mcap") is None
    check_source(f"{path}#right")
    assert not is_live(f"{path}#right")
    assert len(read_all(open_camera(f"{path}#right", pace="every-frame"))) == 12
    with pytest.raises(EgostreamError, match="no stream 'middle'.*left, right"):
        open_camera(f"{path}#middle")


def test_time_is_the_recordings_own_and_breaks_are_segments(tmp_path):
    stamps = [0, 33, 70, 100, 133, 50, 80]  # the last two: a capture process that was started again
    marks = [(0, 0, False), (1, 0, True), (4, 0, True), (5, 1, True), (6, 1, False), (7, 2, False), (8, 2, True)]
    write(tmp_path / "a.mcap", [(seq, seg, T0_NS + t * 10**6, go) for t, (seq, seg, go) in zip(stamps, marks)])
    recording = McapRecording(tmp_path / "a.mcap")
    recording.open()
    begins, ends, parts = [], [], []
    while True:
        begins.append(recording.begins_ns() // 10**6)
        ends.append(recording.ends_ns() // 10**6)
        parts.append(recording.next_part())
        if recording.read() is None:
            break
    assert begins == [0, 33, 70, 100, 133, 166, 196, 226] and ends[:7] == begins[1:]
    assert parts == [0, 0, 0, 1, 2, 3, 3, 3]
    assert recording.count == 7 and not recording.ending()


def test_it_loops_skips_and_goes_on_where_it_was(path):
    recording: Recording = McapRecording(path, "left")
    recording.open()
    assert recording.skip() and recording.begins_ns() == FRAME_NS
    camera = choose_camera(RunConfig(source=str(path), pace="every-frame", loop=True), 14, 0, lambda note: None)
    camera.open()
    assert [camera.read().data.tobytes() for _ in range(12)] == [made_picture(n % 12).data for n in range(2, 14)]
    assert camera.segment == 1


def test_a_file_that_is_cut_off_plays_up_to_there_and_says_so(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    recording = McapRecording(path)
    recording.open()
    read = 0
    while recording.read() is not None:
        read += 1
    assert 0 < read < 12 and "made.mcap: " in recording.ending()


def test_without_pictures_there_is_nothing_to_play(tmp_path):
    writer = RecordingWriter(tmp_path / "poses.mcap", [about()])
    writer.add_pose(made_pose(0))
    writer.finish({})
    with pytest.raises(EgostreamError, match="no frame of stream 0 to play: it was recorded without pictures"):
        McapRecording(tmp_path / "poses.mcap").open()
