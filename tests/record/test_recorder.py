"""The recorder beside a run's sockets: real ones, over which this test sends poses and hands out pictures."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from made_recordings import FRAME_NS, about, made_picture
from processes import wait_for

from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.handover.companion import Companion
from egostream.handover.picture_ring import PictureRing
from egostream.publish.message import (
    CameraStatus,
    EngineStatus,
    PoseMessage,
    SkeletonStatus,
    StatusMessage,
    WeightsStatus,
    clock_offset_ns,
)
from egostream.publish.publisher import Publisher
from egostream.record import companion, recorder
from egostream.record.reader import RecordedFrame, RecordingReader
from egostream.record.recorder import Recorder
from egostream.record.settings import RecordSettings
from egostream.supervise.control import ControlServer, picture_answer
from egostream.types import Pose

STATUS = {
    "skeleton": SkeletonStatus(), "poses": 0, "fps": 0.0, "latency_ms": {}, "dropped_frames": 0, "window_resets": 0,
    "restarts": {},
    "weights": WeightsStatus(
        id="w" * 64, trained=True, variant="", temporal="causal", window=32, step_ms=66.7, description=""
    ),
    "engine": EngineStatus(backend="openvino", version="1", device="CPU", precision="int8"),
    "camera": CameraStatus(
        state="streaming", source="", mode="", fps=30, bad_frames=0, note="", calibration="", size=(1, 1)
    ),
}  # fmt: skip


class Run:
    """What a recorder sees of a run: its poses, its statuses and its control socket."""

    def __init__(self, folder: Path):
        self.endpoint, self.control = f"ipc://{folder}/poses", f"ipc://{folder}/control"
        self.publisher = Publisher(RunConfig(publish=self.endpoint), "w" * 64)
        self.ring, self.asked, self.seq, self.dropped = PictureRing(), [], 0, 0
        self.continues = False
        self.server = ControlServer(self.control, self.answer)
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        while not self.is_over.is_set():
            self.server.poll(0.02)

    def answer(self, request: dict) -> dict:
        self.asked.append(request["cmd"])
        if request["cmd"] == "pictures":
            return picture_answer(self.ring, request)
        if request["cmd"] == "describe":
            return {"ok": True, "version": "1", "calibration": about().calibration, "config": about().config}
        if request["cmd"] == "reset":
            self.continues = False
        return {"ok": request["cmd"] in ("status", "ping", "reset"), "streams": ["0"]}

    def status(self) -> None:
        message = StatusMessage(
            stream="0", t_publish_ns=time.monotonic_ns(), clock_offset_ns=clock_offset_ns(), **STATUS
        )
        self.publisher.publish_status(message)

    def pose(self, has_picture: bool = True, is_lost: bool = False) -> None:
        """A frame, its picture, and its pose, unless that is lost on the way."""
        t_ns, picture = self.seq * FRAME_NS + 10**9, made_picture(self.seq)
        if has_picture and self.ring.is_wanted(time.monotonic_ns()):
            self.ring.write(self.seq, 0, t_ns, "jpeg", np.frombuffer(picture.data, np.uint8))
        if not is_lost:
            arrays = np.zeros((15, 3), np.float32), np.zeros((15, 2)), np.zeros(15)
            pose = Pose(self.seq, t_ns, *arrays, {}, t_ns, self.continues, (self.seq,))
            self.publisher.publish_pose("0", pose, self.dropped)
            self.continues = True
        self.seq += 1

    def close(self) -> None:
        self.is_over.set()
        self.thread.join()
        self.server.close()
        self.publisher.close()
        self.ring.close()


@pytest.fixture
def run(tmp_path):
    one = Run(tmp_path)
    yield one
    if not one.is_over.is_set():
        one.close()


class Recording:
    """A recorder in a thread: what it returned, or raised."""

    def __init__(self, run: Run, path: Path, **settings):
        self.path, self.result, self.is_told = path, None, False
        self.settings = RecordSettings(path, run.endpoint, run.control, **settings)
        self.thread = threading.Thread(target=self.record, daemon=True)
        self.thread.start()

    def record(self) -> None:
        try:
            self.result = Recorder(self.settings).run(lambda: self.is_told)
        except Exception as error:
            self.result = error

    def end(self):
        self.is_told = True
        self.thread.join(30)
        return self.result

    def begin(self, run: Run) -> None:
        """Until it has heard the run and asks for pictures."""
        assert wait_for(lambda: run.status() or "pictures" in run.asked or "reset" in run.asked, 30)
        if self.settings.asks_reset:
            assert wait_for(lambda: "reset" in run.asked, 30)


def read(path: Path):
    """(seqs of poses, seqs of pictures, what was noted at the end)."""
    reader = RecordingReader(path)
    entries = list(reader.entries())
    poses = [
        one.message.seq
        for one in entries
        if not isinstance(one, RecordedFrame) and isinstance(one.message, PoseMessage)
    ]
    return poses, [one.record.seq for one in entries if isinstance(one, RecordedFrame)], reader.ending


def test_every_pose_from_a_fresh_start_on_is_kept_with_its_picture(run, tmp_path):
    recording = Recording(run, tmp_path / "a.mcap")
    run.pose()  # nobody listens yet
    recording.begin(run)
    first = run.seq
    for _ in range(30):
        run.pose()
    assert wait_for(lambda: "pictures" in run.asked[-1:])
    time.sleep(0.2)  # what was sent last is on its way
    recorded = recording.end()
    assert (recorded.poses, recorded.pictures, recorded.lost_pictures, recorded.lost_poses) == (30, 30, 0, 0)
    poses, pictures, ending = read(recording.path)
    assert poses == pictures == list(range(first, first + 30))
    assert ending["lost_pictures"] == "0" and ending["reason"] == "it was stopped"


def test_what_could_not_be_kept_is_counted_and_said(run, tmp_path):
    recording = Recording(run, tmp_path / "a.mcap")
    recording.begin(run)
    first = run.seq
    for n in range(12):
        run.dropped += n == 6
        run.seq += n == 6  # a frame that was dropped before the network is no loss
        run.pose(has_picture=n != 3, is_lost=n == 8)
    time.sleep(0.2)
    recorded = recording.end()
    assert (recorded.poses, recorded.pictures, recorded.lost_pictures, recorded.lost_poses) == (11, 10, 1, 1)
    assert "1 poses and 1 pictures could not be kept" in recorded.text()
    poses, pictures, ending = read(recording.path)
    assert first + 3 in poses and first + 3 not in pictures and ending["lost_poses"] == ending["lost_pictures"] == "1"


def test_without_pictures_and_with_the_past_the_run_is_left_alone(run, tmp_path):
    recording = Recording(run, tmp_path / "a.mcap", has_images=False, asks_reset=False)
    assert wait_for(lambda: run.status() or recording.path.exists(), 30)
    run.continues = True
    for _ in range(5):
        run.pose()
    time.sleep(0.2)
    assert recording.end().poses == 5 and not {"pictures", "reset"} & set(run.asked)
    assert read(recording.path)[:2] == (list(range(5)), [])


def test_a_run_that_goes_ends_the_recording_whole(run, tmp_path, monkeypatch):
    monkeypatch.setattr(recorder, "UNANSWERED", 1)
    recording = Recording(run, tmp_path / "a.mcap")
    recording.begin(run)
    for _ in range(5):
        run.pose()
    time.sleep(0.2)
    run.close()
    recording.thread.join(30)
    assert recording.result.poses == 5 and "the run is gone" in recording.result.reason
    assert read(recording.path)[0] == list(range(run.seq - 5, run.seq))


def test_numbers_that_begin_anew_are_another_run(run, tmp_path):
    recording = Recording(run, tmp_path / "a.mcap")
    recording.begin(run)
    for run.seq in (7, 8, 0, 1):
        run.pose()
    recording.thread.join(30)
    assert recording.result.poses == 2 and recording.result.reason == "the run was started again"


def test_nothing_recorded_leaves_no_file(run, tmp_path):
    recording = Recording(run, tmp_path / "a.mcap")
    recording.begin(run)
    assert "nothing was recorded" in str(recording.end()) and not recording.path.exists()


def test_no_run_and_places_that_cannot_be_written_are_said_at_once(tmp_path, monkeypatch):
    there, nobody = tmp_path / "there.mcap", f"ipc://{tmp_path}/nobody"
    there.write_text("mine")
    for path, said in (
        (there, "exists"),
        (tmp_path / "no" / "a.mcap", "no folder"),
        (tmp_path / "a.mcap", "no answer"),
    ):
        with pytest.raises(EgostreamError, match=said):
            Recorder(RecordSettings(path, nobody, nobody))
    assert there.read_text() == "mine" and not (tmp_path / "a.mcap").exists()
    monkeypatch.setattr("egostream.record.mcap_library.MODULES", ("mcap", "no_such_library"))
    with pytest.raises(EgostreamError, match=r"no_such_library.*pip install 'egostream\[record\]'"):
        Recorder(RecordSettings(tmp_path / "a.mcap", nobody, nobody))


def test_a_recorder_that_died_does_not_go_on_with_its_file(tmp_path):
    from egostream.handover.board import CompanionBoard

    board = CompanionBoard()
    board["companion_restarts"] = 1
    with pytest.raises(EgostreamError, match="a.mcap ends there"):
        companion.run(RecordSettings(tmp_path / "a.mcap", "", ""), Companion(board))
    board.close()
