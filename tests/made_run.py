"""A run without a camera and a network: the sample's pictures and true poses, on the sockets of a run.

Publisher, control socket and picture ring are the real ones. What a test changes is what the status says.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

import msgspec
import numpy as np
from sample_clip import sample_images

from egostream.config import RunConfig
from egostream.files import asset
from egostream.handover.picture_ring import PictureRing
from egostream.publish.message import (
    CameraStatus,
    EngineStatus,
    SkeletonStatus,
    StatusMessage,
    WeightsStatus,
    clock_offset_ns,
)
from egostream.publish.publisher import Publisher
from egostream.supervise.control import ControlServer, picture_answer
from egostream.truth import load_truth, truth_path
from egostream.types import Pose, Stage

STATUS_S = 0.3
#: How long each stage takes, ms: those of the shipped weights on two cores.
STAGES_MS = dict(zip(list(Stage)[:-2], (0.4, 2.1, 0.3, 0.6, 0.1, 4.8, 0.5)))


WEIGHTS = WeightsStatus(
    id="0123456789abcdef", trained=True, variant="made", temporal="causal", window=32, step_ms=66.7, description=""
)
CAMERA = CameraStatus(
    state="streaming", source="sample", mode="a made run", fps=30.0, bad_frames=0, note="", calibration="canonical",
    size=(1280, 1024),
)  # fmt: skip


def made_status(**changes) -> StatusMessage:
    """The status of a stream that is well, but for what is changed."""
    values = {
        "stream": "0", "t_publish_ns": time.monotonic_ns(), "clock_offset_ns": clock_offset_ns(),
        "skeleton": SkeletonStatus(), "weights": WEIGHTS, "camera": CAMERA, "poses": 1, "fps": 30.0,
        "engine": EngineStatus(backend="none", version="1", device="a test", precision="fp32"), "dropped_frames": 0,
        "latency_ms": {"p50": 8.9, "p95": 12.3, "p99": 17.8, "worst": 30.1}, "window_resets": 0,
        "restarts": {"capture": 0, "infer": 0},
    }  # fmt: skip
    return StatusMessage(**{**values, **changes})


class MadeStream:
    """One stream of a made run. ``camera`` is what its status says, ``images`` what it shows, over and over."""

    def __init__(self, name: str, images: list[np.ndarray], size: tuple[int, int]):
        self.name, self.images, self.ring = name, images, PictureRing()
        self.camera = msgspec.structs.replace(CAMERA, size=size)
        self.trained, self.dropped, self.poses, self.is_posing = True, 0, 0, True

    def change(self, **camera) -> None:
        self.camera = msgspec.structs.replace(self.camera, **camera)


class MadeRun:
    """Publishes until it is closed. images, size: of the camera, the sample's by default."""

    def __init__(self, folder: Path, *names: str, images=None, size=(1280, 1024), fps: float = 30.0):
        self.endpoint, self.control = f"ipc://{folder}/poses", f"ipc://{folder}/control"
        self.truth, self.fps = load_truth(truth_path(asset("sample", "sample.avi"))), fps
        self.scale = size[0] / 1280
        self.streams = {name: MadeStream(name, images or sample_images(), size) for name in names or ("0",)}
        self.publisher = Publisher(RunConfig(publish=self.endpoint), "0123456789abcdef")
        self.server = ControlServer(self.control, self.answer)
        self.is_closing = False
        self.threads = [threading.Thread(target=one, daemon=True) for one in (self.publish, self.serve)]
        for thread in self.threads:
            thread.start()

    def serve(self) -> None:
        while not self.is_closing:
            self.server.poll(0.05)

    def answer(self, request: dict) -> dict:
        stream = self.streams.get(request.get("stream") or next(iter(self.streams)))
        if request["cmd"] == "pictures" and stream:
            return picture_answer(stream.ring, request)
        return {"ok": bool(stream), "camera": stream.camera.state if stream else ""}

    def publish(self) -> None:
        seq, next_status_s = 0, 0.0
        while not self.is_closing:
            for number, stream in enumerate(self.streams.values()):
                if stream.is_posing:
                    self.publish_frame(stream, seq + 7 * number)
            if time.monotonic() > next_status_s:
                next_status_s = time.monotonic() + STATUS_S
                for stream in self.streams.values():
                    self.publisher.publish_status(self.status(stream))
            seq += 1
            time.sleep(1 / self.fps)

    def publish_frame(self, stream: MadeStream, seq: int) -> None:
        row, now_ns = seq % len(self.truth), time.monotonic_ns()
        took_ns = {stage: int(1e6 * ms) for stage, ms in STAGES_MS.items()}
        t_capture_ns = now_ns - sum(took_ns.values())
        if stream.ring.is_wanted(now_ns):
            stream.ring.write(seq, 0, t_capture_ns, "jpeg", stream.images[seq % len(stream.images)])
        confidence = np.linspace(0.95, 0.05, 15) if row % 2 else np.linspace(0.9, 0.1, 15)
        keypoints = (self.truth.keypoints[row] + 0.5) * self.scale - 0.5
        confidence[-1], keypoints[-1] = 0.0, np.nan  # the camera does not see it
        pose = Pose(seq, t_capture_ns, self.truth.joints[row], keypoints, confidence, took_ns, now_ns)
        self.publisher.publish_pose(stream.name, pose, stream.dropped)
        stream.poses += 1

    def status(self, stream: MadeStream) -> StatusMessage:
        return made_status(
            stream=stream.name, camera=stream.camera, poses=stream.poses, fps=self.fps, dropped_frames=stream.dropped,
            weights=msgspec.structs.replace(WEIGHTS, trained=stream.trained),
        )  # fmt: skip

    def close(self) -> None:
        if self.is_closing:
            return
        self.is_closing = True
        for thread in self.threads:
            thread.join()
        self.publisher.close()
        self.server.close()
        for stream in self.streams.values():
            stream.ring.close()
