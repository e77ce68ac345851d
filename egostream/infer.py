"""Process 2: ring -> network over the causal window -> publisher."""

from __future__ import annotations

import time

from egostream.board import Board, CameraState
from egostream.config import without_password
from egostream.engine import read_manifest
from egostream.message import (
    STATUS_PERIOD_S,
    CameraStatus,
    EngineStatus,
    SkeletonStatus,
    StatusMessage,
    WeightsStatus,
)
from egostream.pose import PoseEstimator, load_estimator
from egostream.process import Worker
from egostream.publish import Publisher, clock_offset_ns
from egostream.setup import RunSetup
from egostream.stats import StreamStats
from egostream.truth import ClipError

IDLE_S = 0.1  # how long to wait for a frame before looking at the clock and the board


def run(setup: RunSetup, worker: Worker) -> None:
    """The inference process: take the newest frame, estimate, publish; status once a second and on change."""
    publisher = Publisher(setup.config, setup.weights.id)
    board = worker.board
    stats = StreamStats(*(int(board[f"infer_{key}"]) for key in ("poses", "dropped", "next_seq")))
    estimator = load_estimator(setup)
    reporter = StatusReporter(setup, worker.board, publisher, stats, estimator)
    board["infer_ready"] = 1
    clip_error = ClipError(setup.truth) if setup.truth else None
    resets = int(board["reset"])
    while not worker.should_stop():
        reporter.tick()
        if resets != (resets := int(board["reset"])):
            estimator.reset()
        frame = worker.ring.read_newest(worker.ready, worker.taken, IDLE_S)
        if frame is None:
            continue
        stats.arrived(frame.seq)
        pose = estimator.estimate(frame)
        message = publisher.publish_pose(pose, stats.dropped_frames)
        stats.published(message.t_publish_ns, sum(message.stages_ns.values()), float(pose.confidence.mean()))
        if clip_error:
            board["infer_error_mm"] = clip_error.add(frame.seq, pose.joints)
            board["infer_mpjpe_mm"], board["infer_truth_frames"] = clip_error.mpjpe_mm, clip_error.frames_met
        board["infer_poses"], board["infer_dropped"], board["infer_next_seq"] = stats.poses, stats.dropped_frames, stats.next_seq
    publisher.close()


class StatusReporter:
    """Publishes the status message every second and whenever the camera's state changes."""

    def __init__(self, setup: RunSetup, board: Board, publisher: Publisher, stats: StreamStats, estimator: PoseEstimator):
        self.setup, self.board, self.publisher, self.stats, self.estimator = setup, board, publisher, stats, estimator
        self.manifest = read_manifest(setup.engine)
        self.next_s = 0.0
        self.camera_state = -1

    def tick(self) -> None:
        now = time.monotonic()
        state = int(self.board["capture_state"])
        if now < self.next_s and state == self.camera_state:
            return
        self.next_s, self.camera_state = now + STATUS_PERIOD_S, state
        status = self.status()
        self.publisher.publish_status(status)
        self.board["infer_fps"] = status.fps
        self.board["infer_p50_ms"], self.board["infer_p99_ms"] = status.latency_ms["p50"], status.latency_ms["p99"]
        self.board["infer_confidence"] = self.stats.confidence

    def status(self) -> StatusMessage:
        board, weights, stats = self.board, self.setup.weights, self.stats
        now_ns = time.monotonic_ns()
        return StatusMessage(
            stream=self.setup.config.stream, t_publish_ns=now_ns, clock_offset_ns=clock_offset_ns(), skeleton=SkeletonStatus(),
            weights=WeightsStatus(
                id=weights.id, trained=weights.trained, variant=weights.variant, temporal=weights.temporal,
                window=weights.window, step_ms=weights.step_ms, description=weights.description,
            ),
            engine=EngineStatus(
                backend=self.manifest.backend, version=self.manifest.backend_version,
                device=self.manifest.device, precision=self.manifest.precision,
            ),
            camera=CameraStatus(
                state=CameraState(self.camera_state).name.lower(), source=without_password(self.setup.config.source), mode=board.text("capture_mode"),
                fps=float(board["capture_fps"]), bad_frames=int(board["capture_bad_frames"]), note=board.text("capture_note"),
                calibration=self.setup.camera.name, size=self.setup.camera.size,
            ),
            poses=stats.poses, fps=stats.fps(now_ns), latency_ms=stats.latency_ms(), dropped_frames=stats.dropped_frames,
            window_resets=self.estimator.resets, restarts={p: int(board[f"{p}_restarts"]) for p in ("capture", "infer")},
        )  # fmt: skip
