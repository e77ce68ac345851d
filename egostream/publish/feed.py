"""One stream's way out: its figures, its error where the truth is known, its poses and status on the publisher."""

from __future__ import annotations

import time
from typing import Protocol

import numpy as np
from msgspec import UNSET, UnsetType

from egostream.config import filter_name
from egostream.engine.contract import EngineManifest
from egostream.graph.weights import Weights
from egostream.handover.board import CameraState, StreamBoard, bad_frames
from egostream.handover.worker import Worker
from egostream.publish.figures import StreamStats
from egostream.publish.message import (
    STATUS_PERIOD_S,
    CameraStatus,
    EngineStatus,
    HeadStatus,
    Placed,
    SkeletonStatus,
    StatusMessage,
    WeightsStatus,
    clock_offset_ns,
)
from egostream.publish.publisher import Publisher
from egostream.redact import without_password
from egostream.run_setup import RunSetup, StreamSetup
from egostream.truth import ClipError
from egostream.types import Pose


class TrackedStream(Protocol):
    """What a feed asks of whoever estimates a stream's poses."""

    @property
    def resets(self) -> int:
        """How often continuity ended."""

    @property
    def has_rays(self) -> bool:
        """Whether joints are turned to their keypoints' rays."""

    @property
    def stature_m(self) -> float:
        """The wearer's stature in metres; 0: unknown."""

    def reset(self) -> None:
        """Forget the past."""


class PlacesPoses(Protocol):
    """What a feed asks of whoever knows, or guesses, where the wearer is in the room."""

    def tick(self) -> None:
        """Take what was sent, also while there are no frames."""

    def place(self, t_capture_ns: int, joints: np.ndarray) -> Placed:
        """A frame's joints [15, 3] (metres, camera axes) in the room."""

    def status(self) -> HeadStatus | UnsetType:
        """What the stream's status tells of the head; unset where no head poses were asked for."""


class Feed:
    """Publishes one stream of a run. manifest and motion: of the engines that make its poses. room: or None."""

    def __init__(
        self,
        setup: RunSetup,
        number: int,
        worker: Worker,
        publisher: Publisher,
        tracked: TrackedStream,
        manifest: EngineManifest,
        motion: str,
        room: PlacesPoses | None = None,
    ):
        self.stream, self.publisher, self.tracked = setup.streams[number], publisher, tracked
        self.room = room
        self.weights, self.engine = weights_status(setup.weights), engine_status(manifest, motion)
        self.board, self.run_board, self.say = worker.links[number].board, worker.run_board, worker.say
        # A restarted process goes on where the one before was.
        counts = (int(self.board[f"infer_{key}"]) for key in ("poses", "dropped", "next_seq"))
        self.stats = StreamStats(*counts)
        self.resets_before = int(self.board["infer_resets"]) + (
            self.stats.poses > 0
        )  # an earlier process's end was one
        self.resets_asked = int(self.board["reset"])
        self.clip_error = ClipError(self.stream.truth) if self.stream.truth else None
        self.next_s = 0.0
        self.camera_state = -1
        self.has_said_not_finite = False

    @property
    def name(self) -> str:
        """The stream's name in topics."""
        return self.stream.config.stream

    def arrived(self, seq: int) -> None:
        """Note that a frame was taken, and which were dropped before it."""
        self.stats.arrived(seq)

    def publish(self, pose: Pose) -> None:
        """Publish a pose. One that is not finite is left out, and its frame counts as dropped."""
        if not pose.is_finite:
            self.stats.left_out()
            self.say_not_finite()
            self.show_counts()
            return
        board, stats = self.board, self.stats
        placed = self.room.place(pose.t_capture_ns, pose.joints) if self.room else None
        message = self.publisher.publish_pose(self.name, pose, stats.dropped_frames, placed)
        stats.published(message.t_publish_ns, sum(message.stages_ns.values()), float(pose.confidence.mean()))
        if self.clip_error:
            board["infer_error_mm"] = self.clip_error.add(pose.seq, pose.joints)
            board["infer_mpjpe_mm"] = self.clip_error.mpjpe_mm
            board["infer_truth_frames"] = self.clip_error.frames_met
        self.show_counts()

    def show_counts(self) -> None:
        """Put the counts where the supervisor reads them, and where a restarted process goes on."""
        board, stats = self.board, self.stats
        board["infer_poses"], board["infer_dropped"] = stats.poses, stats.dropped_frames
        board["infer_next_seq"] = stats.next_seq

    def say_not_finite(self) -> None:
        """Say once what to try when the network gives no numbers."""
        if not self.has_said_not_finite:
            self.has_said_not_finite = True
            self.say(
                f"stream {self.name}: the network gave values that are not finite, in {self.engine.precision}; "
                "such frames are left out. Try --precision fp32, or other weights"
            )

    def tick(self) -> None:
        """Forget the past when asked to; publish status every second and whenever the camera's state changes."""
        if self.resets_asked != (asked := int(self.board["reset"])):
            self.resets_asked = asked
            self.tracked.reset()
        if self.room:
            self.room.tick()
        now = time.monotonic()
        state = int(self.board["capture_state"])
        if now < self.next_s and state == self.camera_state:
            return
        self.next_s = now + STATUS_PERIOD_S
        self.board["infer_resets"] = self.resets_before + self.tracked.resets
        self.publish_status()

    def publish_status(self) -> None:
        """Publish the status of now."""
        self.camera_state = int(self.board["capture_state"])
        status = self.status()
        self.publisher.publish_status(status)
        self.board["infer_fps"] = status.fps
        self.board["infer_p50_ms"], self.board["infer_p99_ms"] = status.latency_ms["p50"], status.latency_ms["p99"]
        self.board["infer_confidence"] = self.stats.confidence

    def status(self) -> StatusMessage:
        """The stream's state, now."""
        now_ns = time.monotonic_ns()
        return StatusMessage(
            stream=self.name,
            t_publish_ns=now_ns,
            clock_offset_ns=clock_offset_ns(),
            skeleton=SkeletonStatus(),
            weights=self.weights,
            engine=self.engine,
            camera=camera_status(self.stream, self.board, CameraState(self.camera_state)),
            poses=self.stats.poses,
            fps=self.stats.fps(now_ns),
            latency_ms=self.stats.latency_ms(),
            dropped_frames=self.stats.dropped_frames,
            window_resets=int(self.board["infer_resets"]),
            restarts={
                "capture": int(self.board["capture_restarts"]),
                "infer": int(self.run_board["infer_restarts"]),
            },
            filter=filter_name(self.stream.config),
            rays=self.tracked.has_rays,
            stature_m=self.tracked.stature_m,
            head=self.room.status() if self.room else UNSET,
        )


def weights_status(weights: Weights) -> WeightsStatus:
    """What the status tells of a run's weights."""
    return WeightsStatus(
        id=weights.id,
        trained=weights.trained,
        variant=weights.variant,
        temporal=weights.temporal,
        window=weights.window,
        step_ms=weights.step_ms,
        description=weights.description,
    )


def engine_status(manifest: EngineManifest, motion: str) -> EngineStatus:
    """What the status tells of a run's engines."""
    return EngineStatus(
        backend=manifest.backend,
        version=manifest.backend_version,
        device=manifest.device,
        precision=manifest.precision,
        motion=motion,
    )


def camera_status(stream: StreamSetup, board: StreamBoard, state: CameraState) -> CameraStatus:
    """What the status tells of a stream's camera."""
    return CameraStatus(
        state=state.name.lower(),
        source=without_password(stream.config.source),
        mode=board.text("capture_mode"),
        fps=float(board["capture_fps"]),
        bad_frames=int(board["capture_bad_frames"]),
        note=board.newest_note("capture"),
        calibration=stream.camera.name,
        size=stream.camera.size,
        rotate=stream.config.rotate,
        flip=stream.config.flip,
        mount=board.text("infer_mount"),
        bad_frames_by_reason=bad_frames(board),
    )
