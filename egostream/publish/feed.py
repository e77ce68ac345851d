"""One stream's way out: its figures, its poses, its status."""

from __future__ import annotations

import time

from egostream.config import filter_name
from egostream.handover.board import CameraState
from egostream.handover.worker import Worker
from egostream.infer.batch import is_finite
from egostream.infer.every_frame import EveryFrameEstimator
from egostream.infer.on_gpu import GpuEstimator
from egostream.infer.trained_step import TrainedStepEstimator
from egostream.publish.figures import StreamStats
from egostream.publish.message import (
    STATUS_PERIOD_S,
    CameraStatus,
    EngineStatus,
    SkeletonStatus,
    StatusMessage,
    WeightsStatus,
)
from egostream.publish.publisher import Publisher, clock_offset_ns
from egostream.redact import without_password
from egostream.run_setup import RunSetup
from egostream.truth import ClipError
from egostream.types import Pose


class Feed:
    """One stream's way out: its figures, its error where the truth is known, its poses and status on the publisher."""

    def __init__(
        self,
        setup: RunSetup,
        number: int,
        worker: Worker,
        publisher: Publisher,
        estimator: EveryFrameEstimator | TrainedStepEstimator | GpuEstimator,
    ):
        self.setup, self.stream, self.publisher = setup, setup.streams[number], publisher
        self.board, self.run_board = worker.links[number].board, worker.run_board
        self.window = estimator.streams[number]
        self.stats = StreamStats(*(int(self.board[f"infer_{key}"]) for key in ("poses", "dropped", "next_seq")))
        self.clip_error = ClipError(self.stream.truth) if self.stream.truth else None
        self.manifest, self.motion = estimator.manifest, estimator.motion
        self.resets_asked = int(self.board["reset"])
        self.resets_before = int(self.board["infer_resets"]) + (
            self.stats.poses > 0
        )  # an earlier process's, and its end
        self.next_s = 0.0
        self.camera_state = -1
        self.say, self.said = worker.say, set()

    def say_once(self, line: str) -> None:
        if line not in self.said:
            self.said.add(line)
            self.say(line)

    def publish(self, pose: Pose) -> None:
        """One that is no pose is not published: its frame counts as dropped with the next that is."""
        board, stats = self.board, self.stats
        if not is_finite(pose.joints):
            self.say_once(
                f"stream {self.stream.config.stream}: the network gave values that are not finite, in {self.manifest.precision}; "
                "such frames are left out. Try --precision fp32, or other weights"
            )
            return
        message = self.publisher.publish_pose(self.stream.config.stream, pose, stats.dropped_frames)
        stats.published(message.t_publish_ns, sum(message.stages_ns.values()), float(pose.confidence.mean()))
        if self.clip_error:
            board["infer_error_mm"] = self.clip_error.add(pose.seq, pose.joints)
            board["infer_mpjpe_mm"], board["infer_truth_frames"] = self.clip_error.mpjpe_mm, self.clip_error.frames_met
        board["infer_poses"], board["infer_dropped"], board["infer_next_seq"] = (
            stats.poses,
            stats.dropped_frames,
            stats.next_seq,
        )

    def tick(self) -> None:
        """Forget the past when asked to; publish status every second and whenever the camera's state changes."""
        if self.resets_asked != (asked := int(self.board["reset"])):
            self.resets_asked = asked
            self.window.reset()
        now = time.monotonic()
        state = int(self.board["capture_state"])
        if now < self.next_s and state == self.camera_state:
            return
        self.next_s, self.camera_state = now + STATUS_PERIOD_S, state
        self.board["infer_resets"] = self.resets_before + self.window.resets
        status = self.status()
        self.publisher.publish_status(status)
        self.board["infer_fps"] = status.fps
        self.board["infer_p50_ms"], self.board["infer_p99_ms"] = status.latency_ms["p50"], status.latency_ms["p99"]
        self.board["infer_confidence"] = self.stats.confidence

    def status(self) -> StatusMessage:
        board, weights, stats = self.board, self.setup.weights, self.stats
        config, camera = self.stream.config, self.stream.camera
        restarts = {"capture": int(board["capture_restarts"]), "infer": int(self.run_board["infer_restarts"])}
        now_ns = time.monotonic_ns()
        return StatusMessage(
            stream=config.stream, t_publish_ns=now_ns, clock_offset_ns=clock_offset_ns(), skeleton=SkeletonStatus(),
            weights=WeightsStatus(
                id=weights.id, trained=weights.trained, variant=weights.variant, temporal=weights.temporal,
                window=weights.window, step_ms=weights.step_ms, description=weights.description,
            ),
            engine=EngineStatus(
                backend=self.manifest.backend, version=self.manifest.backend_version,
                device=self.manifest.device, precision=self.manifest.precision, motion=self.motion,
            ),
            camera=CameraStatus(
                state=CameraState(self.camera_state).name.lower(), source=without_password(config.source), mode=board.text("capture_mode"),
                fps=float(board["capture_fps"]), bad_frames=int(board["capture_bad_frames"]), note=board.text("capture_note"),
                calibration=camera.name, size=camera.size,
            ),
            poses=stats.poses, fps=stats.fps(now_ns), latency_ms=stats.latency_ms(), dropped_frames=stats.dropped_frames,
            window_resets=int(board["infer_resets"]), restarts=restarts, filter=filter_name(config),
            rays=self.window.refiner.rays, stature_m=self.window.refiner.stature_m,
        )  # fmt: skip
