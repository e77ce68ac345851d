"""One page's connection. The page asks for the newest of a lane, and gets it once there is something newer than it has.

Nothing is sent unasked, and one thing at a time is on its way in each lane, so that nothing queues for a slow page.

| lane | answer |
|---|---|
| state | every half second: the streams, their figures, what is wrong in words. JSON |
| pose | a stream's newest pose. JSON |
| picture | a stream's newest picture. Length of a head (4 bytes, big endian), the head (JSON: keypoints), the picture |
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import numpy as np
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from egostream import __version__
from egostream.files import log_failure
from egostream.handover.picture_ring import Picture
from egostream.publish.client import TrackedPose
from egostream.skeleton import JOINTS, PARENTS
from egostream.types import Stage
from egostream.view.watch import Seen, Watch
from egostream.view.words import words

STATE_S = 0.5
#: A page that asks for more at once than any page of ours is none of ours.
MOST_ASKED = 256


class Question(msgspec.Struct):
    """What a page asks for."""

    want: str
    stream: str = ""


class Lanes:
    """Answers one page."""

    def __init__(self, page: ServerConnection, watch: Watch):
        self.page, self.watch = page, watch
        self.answering: dict[tuple[str, str], asyncio.Task[None]] = {}
        self.counts: dict[tuple[str, str], int] = {}  # what the page has, by lane and stream

    async def serve(self) -> None:
        """Answer until the page goes, or asks for something that it cannot have."""
        try:
            async for text in self.page:
                try:
                    question = msgspec.json.decode(text, type=Question)
                except (msgspec.MsgspecError, UnicodeDecodeError):
                    await self.page.close(1008, "not a question of this page")
                    return
                self.begin(question)
        finally:
            for task in self.answering.values():
                task.cancel()

    def begin(self, question: Question) -> None:
        """Begin to answer, unless the same question is being answered, or is about what is not there."""
        key = question.want, question.stream
        is_known = question.want == "state" or question.stream in self.watch.streams
        if key in self.answering or not is_known or len(self.answering) > MOST_ASKED:
            return
        answers: dict[str, Callable[[str], Awaitable[str | bytes]]]
        answers = {"state": self.state, "pose": self.pose, "picture": self.picture}
        if question.want in answers:
            task = asyncio.create_task(self.answer(answers[question.want](question.stream)))
            self.answering[key] = task
            task.add_done_callback(lambda _: self.answering.pop(key, None))

    async def answer(self, making: Awaitable[str | bytes]) -> None:
        """Send an answer once it is there. The page may be gone by then."""
        try:
            if made := await making:
                await self.page.send(made)
        except ConnectionClosed:
            pass
        except Exception as error:  # whatever it is, the page shall not wait for ever
            await self.page.close(1011, f"the viewer failed: {type(error).__name__}")
            log_failure("view")

    async def state(self, _: str) -> str:
        """All streams, and what is wrong. The first comes at once."""
        if self.counts.setdefault(("state", ""), 0):
            await self.watch.changed.wait(STATE_S)
        self.counts["state", ""] = 1
        if self.watch.is_silent():
            await self.watch.ask_state()
        return encode(state_text(self.watch))

    async def pose(self, name: str) -> str:
        """The newest pose of a stream; empty when the stream is gone."""
        seen = self.watch.seen(name)
        while seen.pose is None or seen.pose_count == self.counts.get(("pose", name)):
            await seen.posed.wait()
            if seen.is_gone:
                return ""
        self.counts["pose", name] = seen.pose_count
        return encode({"lane": "pose", "stream": name, **pose_fields(seen.pose)})

    async def picture(self, name: str) -> bytes:
        """The newest picture of a stream; empty when the stream is gone."""
        seen = self.watch.seen(name)
        picture = await self.watch.picture(seen, self.counts.get(("picture", name), 0))
        if picture is None:
            return b""
        self.counts["picture", name] = seen.picture_count
        head = encode({"lane": "picture", "stream": name, **picture_fields(seen, picture)}).encode()
        return len(head).to_bytes(4, "big") + head + picture.data


def encode(fields: dict[str, Any]) -> str:
    """A message as JSON."""
    return msgspec.json.encode(fields).decode()


def rounded(values: np.ndarray, digits: int) -> list:
    """An array as lists of short numbers."""
    return np.round(values, digits).tolist()


def pose_fields(pose: TrackedPose) -> dict[str, Any]:
    """A pose as the page draws it: joints in metres, times in milliseconds."""
    stages = {name: ns / 1e6 for name, ns in pose.message.stages_ns.items()}
    if pose.same_clock:
        stages[Stage.TRANSPORT] = max(0.0, (pose.t_receive_ns - pose.message.t_publish_ns) / 1e6)
    return {
        "seq": pose.seq,
        "t_ms": pose.t_capture_ns / 1e6,
        "joints": rounded(pose.joints, 4),
        "confidence": rounded(pose.confidence, 3),
        "stages_ms": {name: round(ms, 3) for name, ms in stages.items()},
        "dropped": pose.message.dropped_frames,
    }


def picture_fields(seen: Seen, picture: Picture) -> dict[str, Any]:
    """What belongs to a picture: its keypoints, in pixels of the camera's own frame of that size."""
    pose = seen.pose_of(picture)
    return {
        "seq": picture.seq,
        "format": picture.format,
        "size": seen.status.camera.size if seen.status else None,
        "keypoints": rounded(pose.keypoints, 1) if pose else None,
        "confidence": rounded(pose.confidence, 3) if pose else None,
    }


def state_text(watch: Watch) -> dict[str, Any]:
    """All that the page shows besides poses and pictures."""
    shown = watch.shown()
    general = [] if shown else words(watch.known(None))
    return {
        "lane": "state",
        "version": __version__,
        "endpoint": watch.endpoint,
        "skeleton": {"joints": JOINTS, "parents": PARENTS},
        "stages": [str(stage) for stage in Stage],
        "words": [word._asdict() for word in general],
        "streams": [stream_state(watch, seen) for seen in shown],
    }


def stream_state(watch: Watch, seen: Seen) -> dict[str, Any]:
    """One stream's figures and words."""
    known = watch.known(seen)
    state: dict[str, Any] = {"name": seen.name, "words": [word._asdict() for word in words(known)], "poses": None}
    if seen.status is None:
        return state
    status = msgspec.to_builtins(seen.status)
    kept = ("camera", "fps", "latency_ms", "dropped_frames", "poses", "restarts", "filter", "stature_m")
    return (
        state
        | {key: status[key] for key in kept}
        | {
            "is_silent": seen.is_silent(),
            "engine": f"{seen.status.engine.backend} {seen.status.engine.precision} on {seen.status.engine.device}",
            "weights": seen.status.weights.id[:12],
        }
    )
