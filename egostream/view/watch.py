"""What the page shows, as it arrives: the newest pose, status and picture of every stream. Nothing queues here.

A thread reads the run's messages, another asks its control socket. All else runs in the server's event loop.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from egostream.config import MAX_STREAMS
from egostream.errors import EgostreamError
from egostream.handover.picture_ring import Picture
from egostream.publish.client import PoseSubscriber, TrackedPose
from egostream.publish.control import ControlClient
from egostream.publish.message import StatusMessage
from egostream.view.words import SILENT_S, Known

#: Poses by which a picture finds its own: two seconds of a 60 fps camera, as many as there are pictures.
RECENT = 128
#: Without a pose for so long, the newest picture is looked at by itself: the network may still be loading.
ALONE_S = 0.2
#: How long the control socket may take to answer, and how long it is left alone when it does not.
CONTROL_S, CONTROL_PAUSE_S = 1.0, 1.0
#: A stream that was silent for so long is not shown while others are there: a new run may have other streams.
GONE_S = 10.0
#: Pictures are missing only after so many questions in a row: the first finds none, since nobody had asked before.
FEW = 10
READ_S = 0.1


class Change:
    """Something that happens again and again, and can be waited for."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    def happen(self) -> None:
        """Wake all who wait."""
        self.event.set()
        self.event = asyncio.Event()

    async def wait(self, seconds: float | None = None) -> None:
        """Until it happens next, or the time is up; None: for ever."""
        try:
            await asyncio.wait_for(self.event.wait(), seconds)
        except TimeoutError:
            pass


class Seen:
    """What was seen of one stream. Counts tell a page whether there is something newer than what it has."""

    def __init__(self, name: str):
        self.name = name
        self.status: StatusMessage | None = None
        self.status_s = 0.0
        self.pose: TrackedPose | None = None
        self.pose_s, self.pose_count = 0.0, 0
        self.recent: dict[int, TrackedPose] = {}  # by number of the frame
        self.picture: Picture | None = None
        self.picture_count = 0
        self.asked_at_pose = 0  # the count of poses when the newest picture was asked for
        self.missed = 0  # questions in a row that found no picture
        self.asking: asyncio.Task[None] | None = None
        self.posed = Change()
        self.is_gone = False  # not shown any more

    def take_pose(self, pose: TrackedPose) -> None:
        """A pose has come."""
        self.pose, self.pose_s = pose, time.monotonic()
        self.pose_count += 1
        self.recent.pop(pose.seq, None)
        self.recent[pose.seq] = pose
        while len(self.recent) > RECENT:
            del self.recent[next(iter(self.recent))]
        self.posed.happen()

    def take_status(self, status: StatusMessage) -> None:
        """A status has come."""
        self.status, self.status_s = status, time.monotonic()

    def pose_of(self, picture: Picture) -> TrackedPose | None:
        """The pose that was estimated from a picture; None where there is none."""
        pose = self.recent.get(picture.seq)
        return pose if pose is not None and pose.t_capture_ns == picture.t_capture_ns else None

    def leave(self) -> None:
        """It is not shown any more: nobody has to wait for it."""
        self.is_gone = True
        self.posed.happen()

    def is_silent(self) -> bool:
        """Whether it has not told its status for a while."""
        return time.monotonic() - self.status_s > SILENT_S

    def last_sign_s(self) -> float:
        """When it last gave a sign of life."""
        return max(self.status_s, self.pose_s)


class Watch:
    """Watches a run for as many pages as there are. Made and used in an event loop."""

    def __init__(self, endpoint: str, control: str, stream: str, keys: tuple[str, str]):
        self.endpoint = endpoint
        self.loop = asyncio.get_running_loop()
        self.streams: dict[str, Seen] = {}
        self.changed = Change()  # a status came, or what there is to say is another
        self.unreadable, self.unreadable_s = "", 0.0
        self.control_state, self.control_problem, self.control_again_s = "", "", 0.0
        self.client = ControlClient(control, CONTROL_S) if control else None
        self.asker = ThreadPoolExecutor(1, "control")  # the client is one thread's
        self.subscriber = PoseSubscriber(endpoint, stream or None, every=True, server_key=keys[0], client_key=keys[1])
        self.is_closing = False
        self.reader = threading.Thread(target=self.read, name="poses", daemon=True)
        self.reader.start()

    # -- the thread that reads ---------------------------------------------------------------------------------------

    def read(self) -> None:
        """Read messages until the end, and pass them to the event loop."""
        while not self.is_closing:
            try:
                if (pose := self.subscriber.newest(READ_S)) is not None:
                    self.tell(self.take_pose, pose)
                while (status := self.subscriber.new_status()) is not None:
                    self.tell(self.take_status, status)
            except EgostreamError as error:
                self.tell(self.take_unreadable, str(error))
        self.subscriber.close()

    def tell(self, take: Callable[[Any], None], what: object) -> None:
        """Call something in the event loop, which may be gone at the end."""
        if not self.is_closing:
            self.loop.call_soon_threadsafe(take, what)

    # -- the event loop ----------------------------------------------------------------------------------------------

    def seen(self, name: str) -> Seen:
        """The stream of that name. What comes of more streams than a run can have is not kept."""
        if name not in self.streams and len(self.streams) >= MAX_STREAMS:
            return Seen(name)
        return self.streams.setdefault(name, Seen(name))

    def take_pose(self, pose: TrackedPose) -> None:
        """A pose has come, of any stream."""
        self.seen(pose.stream).take_pose(pose)

    def take_status(self, status: StatusMessage) -> None:
        """A status has come, of any stream."""
        self.seen(status.stream).take_status(status)
        self.control_state = ""
        self.changed.happen()

    def take_unreadable(self, reason: str) -> None:
        """Something has come that is no message of ours."""
        self.unreadable, self.unreadable_s = reason, time.monotonic()

    def shown(self) -> list[Seen]:
        """The streams to show: those that give signs of life, or all where none does."""
        now = time.monotonic()
        alive = [seen for seen in self.streams.values() if now - seen.last_sign_s() < GONE_S]
        for gone in set(self.streams) - {seen.name for seen in alive} if alive else ():
            self.streams.pop(gone).leave()
        return list(self.streams.values())

    def known(self, seen: Seen | None) -> Known:
        """What is known of a stream, or of a run that shows none, to be put into words."""
        now = time.monotonic()
        unreadable = self.unreadable if now - self.unreadable_s < SILENT_S else ""
        known = Known(self.endpoint, control_state=self.control_state, unreadable=unreadable)
        if seen is None:
            return known
        age = lambda at_s: now - at_s if at_s else None
        return replace(
            known,
            status=seen.status,
            status_age_s=age(seen.status_s),
            pose_age_s=age(seen.pose_s),
            pictures=self.pictures_problem(seen),
        )

    def is_silent(self) -> bool:
        """Whether no stream has told its status for a while."""
        return all(seen.is_silent() for seen in self.streams.values())

    def pictures_problem(self, seen: Seen) -> str:
        """Why there are no pictures; empty where there are, or nobody has asked long enough."""
        if self.client is None:
            return "No pictures: the run's control socket is not known (egostream view --control)."
        if self.control_problem:
            return f"No pictures: {self.control_problem}"
        if seen.missed > FEW:
            return "No pictures: the run keeps none. Its own terminal says why."
        return ""

    # -- the control socket ------------------------------------------------------------------------------------------

    async def picture(self, seen: Seen, count: int) -> Picture | None:
        """The newest picture of a stream, once there is a newer one than that of ``count``; None: it is gone."""
        while not seen.is_gone:
            is_newest = seen.asked_at_pose == seen.pose_count
            if seen.picture is not None and seen.picture_count > count and is_newest:
                return seen.picture
            if is_newest:
                await seen.posed.wait(ALONE_S)
            if seen.asking is None or seen.asking.done():  # pages that look at one stream share a question
                seen.asking = asyncio.create_task(self.ask_picture(seen))
            await asyncio.shield(seen.asking)
        return None

    async def ask_picture(self, seen: Seen) -> None:
        """Ask for the picture of the newest pose."""
        seq = seen.pose.seq if seen.pose is not None else None
        seen.asked_at_pose = seen.pose_count
        answer = await self.ask(lambda client: client.pictures(seen.name, seq=seq)[0])
        if not answer:
            seen.missed += answer is not None
            await asyncio.sleep(ALONE_S)
            return
        seen.missed = 0
        picture = answer[-1]
        if seen.picture is None or (picture.number, picture.t_capture_ns) != (
            seen.picture.number,
            seen.picture.t_capture_ns,
        ):
            seen.picture = picture
            seen.picture_count += 1

    async def ask_state(self) -> None:
        """Ask what the camera does, where nobody publishes: the network may be loading."""
        answer = await self.ask(lambda client: client.ask({"cmd": "status"}))
        self.control_state = str(answer.get("camera", "")) if answer and answer.get("ok") else ""

    async def ask(self, question: Callable[[ControlClient], Any]) -> Any:
        """Ask the control socket in its thread. None where it gives no answer; then it is left alone for a while."""
        client = self.client
        if client is None or time.monotonic() < self.control_again_s:
            return None
        try:
            answer = await self.loop.run_in_executor(self.asker, question, client)
        except EgostreamError as error:
            self.control_problem, self.control_again_s = str(error), time.monotonic() + CONTROL_PAUSE_S
            return None
        self.control_problem = ""
        return answer

    async def close(self) -> None:
        """End both threads, and close what they had."""
        self.is_closing = True
        await self.loop.run_in_executor(None, self.reader.join)
        await self.loop.run_in_executor(None, self.asker.shutdown)
        if self.client is not None:
            self.client.close()
