"""The inference process: rings -> network over the causal windows -> publisher."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from egostream.capture.camera import Pace, choose_camera
from egostream.config import RunConfig, without_password
from egostream.handover.board import CameraState
from egostream.infer.estimator import load_estimator
from egostream.infer.every_frame import PoseEstimator, is_finite
from egostream.infer.on_gpu import GpuEstimator
from egostream.infer.smooth import filter_name
from egostream.infer.trained_step import AheadEstimator
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
from egostream.supervise.prepare import RunSetup
from egostream.supervise.processes import Worker
from egostream.truth import ClipError
from egostream.types import NetworkInput, Pose

IDLE_S = 0.1  # how long to wait for a frame before looking at the clock and the boards


def run(setup: RunSetup, worker: Worker) -> None:
    """Take every stream's newest frame, estimate, publish; status once a second and on change."""
    publisher = Publisher(setup.config, setup.weights.id)
    taker = FrameTaker(worker, setup.config.batch_wait_ms / 1e3)
    hurried = [number for number, stream in enumerate(setup.streams) if drops_frames(stream.config)]
    estimator = load_estimator(setup, worker.say, worker.should_stop, hurried, lambda: taker.has_fresh(hurried))
    feeds = [Feed(setup, number, worker, publisher, estimator) for number in range(len(setup.streams))]
    worker.board["infer_ready"] = 1
    while not worker.should_stop():
        for feed in feeds:
            feed.tick()
        frames = taker.take(IDLE_S, estimator.most_at_once)
        for number, frame in frames.items():
            feeds[number].stats.arrived(frame.seq)
        for number, pose in estimator.estimate_batch(frames):
            feeds[number].publish(pose)
    publisher.close()


def drops_frames(config: RunConfig) -> bool:
    """Whether frames that are not taken in time are lost: of any camera, and of recordings unless every frame is wanted."""
    return config.pace != Pace.EVERY_FRAME or choose_camera(config, 0, 0, lambda note: None).is_live


class FrameTaker:
    """Takes the streams' newest frames, who was served longest ago first.

    wait_s: how long a fresh frame waits for those of other cameras that are about to come.
    """

    def __init__(self, worker: Worker, wait_s: float):
        self.links, self.ready, self.wait_s = worker.links, worker.ready, wait_s
        self.turn = list(range(len(self.links)))
        self.came_ns: dict[int, int] = {}  # when the last frame taken of a stream got ready

    def take(self, idle_s: float, limit: int) -> dict[int, NetworkInput]:
        """Up to ``limit`` frames not taken yet by number of their stream, the oldest first; none after ``idle_s`` without any."""
        frames: dict[int, NetworkInput] = {}
        self.collect(frames, limit, idle_s, lambda: not frames)
        self.collect(frames, limit, self.wait_s, lambda: 0 < len(frames) < limit and self.others_are_due(frames))
        self.turn = [number for number in self.turn if number not in frames] + list(frames)
        return dict(sorted(frames.items(), key=lambda item: item[1].t_capture_ns))

    def has_fresh(self, numbers: Iterable[int]) -> bool:
        """Whether one of these streams has a frame that was not taken yet."""
        return any(not self.links[number].ring.is_consumed() for number in numbers)

    def collect(self, frames: dict[int, NetworkInput], limit: int, seconds: float, needs_more: Callable[[], bool]) -> None:
        """Add fresh frames; wait for others while more are needed."""
        deadline = time.monotonic() + seconds
        self.add_fresh(frames, limit)
        while needs_more() and (left := deadline - time.monotonic()) > 0:
            self.ready.acquire(timeout=left)
            self.add_fresh(frames, limit)

    def add_fresh(self, frames: dict[int, NetworkInput], limit: int) -> None:
        while self.ready.acquire(block=False):
            pass  # wake-ups of frames that newer ones replaced, or that are about to be taken
        for number in self.turn:
            if len(frames) < limit and number not in frames:
                link = self.links[number]
                if (frame := link.ring.read_newest(link.taken)) is not None:
                    frames[number] = frame
                    self.came_ns[number] = frame.t_done_ns - frame.stages_ns["handover"]

    def others_are_due(self, frames: dict) -> bool:
        return any(number not in frames and self.is_due(number) for number in range(len(self.links)))

    def is_due(self, number: int) -> bool:
        """Whether the next frame of a stream is expected about now: a period after its last, or at any time where that is not known."""
        board = self.links[number].board
        if board["capture_state"] != CameraState.STREAMING:
            return False
        if number not in self.came_ns or not board["capture_fps"]:
            return True
        due_ns = self.came_ns[number] + 1e9 / board["capture_fps"]
        return abs(due_ns - time.monotonic_ns()) <= self.wait_s * 1e9


class Feed:
    """One stream's way out: its figures, its error where the truth is known, its poses and status on the publisher."""

    def __init__(
        self, setup: RunSetup, number: int, worker: Worker, publisher: Publisher, estimator: PoseEstimator | AheadEstimator | GpuEstimator
    ):
        self.setup, self.stream, self.publisher = setup, setup.streams[number], publisher
        self.board, self.run_board = worker.links[number].board, worker.run_board
        self.window = estimator.streams[number]
        self.stats = StreamStats(*(int(self.board[f"infer_{key}"]) for key in ("poses", "dropped", "next_seq")))
        self.clip_error = ClipError(self.stream.truth) if self.stream.truth else None
        self.manifest, self.motion = estimator.manifest, estimator.motion
        self.resets_asked = int(self.board["reset"])
        self.resets_before = int(self.board["infer_resets"]) + (self.stats.poses > 0)  # an earlier process's, and its end
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
        board["infer_poses"], board["infer_dropped"], board["infer_next_seq"] = stats.poses, stats.dropped_frames, stats.next_seq

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
            rays=self.window.finish.rays, stature_m=self.window.finish.stature_m,
        )  # fmt: skip
