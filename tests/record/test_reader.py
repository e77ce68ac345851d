"""Recordings read back: whole, cut off, with flipped bits, and files that are none."""

from __future__ import annotations

import numpy as np
import pytest
from made_recordings import made_picture, write_recording
from mcap.writer import Writer

from egostream.calibration.file import calibration_of, canonical_calibration
from egostream.errors import EgostreamError
from egostream.record.reader import RecordedFrame, RecordedMessage, RecordingReader


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("recording") / "made.mcap"
    return path, write_recording(path, count=20, streams=("left", "right"))


def read(path, stream=None):
    """(poses, frames, reader) of a file."""
    reader = RecordingReader(path)
    entries = list(reader.entries(stream))
    poses = [one.message for one in entries if isinstance(one, RecordedMessage)]
    return poses, [one for one in entries if isinstance(one, RecordedFrame)], reader


def test_what_was_written_is_read(recording):
    poses, frames, reader = read(recording[0])
    assert poses == recording[1] and not reader.damage
    assert all(frame.picture == made_picture(frame.record.seq).data for frame in frames)
    assert [(frame.stream, frame.record.seq) for frame in frames] == [(pose.stream, pose.seq) for pose in poses]
    assert [frame.record.motions for frame in frames] == [pose.motions for pose in poses]
    assert reader.ending == {"poses": "40", "pictures": "40", "reason": "it was stopped"}
    about = reader.about.stream("right")
    assert calibration_of(about.calibration, "x") == canonical_calibration()
    assert about.settings()["source"] == "sample" and reader.about.weights == "w" * 64


def test_one_stream_is_read_alone(recording):
    poses, frames, reader = read(recording[0], "right")
    assert {pose.stream for pose in poses} == {"right"} and len(poses) == len(frames) == 20
    with pytest.raises(EgostreamError, match="no stream 'middle'.*left, right"):
        reader.about.stream("middle")


def test_a_file_that_is_cut_off_is_read_up_to_there(recording, tmp_path):
    data, path, lengths = recording[0].read_bytes(), tmp_path / "cut.mcap", []
    for size in np.linspace(0, len(data) - 1, 60).astype(int):
        path.write_bytes(data[:size])
        try:
            poses, frames, reader = read(path)
        except EgostreamError as error:
            assert "no MCAP" in str(error) or "damaged" in str(error)
            continue
        assert reader.damage and poses == recording[1][: len(poses)]
        assert all(frame.picture == made_picture(frame.record.seq).data for frame in frames)
        lengths.append(len(poses))
    assert lengths == sorted(lengths) and {0, 40} < set(lengths)


def test_flipped_bits_are_seen_and_spoil_nothing_else(recording, tmp_path):
    data, path, rng = recording[0].read_bytes(), tmp_path / "flipped.mcap", np.random.default_rng(0)
    known, seen = {(pose.stream, pose.seq): pose for pose in recording[1]}, 0
    for _ in range(150):
        flipped = bytearray(data)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            flipped[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        try:
            poses, frames, reader = read(path)
        except EgostreamError as error:
            assert "\n" not in str(error)
            seen += 1
            continue
        assert all(known[pose.stream, pose.seq] == pose for pose in poses)
        assert all(frame.picture == made_picture(frame.record.seq).data for frame in frames)
        assert len(poses) == 40 or reader.damage
        seen += bool(reader.damage)
    assert seen > 75  # the rest were in indexes, which a reader from the front needs not


def test_damage_to_the_first_part_leaves_the_others(recording, tmp_path):
    data, path = bytearray(recording[0].read_bytes()), tmp_path / "flipped.mcap"
    data[data.index(made_picture(0).data) + 100] ^= 1
    path.write_bytes(data)
    poses, _, reader = read(path)
    assert poses == recording[1][10:] and "damaged" in reader.damage  # five frames of two streams are a chunk


def test_other_files_are_refused_in_a_line(tmp_path):
    text, other = tmp_path / "text.mcap", tmp_path / "other.mcap"
    text.write_text("not an MCAP")
    with pytest.raises(EgostreamError, match="text.mcap is no MCAP file"):
        RecordingReader(text)
    with pytest.raises(EgostreamError, match="cannot be read"):
        RecordingReader(tmp_path / "none.mcap")
    writer = Writer(str(other))
    writer.start()
    writer.register_channel("/a", "json", 0)
    writer.finish()
    with pytest.raises(EgostreamError, match="of something else"):
        RecordingReader(other)
