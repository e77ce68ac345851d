"""Recordings as cameras: video files and image folders, played live, frame by frame, or as fast as taken."""

from __future__ import annotations

import time
from collections.abc import Callable

from egostream.capture.camera import Pace
from egostream.capture.clips import Recording
from egostream.capture.decode import BadFrame
from egostream.capture.marks import opened_seal, sealed
from egostream.errors import StreamEnded
from egostream.types import CameraFrame

#: Times in a row that skipping may gain nothing before the recording's clock waits. Three, since another program that
#: takes the processor for a moment makes one skip vain, and seldom three.
IN_VAIN = 3
#: Longest catching up at one time, seconds; after a suspension, say, there may be more to skip than one can wait for.
#: Chosen by hand; not measured.
CATCH_UP_S = 2.0
#: Longest that ``read`` is to block, seconds, so that the capture process keeps beating over pauses of a recording.
#: Longer than any frame of a recording without pauses lasts.
QUIET_S = 2.0


class RecordingCamera:
    """Plays a recording as a camera would, or frame by frame.

    loop: start again at the end. seq, segment: where numbering starts; with ``seq`` a recording goes on where it was.
    say: called with each note worth showing.
    """

    is_live = False

    def __init__(
        self, recording: Recording, pace: Pace, loop: bool, seq: int, segment: int, say: Callable[[str], None]
    ):
        self.recording, self.pace, self.loop, self.say = recording, pace, loop, say
        self.seq, self.segment = seq, segment
        self.is_paced = pace is not Pace.LIVE
        self.part = 0  # of the recording's stretches without a break in time, the present one
        self.last_mark = ""  # as ``mark`` told it in the process before, where ``seq`` goes on
        self.t_start_ns: int | None = None  # when its frame 0 happened, by the clock it is played by; None: not yet

    @property
    def mode(self) -> str:
        """The recording and how it is played, for people."""
        return f"{self.recording.mode}, {self.pace}"

    def open(self) -> None:
        """Open the recording and go to frame ``seq``. Raises EgostreamError when there is nothing to read."""
        self.recording.open()
        self.t_start_ns = None
        if self.recording.note:
            self.say(self.recording.note)
        self.index = self.go_on() if self.seq else 0  # after a restart it goes on where it was
        self.part = self.recording.next_part()

    def mark(self) -> str:
        """A place near the next frame, as ``last_mark`` takes it; empty where there is none."""
        number, place = self.recording.mark()
        return sealed(f"{self.seq - self.index + number} {number} {place}") if place else ""

    def go_on(self) -> int:
        """Go to frame ``seq``: from the last mark on where that can be, else from the recording's beginning.

        Returns how many frames of the recording lie before the next one.
        """
        seq, number, place = [*opened_seal(self.last_mark).split(" ", 2), "", "", ""][:3]
        if place and int(seq) <= self.seq and self.recording.go_to_mark(place):
            return self.go_to(int(number) + self.seq - int(seq), int(number))
        self.say(f"reading up to frame {self.seq} again: this recording cannot be begun with nearer to it")
        self.recording.open()
        return self.go_to(self.seq)

    def go_to(self, frame: int, passed: int = 0) -> int:
        """Pass over frames up to that number, over and over where the recording plays in a loop.

        passed: frames before the next one. Returns how many frames of the recording lie before the next one.
        """
        while passed < frame and self.recording.skip():
            passed += 1
        if passed == frame or not self.loop or not passed:
            return passed
        self.recording.open()  # its length is known now
        return self.go_to(frame % passed)

    def start(self) -> None:
        """Set the recording's clock so that the next frame is due now."""
        self.t_start_ns = time.monotonic_ns() - self.recording.begins_ns()

    def due_ns(self) -> int:
        """When the next frame happens, by the recording's own clock, which must have been started."""
        assert self.t_start_ns is not None, "start the clock first"
        return self.t_start_ns + self.recording.begins_ns()

    def read(self) -> CameraFrame:
        """Block until the next frame is due, and return it. Raises StreamEnded at the end."""
        if self.t_start_ns is None:  # it plays from when it is first looked at
            self.start()
        if self.pace is Pace.LIVE:
            self.skip_late()
            time.sleep(max(0, self.due_ns() - time.monotonic_ns()) / 1e9)
        t_capture_ns = time.monotonic_ns() if self.pace is Pace.MAX_RATE else self.due_ns()
        self.enter_part()
        try:
            data = self.recording.read()
        except BadFrame:
            self.advance()
            raise
        if data is None:
            self.rewind()
            return self.read()
        frame = CameraFrame(self.seq, self.segment, t_capture_ns, data, self.pace is not Pace.EVERY_FRAME)
        self.advance()
        return frame

    def pause_s(self) -> float:
        """How long ``read`` would block beyond QUIET_S, seconds: over a pause that is part of the recording."""
        if self.pace is not Pace.LIVE or self.t_start_ns is None:
            return 0.0
        return max(0.0, (self.due_ns() - time.monotonic_ns()) / 1e9 - QUIET_S)

    def enter_part(self) -> None:
        """Begin a new segment where the recording's own time begins anew."""
        part = self.recording.next_part()
        self.segment += part != self.part
        self.part = part

    def skip_late(self) -> None:
        """Pass over frames whose successor is already due: a camera would not have waited for us.

        Passing over a frame has a cost, too, since most codecs must decode it. Where that takes longer than the frame
        lasts, nothing could ever catch up: then the recording's clock waits instead.
        """
        begun_s, before_ns, in_vain = time.monotonic(), None, 0
        while (late_ns := self.late_ns(now_ns := time.monotonic_ns())) >= 0:
            in_vain = in_vain + 1 if before_ns is not None and late_ns >= before_ns else 0
            if in_vain == IN_VAIN or time.monotonic() - begun_s > CATCH_UP_S:
                self.start()
                return
            before_ns = late_ns
            while self.late_ns(now_ns) >= 0:
                if not self.recording.skip():
                    return
                self.advance()
                if time.monotonic() - begun_s > CATCH_UP_S:
                    break

    def late_ns(self, now_ns: int) -> int:
        """How long the frame after the next one has been due, ns; negative when it is not."""
        assert self.t_start_ns is not None, "start the clock first"
        return now_ns - self.t_start_ns - self.recording.ends_ns()

    def advance(self) -> None:
        """Count one frame, delivered or skipped."""
        self.seq += 1
        self.index += 1

    def rewind(self) -> None:
        """Start again as a new segment, since the wearer has jumped. Raises StreamEnded unless it plays in a loop."""
        if note := self.recording.ending():
            self.say(note)
        if not self.loop or self.index == 0:
            raise StreamEnded
        resume_ns = self.due_ns()
        self.recording.open()
        self.index, self.part = 0, self.recording.next_part()
        self.start()
        if self.pace is Pace.EVERY_FRAME:
            self.t_start_ns = resume_ns  # its clock is the recording's, not ours
        self.segment += 1

    def close(self) -> None:
        """Let the recording's file go."""
        self.recording.close()
