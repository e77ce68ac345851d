"""Boards: heartbeats, counters and states that the processes show each other. No queue, no lock.

There is one for the run, one for each stream and one for each companion. A field has one writer, named by its prefix;
what has none is the supervisor's, and so are the counts of restarts.
"""

from __future__ import annotations

import time
from enum import IntEnum, StrEnum

import numpy as np

from egostream.handover.record import SharedRecord

TEXT_BYTES = 400
#: Notes of a process that wait for the supervisor, which looks twenty times a second. Older ones are lost.
NOTES = 16


class CameraState(IntEnum):
    """What a stream's camera is doing, as its status says it in small letters."""

    STARTING = 0
    STREAMING = 1
    LOST = 2
    ENDED = 3
    FAILED = 4  # given up, while the other cameras of the run go on


class BadReason(StrEnum):
    """Why a frame was not used, as its count in the status says it."""

    BROKEN = "broken"  # nothing that can be decoded
    DAMAGED = "damaged"  # an image that lacks a part, or whose parts do not belong together
    WRONG_SIZE = "wrong size"  # another than the calibration's
    REPEATED = "repeated"  # the very same picture again, from a live camera that hangs

    @property
    def field(self) -> str:
        """Of a stream's board, where it is counted."""
        return f"capture_bad_{self.name.lower()}"


class Board(SharedRecord):
    """What both kinds have: a process's beat, its notes and the reason of its end. ``process`` is the writer's name."""

    def beat(self, process: str) -> None:
        """Note that a process is alive now."""
        self[f"{process}_beat_ns"] = time.monotonic_ns()

    def say(self, field: str, text: str) -> None:
        """Write a text field, cut to its size."""
        self[field] = cut(text)

    def text(self, field: str) -> str:
        """What ``say`` wrote."""
        return bytes(self[field]).decode(errors="replace")

    def note(self, process: str, text: str) -> None:
        """Add a note, cut to its size. What the supervisor has not looked at yet stays, up to NOTES of them."""
        count = self.count_notes(process)
        self[f"{process}_notes"][count % NOTES] = cut(text)
        self[f"{process}_noted"] = count + 1  # after the note: who reads the count finds the note

    def count_notes(self, process: str) -> int:
        """How many notes there were so far."""
        return int(self[f"{process}_noted"])

    def notes(self, process: str, first: int, end: int) -> list[str]:
        """Notes ``first`` to ``end`` (not included) of all there were, without those that newer ones replaced."""
        ring = self[f"{process}_notes"]
        return [ring[n % NOTES].decode(errors="replace") for n in range(max(first, end - NOTES), end)]

    def newest_note(self, process: str) -> str:
        """The last note; empty where there was none."""
        count = self.count_notes(process)
        return self.notes(process, count - 1, count)[0] if count else ""


def cut(text: str) -> bytes:
    """A text in UTF-8, without a character that would pass TEXT_BYTES."""
    return text.encode(errors="replace")[:TEXT_BYTES].decode(errors="ignore").encode()


class RunBoard(Board):
    """The run's: the supervisor and the inference process."""

    dtype = np.dtype(
        [
            ("stop", "i8"),
            ("infer_beat_ns", "i8"),
            ("infer_ready", "i8"),
            ("infer_notes", f"S{TEXT_BYTES}", NOTES),  # a ring: ``noted`` counts all that were ever written
            ("infer_noted", "i8"),
            ("infer_fatal", f"S{TEXT_BYTES}"),  # why the process ended
            ("infer_restarts", "i8"),
        ]
    )


class StreamBoard(Board):
    """One stream's: its capture process, and what inference makes of its frames."""

    dtype = np.dtype(
        [
            ("reset", "i8"),  # counts requests to forget the window
            ("capture_beat_ns", "i8"),
            ("capture_state", "i8"),
            ("capture_next_seq", "i8"),  # where a restarted capture goes on
            ("capture_next_segment", "i8"),
            ("capture_at_seq", "i8"),  # one past the frame of a recording that is being read or decoded; 0: none is
            ("capture_deaths_at", "i8"),  # how many capture processes in a row ended at that frame
            ("capture_mark", f"S{TEXT_BYTES}"),  # of a recording: where it can be begun with, as RecordingCamera says
            ("capture_mark_tries", "i8"),  # capture processes that began there and have not read a frame since
            ("capture_at_packet", "S64"),  # of a video file, in its decoder: as PacketName says; empty: none is
            ("capture_died_at", "S64"),  # the same, where the process before ended
            ("capture_packet_deaths", "i8"),  # how many in a row ended there
            ("capture_careful", "i8"),  # whether the newest process decodes in one thread
            ("capture_spared", f"S{TEXT_BYTES}"),  # packets that are not decoded any more
            ("capture_fps", "f8"),  # measured rate of the camera
            ("capture_bad_frames", "i8"),  # not used, for any reason
            *((reason.field, "i8") for reason in BadReason),
            ("capture_mode", f"S{TEXT_BYTES}"),  # the negotiated mode
            ("capture_notes", f"S{TEXT_BYTES}", NOTES),
            ("capture_noted", "i8"),
            ("capture_fatal", f"S{TEXT_BYTES}"),
            ("capture_restarts", "i8"),
            ("infer_poses", "i8"),
            ("infer_mount", f"S{TEXT_BYTES}"),  # as CameraStatus.mount
            ("infer_next_seq", "i8"),  # one past the last frame taken; 0: none yet
            ("infer_dropped", "i8"),
            ("infer_resets", "i8"),  # how often the window was forgotten
            ("infer_fps", "f8"),
            ("infer_p50_ms", "f8"),
            ("infer_p99_ms", "f8"),
            ("infer_confidence", "f8"),
            ("infer_error_mm", "f8"),  # of the newest pose, where the clip's truth is known
            ("infer_mpjpe_mm", "f8"),  # over the clip's frames met so far
            ("infer_truth_frames", "i8"),  # how many those are; 0: no truth
        ]
    )


class CompanionBoard(Board):
    """One companion's: a client that is started with the run and may die alone."""

    dtype = np.dtype(
        [
            ("stop", "i8"),
            ("companion_beat_ns", "i8"),
            ("companion_notes", f"S{TEXT_BYTES}", NOTES),
            ("companion_noted", "i8"),
            ("companion_fatal", f"S{TEXT_BYTES}"),
            ("companion_restarts", "i8"),
        ]
    )


def bad_frames(board: StreamBoard) -> dict[str, int]:
    """How many frames were not used, by reason; only the reasons that there were."""
    return {str(reason): count for reason in BadReason if (count := int(board[reason.field]))}
