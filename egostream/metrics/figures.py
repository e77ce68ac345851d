"""A run's figures as Prometheus counts them, made of what the run publishes."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psutil
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from egostream.handover.board import BadReason, CameraState
from egostream.publish.message import PoseMessage, StatusMessage

#: Upper bounds of the classes that durations are counted in, seconds: from a stage that does nothing to a pose that
#: nobody wants any more.
CLASSES_S = 0.0005, 0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0
LATE, UNUSABLE = "late", "unusable"


class Figures:
    """What is known of a run. Filled in one thread, asked in others.

    supervisor: the run's first process, whose memory is told, and that of its children; None: no memory is told.
    """

    def __init__(self, supervisor: psutil.Process | None = None):
        self.supervisor = supervisor
        self.registry = CollectorRegistry()
        self.latency = Histogram(
            "egostream_latency_seconds", "From a frame's capture to its pose's publishing.", ["stream"],
            registry=self.registry, buckets=CLASSES_S,
        )  # fmt: skip
        self.stages = Histogram(
            "egostream_stage_seconds", "How long each stage of a frame's way took.", ["stream", "stage"],
            registry=self.registry, buckets=CLASSES_S,
        )  # fmt: skip
        self.statuses: dict[str, tuple[StatusMessage, float]] = {}  # the newest of each stream, and when it came
        self.late: dict[str, int] = {}
        self.registry.register(self)

    def add_pose(self, message: PoseMessage) -> None:
        """Count a pose's durations."""
        for stage, nanoseconds in message.stages_ns.items():
            self.stages.labels(message.stream, stage).observe(nanoseconds / 1e9)
        self.latency.labels(message.stream).observe(sum(message.stages_ns.values()) / 1e9)

    def add_status(self, status: StatusMessage) -> None:
        """Take what a status tells, instead of what the one before did."""
        drops = status.dropped_frames - unusable_frames(status)
        self.late[status.stream] = max(self.late.get(status.stream, 0), drops)  # a counter must not go back
        self.statuses[status.stream] = status, time.monotonic()

    def collect(self) -> Iterator[Metric]:
        """All figures but the durations, as Prometheus' library asks for them."""
        statuses = list(self.statuses.values())
        yield from counters([status for status, _ in statuses], dict(self.late))
        yield from gauges(statuses)
        if self.supervisor is not None:
            yield from memory(self.supervisor)


def unusable_frames(status: StatusMessage) -> int:
    """Frames of a camera that could not be used. A picture that came again is not another frame."""
    reasons = status.camera.bad_frames_by_reason
    return sum(count for reason, count in reasons.items() if reason != BadReason.REPEATED)


def counters(statuses: list[StatusMessage], late: dict[str, int]) -> Iterator[Metric]:
    """What only grows, by stream. late: frames dropped that were usable, by stream."""
    poses = CounterMetricFamily("egostream_poses", "Poses published.", labels=["stream"])
    dropped = CounterMetricFamily(
        "egostream_dropped_frames",
        "Frames without a pose: late, since a newer one came first; unusable, as bad_frames tells.",
        labels=["stream", "reason"],
    )
    bad = CounterMetricFamily("egostream_bad_frames", "Frames that could not be used.", labels=["stream", "reason"])
    restarts = CounterMetricFamily("egostream_restarts", "Restarts of a process.", labels=["stream", "process"])
    resets = CounterMetricFamily("egostream_window_resets", "How often the past was forgotten.", labels=["stream"])
    for status in statuses:
        name = status.stream
        poses.add_metric([name], status.poses)
        resets.add_metric([name], status.window_resets)
        dropped.add_metric([name, LATE], late.get(name, 0))
        dropped.add_metric([name, UNUSABLE], unusable_frames(status))
        for reason in BadReason:
            bad.add_metric([name, str(reason)], status.camera.bad_frames_by_reason.get(str(reason), 0))
        for process, count in status.restarts.items():
            restarts.add_metric([name, process], count)
    return iter((poses, dropped, bad, restarts, resets))


def gauges(statuses: list[tuple[StatusMessage, float]]) -> Iterator[Metric]:
    """What goes up and down, by stream. statuses: each with the monotonic time when it came, seconds."""
    fps = GaugeMetricFamily("egostream_poses_per_second", "Over the last two seconds.", labels=["stream"])
    camera_fps = GaugeMetricFamily("egostream_camera_frames_per_second", "As measured.", labels=["stream"])
    state = GaugeMetricFamily("egostream_camera_state", "1: the camera's state.", labels=["stream", "state"])
    age = GaugeMetricFamily(
        "egostream_status_age_seconds", "Since the last status; above 2, inference is down or busy.", labels=["stream"]
    )
    for status, came_s in statuses:
        fps.add_metric([status.stream], status.fps)
        camera_fps.add_metric([status.stream], status.camera.fps)
        age.add_metric([status.stream], time.monotonic() - came_s)
        for one in CameraState:
            name = one.name.lower()
            state.add_metric([status.stream, name], float(status.camera.state == name))
    return iter((fps, camera_fps, state, age))


def memory(supervisor: psutil.Process) -> Iterator[Metric]:
    """Memory and number of a run's processes. Pages that several share count for each of them."""
    sizes = GaugeMetricFamily("egostream_memory_bytes", "Resident memory, by kind of process.", labels=["process"])
    count = GaugeMetricFamily("egostream_processes", "The supervisor and its children.")
    try:
        children = supervisor.children()
        sizes.add_metric(["supervisor"], supervisor.memory_info().rss)
    except psutil.Error:
        return iter(())
    sizes.add_metric(["children"], sum(resident(child) for child in children))
    count.add_metric([], 1 + len(children))
    return iter((sizes, count))


def resident(process: psutil.Process) -> int:
    """Bytes of a process in memory; none of one that has just ended."""
    try:
        return process.memory_info().rss
    except psutil.Error:
        return 0
