"""The poses of a streamed run, of the tracker, and in files: the same, to the bit."""

from __future__ import annotations

import csv
import json

import msgspec
import numpy as np
import pytest
from conftest import receive_all
from processes import egostream
from sample_clip import sample_images

from egostream import Tracker
from egostream.skeleton import JOINTS

FRAMES = 40


@pytest.fixture
def clip(tmp_path) -> str:
    """The sample's first frames, as they are."""
    folder = tmp_path / "clip"
    folder.mkdir()
    for number, image in enumerate(sample_images()[:FRAMES]):
        image.tofile(folder / f"{number}.jpg")
    return str(folder)


def test_files_and_tracker_have_the_poses_of_a_streamed_run(pipeline, clip, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pip install pyarrow")
    for _ in range(3):  # on a machine so busy that a process is taken for hung, its restart forgets the past: again
        run = pipeline(source=clip, assume_canonical=True, pace="every-frame")
        with run.subscribe(every=True) as poses:
            received = receive_all(run, poses)
        assert run.wait() == 0, run.output()
        if "restarting" not in run.output():
            break
    assert [pose.seq for pose in received] == list(range(FRAMES))
    streamed = {name: np.stack([getattr(pose, name) for pose in received]) for name in ("joints", "keypoints")}
    streamed["confidence"] = np.stack([pose.confidence for pose in received])
    t_ns = [pose.t_capture_ns - received[0].t_capture_ns for pose in received]

    outs = {suffix: tmp_path / f"poses{suffix}" for suffix in (".parquet", ".csv", ".jsonl", ".npz", ".mcap")}
    flags = [flag for path in outs.values() for flag in ("-o", str(path))]
    done = egostream("annotate", clip, "--assume-canonical", *flags)
    assert done.returncode == 0, done.stderr
    checked = egostream("replay", str(outs[".mcap"]), "--check")  # its pictures give its poses
    assert checked.returncode == 0 and f"{FRAMES} poses are identical" in checked.stdout, checked
    with Tracker(assume_canonical=True) as tracker:
        tracked = list(tracker.recording(clip))
    found = {
        "tracker": (
            [pose.t_capture_ns for pose in tracked],
            *(np.stack([getattr(pose, name) for pose in tracked]) for name in streamed),
        ),
        "parquet": tidy(parquet.read_table(outs[".parquet"]).to_pylist()),
        "csv": tidy(csv.DictReader(outs[".csv"].open())),
        "jsonl": wire([json.loads(line) for line in outs[".jsonl"].open()], received),
        "npz": arrays(np.load(outs[".npz"])),
    }
    for name, (times, *values) in found.items():
        assert list(times) == t_ns, name
        for kind, value in zip(streamed, values):
            differing = np.flatnonzero((value.astype(float) != streamed[kind]).reshape(FRAMES, -1).any(1))
            assert not len(differing), f"{name}: {kind} of frames {differing}; the run said {run.output()}"


def tidy(rows):
    """Times and arrays of rows with a joint each, by nothing but the columns' names."""
    rows = list(rows)
    assert [row["joint"] for row in rows] == list(JOINTS) * FRAMES
    assert [int(row["frame"]) for row in rows] == [n for n in range(FRAMES) for _ in JOINTS]

    def column(name, dtype):
        return np.array([row[name] for row in rows]).astype(dtype).reshape(FRAMES, 15)

    joints = np.stack([column(name, np.float32) for name in "xyz"], -1)
    keypoints = np.stack([column(name, np.float64) for name in "uv"], -1)
    return column("t_ns", np.int64)[:, 0].tolist(), joints, keypoints, column("confidence", np.float32)


def wire(messages, received):
    """Times and arrays of JSON lines, whose keys are those of the wire but for the room, which a run alone guesses."""
    on_the_wire = set(msgspec.to_builtins(received[0].message))
    assert all(set(message) == on_the_wire - {"joints_world", "world"} for message in messages)
    constant = ("v", "stream", "frame", "weights", "dropped_frames")
    assert all(message[name] == getattr(received[0].message, name) for message in messages for name in constant)
    values = ([np.array(message[name]) for message in messages] for name in ("joints", "keypoints", "confidence"))
    return [message["t_capture_ns"] for message in messages], *(np.stack(value) for value in values)


def arrays(file):
    assert file["frame"].tolist() == list(range(FRAMES)) and file["joint_names"].tolist() == list(JOINTS)
    return file["t_ns"], file["joints"], file["keypoints"], file["confidence"]
