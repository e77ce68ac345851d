"""Running figures of a stream: rate, latency percentiles, drops."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np

#: Frames that percentiles look back on: ten seconds at 90 fps.
RECENT_FRAMES = 900
FPS_SPAN_NS = 2_000_000_000
PERCENTILES = {"p50": 50, "p95": 95, "p99": 99}


def percentiles_ms(values_ns: Iterable[int] | np.ndarray) -> dict[str, float]:
    """p50, p95, p99 and worst of durations, in milliseconds; all zero when there are none."""
    values = np.array([*values_ns], float) / 1e6
    if not values.size:
        return dict.fromkeys((*PERCENTILES, "worst"), 0.0)
    return {name: float(np.percentile(values, q)) for name, q in PERCENTILES.items()} | {"worst": float(values.max())}


class StreamStats:
    """Counts poses and dropped frames, and keeps recent latencies (capture to publish)."""

    def __init__(self, poses: int = 0, dropped_frames: int = 0, next_seq: int = 0):
        self.poses, self.dropped_frames = poses, dropped_frames
        self.next_seq = next_seq  # the frame that would follow without a drop; 0: none was taken yet
        self.latencies_ns: deque[int] = deque(maxlen=RECENT_FRAMES)
        self.published_ns: deque[int] = deque(maxlen=RECENT_FRAMES)
        self.confidence = 0.0

    def arrived(self, seq: int) -> None:
        """A frame was taken: every number between the last one and this was dropped on the way."""
        if self.next_seq:
            self.dropped_frames += max(0, seq - self.next_seq)
        self.next_seq = seq + 1

    def left_out(self) -> None:
        """A frame was taken, and no pose of it went out."""
        self.dropped_frames += 1

    def published(self, t_publish_ns: int, latency_ns: int, confidence: float) -> None:
        self.poses += 1
        self.latencies_ns.append(latency_ns)
        self.published_ns.append(t_publish_ns)
        self.confidence += 0.1 * (confidence - self.confidence)

    def fps(self, now_ns: int) -> float:
        """Poses per second over the last two seconds."""
        recent = [t for t in self.published_ns if now_ns - t < FPS_SPAN_NS]
        span = now_ns - recent[0] if len(recent) > 1 else 0
        return (len(recent) - 1) * 1e9 / span if span else 0.0

    def latency_ms(self) -> dict[str, float]:
        return percentiles_ms(self.latencies_ns)
