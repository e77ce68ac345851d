"""Records a running stream: a client of its poses, and of its control socket for pictures.

One thread asks for pictures into memory, ten times a second. The other takes messages, brings both together, and
writes. A slow disk holds up neither the stream nor the messages: ZeroMQ's own thread takes these in meanwhile.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import zmq

from egostream.errors import EgostreamError
from egostream.handover.picture_ring import Picture
from egostream.publish import curve
from egostream.publish.client import MAX_MESSAGE
from egostream.publish.control import ControlClient, request
from egostream.publish.endpoints import use_ipv6
from egostream.publish.message import POSE_TOPIC, STATUS_TOPIC, PoseMessage, StatusMessage, topic, unpack
from egostream.record.layout import StreamAbout
from egostream.record.pairing import MOST_BYTES, Pairing
from egostream.record.settings import RecordSettings, check_recorder
from egostream.record.writer import DiskFull, RecordingWriter

#: How often pictures are asked for, and what came is written, seconds. Capture keeps pictures for a second at least.
ASK_S = 0.1
#: Without a message for so long, seconds, there is no run, or none any more. Loading a network takes less.
SILENCE_S = 30.0
#: After so long without one, seconds, a recorder without pictures asks whether the run is still there.
QUIET_S = 3.0
#: A recorder that asked for a fresh start waits so long for it, seconds, and then takes what comes.
FRESH_S = 2.0
#: Messages that are on their way when a run ends arrive within this time, seconds.
LAST_S = 0.3
#: Requests without an answer, of two seconds each, after which the run is taken to be gone.
UNANSWERED = 3


@dataclass
class StreamTotals:
    """What was recorded of a stream, and what could not be."""

    taken: int = 0  # poses
    next_seq: int = 0
    dropped: int = 0  # frames, by the last pose's count
    lost_poses: int = 0
    pairing: Pairing = field(default_factory=Pairing)


@dataclass(frozen=True)
class Recorded:
    """A recording's end."""

    path: Path
    poses: int
    pictures: int
    lost_pictures: int
    lost_poses: int
    seconds: float
    reason: str  # why it ended

    def text(self) -> str:
        """What became of it, in a line."""
        size = f"{self.path.stat().st_size / 1e6:.1f} MB"
        lost = [f"{n} {what}" for n, what in ((self.lost_poses, "poses"), (self.lost_pictures, "pictures")) if n]
        line = f"{self.path}: {self.poses} poses and {self.pictures} pictures in {self.seconds:.1f} s, {size}"
        return line + (f"; {' and '.join(lost)} could not be kept" if lost else "")


class PictureAsker:
    """Asks for every picture of some streams in a thread of its own, as long as it lives.

    Pictures that nobody takes up to MOST_BYTES of them are thrown away. ``gone``: why there will be no more.
    """

    def __init__(self, control: str, streams: list[str]):
        self.control, self.streams = control, streams
        self.came: queue.SimpleQueue[tuple[str, Picture]] = queue.SimpleQueue()
        self.numbers = dict.fromkeys(streams, 0)
        self.put_bytes = self.taken_bytes = 0  # each has one writer: this thread, and who takes
        self.rounds, self.gone = 0, ""
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.run, name="pictures", daemon=True)
        self.thread.start()

    def run(self) -> None:
        """Ask until it is over."""
        unanswered = 0
        with ControlClient(self.control) as client:
            while not self.is_over.is_set() and unanswered < UNANSWERED:
                try:
                    self.ask(client)
                    unanswered = 0
                except EgostreamError as error:
                    unanswered += 1
                    self.gone = str(error) if unanswered == UNANSWERED else ""
                self.is_over.wait(ASK_S)
            if not self.gone:
                self.finish(client)

    def finish(self, client: ControlClient) -> None:
        """Ask for the last ones. The run may be gone by now."""
        try:
            self.ask(client)
        except EgostreamError as error:
            self.gone = str(error)

    def ask(self, client: ControlClient) -> None:
        """Ask for all new pictures of each stream. Raises EgostreamError when nobody answers."""
        for stream in self.streams:
            pictures = client.pictures(stream, self.numbers[stream], is_exact=True)[0]
            for picture in pictures:
                self.numbers[stream] = picture.number
                if self.put_bytes - self.taken_bytes < MOST_BYTES:
                    self.put_bytes += len(picture.data)
                    self.came.put((stream, picture))
        self.rounds += 1

    def why_gone(self) -> str:
        """Why there will be no more pictures; empty while there may be."""
        return self.gone or ("" if self.thread.is_alive() else "asking for pictures failed")

    def take(self) -> list[tuple[str, Picture]]:
        """The pictures that came since the last call."""
        taken = []
        while not self.came.empty():
            taken.append(self.came.get())
            self.taken_bytes += len(taken[-1][1].data)
        return taken

    def close(self) -> None:
        """Ask for the last pictures, and end."""
        self.is_over.set()
        self.thread.join()


class Recorder:
    """Records until it is told to stop, its time is over, the run has gone, or the disk is full.

    Raises EgostreamError where there is no run, it has no such stream, or the file cannot be made; then there is no
    file. Not thread-safe.
    """

    def __init__(self, settings: RecordSettings):
        self.settings = settings
        check_recorder(settings.path)
        self.abouts = ask_streams(settings)
        self.totals = {about.name: StreamTotals() for about in self.abouts}
        self.context = zmq.Context()
        self.socket = self.subscribe()
        self.asker: PictureAsker | None = None
        self.writer: RecordingWriter | None = None
        self.heard_s = time.monotonic()
        self.began_s: float | None = None  # when the first pose was taken
        self.fresh_until_s = 0.0  # until when poses with a past are left off

    def subscribe(self) -> zmq.Socket:
        """A socket for every message of the streams: poses first, so that who hears a status hears poses."""
        socket = self.context.socket(zmq.SUB)
        socket.linger, socket.rcvhwm = 0, 0
        socket.maxmsgsize = MAX_MESSAGE
        use_ipv6(socket, self.settings.endpoint)
        if self.settings.keys[0]:
            curve.join(socket, *self.settings.keys)
        for kind in (POSE_TOPIC, STATUS_TOPIC):
            for name in self.totals:
                socket.subscribe(topic(kind, name))
        try:
            socket.connect(self.settings.endpoint)
        except zmq.ZMQError as error:
            raise EgostreamError(f"cannot connect to {self.settings.endpoint}: {error}") from None
        return socket

    def run(self, should_stop: Callable[[], bool]) -> Recorded:
        """Record. Raises EgostreamError where nothing came: then there is no file."""
        try:
            status = self.wait_status(should_stop)
            self.writer = RecordingWriter(self.settings.path, self.abouts, facts_of(status))
            reason = "nothing came"
            try:
                self.start()
                reason = self.record(should_stop)
            except EgostreamError as error:  # the disk is full, or what came is no message of this version
                reason = str(error)
            return self.finish(reason)
        finally:
            self.close()

    def wait_status(self, should_stop: Callable[[], bool]) -> StatusMessage:
        """The first status, whose weights and engine are noted at the file's start. Raises EgostreamError."""
        deadline = math.inf if self.settings.is_with_run else time.monotonic() + SILENCE_S
        while time.monotonic() < deadline and not should_stop():
            for message, _ in self.receive(ASK_S):
                if isinstance(message, StatusMessage):
                    return message
        raise EgostreamError(f"nothing came from {self.settings.endpoint}. Is it running? Start it: egostream run")

    def start(self) -> None:
        """Begin to ask for pictures, then for a start without a past."""
        settings = self.settings
        if settings.has_images:
            self.asker = PictureAsker(settings.control, list(self.totals))
            while self.asker.rounds < 2 and not self.asker.why_gone():  # capture keeps pictures from the first on
                time.sleep(ASK_S / 5)
        if settings.asks_reset and not settings.is_with_run and settings.control:
            self.fresh_until_s = time.monotonic() + FRESH_S
            with ControlClient(settings.control) as client:
                for name in self.totals:
                    client.ask({"cmd": "reset", "stream": name})

    def record(self, should_stop: Callable[[], bool]) -> str:
        """Take and write what comes. Returns why that ended. Raises DiskFull."""
        self.heard_s = time.monotonic()
        while not should_stop():
            if self.began_s is not None and 0 < self.settings.seconds <= time.monotonic() - self.began_s:
                return "its time is over"
            for message, wire in self.receive(0.0):
                if not self.take(message, wire):
                    return "the run was started again"
            self.write_ready()
            if why := self.why_gone():
                return f"the run is gone: {why}"
            time.sleep(ASK_S)  # a round for each message took 3.2% of a core where this takes 2.4%
        self.take_last()
        return "it was stopped"

    def why_gone(self) -> str:
        """Why the run is taken to be gone; empty while it is not."""
        silent_s = time.monotonic() - self.heard_s
        if self.settings.is_with_run:  # it is told when the run ends, and a network may take minutes to load
            return ""
        if silent_s > SILENCE_S:
            return f"nothing came for {SILENCE_S:g} s"
        if self.asker is not None:
            return self.asker.why_gone()
        if silent_s > QUIET_S:  # a run sends a status every second, but while its network loads
            try:
                request(self.settings.control, {"cmd": "ping"})
            except EgostreamError as error:
                return str(error)
        return ""

    def take_last(self) -> None:
        """Take what was on its way when the run ended, or this was stopped. Raises DiskFull."""
        is_ending = self.settings.is_with_run
        while messages := self.receive(LAST_S if is_ending else 0.0):
            for message, wire in messages:
                self.take(message, wire)
            if not is_ending:
                return

    def receive(self, seconds: float) -> list[tuple[PoseMessage | StatusMessage, bytes]]:
        """Messages that came, waiting so long for the first. Raises EgostreamError for what is no message."""
        came: list[tuple[PoseMessage | StatusMessage, bytes]] = []
        while self.socket.poll(0 if came else round(seconds * 1000)):
            data = self.socket.recv(zmq.NOBLOCK)
            self.heard_s = time.monotonic()
            came.append((unpack(data), data.partition(b"\0")[2]))
        return came

    def take(self, message: PoseMessage | StatusMessage, wire: bytes) -> bool:
        """Take a message. False: it is of another run, whose numbers began anew. Raises DiskFull."""
        assert self.writer is not None
        if isinstance(message, StatusMessage):
            self.writer.add_status(message, wire)
            return True
        totals = self.totals[message.stream]
        if not totals.taken and message.continues and time.monotonic() < self.fresh_until_s:
            return True
        if totals.taken:
            if message.seq < totals.next_seq:
                return False
            gap, dropped = message.seq - totals.next_seq, message.dropped_frames - totals.dropped
            totals.lost_poses += max(0, gap - max(0, dropped))
        totals.taken += 1
        totals.next_seq, totals.dropped = message.seq + 1, message.dropped_frames
        self.began_s = self.began_s or time.monotonic()
        totals.pairing.add_pose(message, wire)
        return True

    def write_ready(self, is_over: bool = False) -> None:
        """Write the poses that need not wait any more, each behind its picture. Raises DiskFull."""
        assert self.writer is not None
        for stream, picture in self.asker.take() if self.asker else ():
            self.totals[stream].pairing.add_picture(picture)
        for stream, totals in self.totals.items():
            for pose, wire, found in totals.pairing.ready(is_over or self.asker is None):
                if found is not None:
                    self.writer.add_picture(stream, found, pose)
                self.writer.add_pose(pose, wire)
        self.writer.flush_if_due()

    def finish(self, reason: str) -> Recorded:
        """Write what waits, and close the file. Raises EgostreamError where nothing was recorded."""
        writer = self.writer
        assert writer is not None
        seconds = time.monotonic() - self.began_s if self.began_s else 0.0
        if self.asker is not None:
            self.asker.close()
        if not writer.is_full:
            try:
                self.write_ready(is_over=True)
            except DiskFull as error:
                reason = str(error)
        lost_pictures = sum(one.pairing.lost for one in self.totals.values()) if self.asker else 0
        lost_poses = sum(one.lost_poses for one in self.totals.values())
        writer.finish({"lost_pictures": str(lost_pictures), "lost_poses": str(lost_poses), "reason": reason})
        lost_poses += sum(one.taken for one in self.totals.values()) - writer.poses  # which the disk had no room for
        if not writer.poses:
            writer.discard()
            raise EgostreamError(f"nothing was recorded into {self.settings.path}: {reason}")
        return Recorded(self.settings.path, writer.poses, writer.pictures, lost_pictures, lost_poses, seconds, reason)

    def close(self) -> None:
        """Let the sockets go."""
        if self.asker is not None:
            self.asker.close()
        self.socket.close()
        self.context.term()


def ask_streams(settings: RecordSettings) -> list[StreamAbout]:
    """What the run says of the streams to be recorded. Raises EgostreamError where it says nothing, or has no such."""
    if not settings.control:
        raise EgostreamError("a recorder asks the run for its streams: give its --control endpoint")
    with ControlClient(settings.control) as client:
        names = settings.streams or tuple(asked(client, {"cmd": "status"})["streams"])
        answers = [asked(client, {"cmd": "describe", "stream": name}) for name in names]
        return [
            StreamAbout(name, str(answer["calibration"]), str(answer["config"])) for name, answer in zip(names, answers)
        ]


def asked(client: ControlClient, request: dict) -> dict:
    """The answer to a request. Raises EgostreamError when it is refused."""
    answer = client.ask(request)
    if not answer.get("ok"):
        raise EgostreamError(f"the run on {client.endpoint} does not answer {request['cmd']}: {answer.get('error')}")
    return answer


def facts_of(status: StatusMessage) -> dict[str, str]:
    """What is noted of the run at a recording's start."""
    engine, weights = status.engine, status.weights
    return {
        "weights": weights.id,
        "weights_description": weights.description,
        "backend": engine.backend,
        "backend_version": engine.version,
        "device": engine.device,
        "precision": engine.precision,
        "motion": engine.motion,
        "temporal": weights.temporal,
    }
