"""Recorded while it runs, and run once more: the same poses, to the bit."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from conftest import receive_all
from made_recordings import write_recording

from egostream.publish.message import PoseMessage
from egostream.record.reader import RecordedMessage, RecordingReader
from egostream.record.recorder import Recorder
from egostream.record.settings import RecordSettings
from egostream.terminal.replay import check, replay_config


def poses_in(path: Path) -> list[PoseMessage]:
    reader = RecordingReader(path)
    entries = [one.message for one in reader.entries() if isinstance(one, RecordedMessage)]
    assert not reader.damage
    return [message for message in entries if isinstance(message, PoseMessage)]


def test_a_run_is_recorded_from_its_first_pose_and_played_again(pipeline, tmp_path, capsys):
    whole, part = tmp_path / "whole.mcap", tmp_path / "part.mcap"
    run = pipeline(fps=20, record=str(whole))
    with run.subscribe(every=True) as poses:
        run.wait_first(poses)
        recorder = Recorder(RecordSettings(part, run.endpoint, run.control, seconds=1.0))
        thread = threading.Thread(target=recorder.run, args=(lambda: run.process.poll() is not None,))
        thread.start()
        thread.join(60)
    run.process.terminate()
    assert run.wait() == 0, run.output()
    counted = re.search(r"^(\d+) poses, ", run.output(), re.MULTILINE)
    recorded = poses_in(whole)
    assert len(recorded) == int(counted[1]) > 3, run.output()  # every pose that was published
    assert "could not be kept" not in run.output() and not recorded[0].continues
    assert not poses_in(part)[0].continues and {pose.seq for pose in poses_in(part)} < {pose.seq for pose in recorded}

    assert check(whole, replay_config(whole, [], {})) and check(part, replay_config(part, [], {}))
    assert "could not be checked" not in capsys.readouterr().out

    settings = replay_config(part, [], {"pace": "every-frame"})
    again = pipeline(
        **{
            key: getattr(settings, key)
            for key in ("source", "pace", "filter", "motion", "precision", "backend", "temporal")
        }
    )
    with again.subscribe(every=True) as poses:
        received = receive_all(again, poses)
    assert again.wait() == 0, again.output()
    by_frame = {pose.seq: pose.message for pose in received}
    for number, pose in enumerate(poses_in(part)):
        assert by_frame[number].joints == pose.joints and by_frame[number].keypoints == pose.keypoints


@pytest.mark.skipif(shutil.which("rerun") is None, reason="rerun is not installed (pip install rerun-sdk, 700 MB)")
def test_rerun_finds_pictures_and_points(tmp_path):
    write_recording(tmp_path / "made.mcap")
    for command in (["mcap", "convert", "made.mcap", "-o", "made.rrd"], ["rrd", "print", "made.rrd"]):
        done = subprocess.run(["rerun", *command], cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
    for wanted in ("EncodedImage:blob", "Points3D:positions", "Pinhole:image_from_camera"):
        assert wanted in done.stdout
