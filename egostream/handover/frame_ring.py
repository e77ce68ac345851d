"""The ring between capture and inference: newest frame wins, the writer never waits, nothing queues."""

from __future__ import annotations

import time

import numpy as np

from egostream.calibration.view import INPUT_SIZE
from egostream.handover.record import SharedRecord
from egostream.types import NetworkInput

SLOTS = 4
SLOT = np.dtype(
    [
        ("generation", "u8"),  # odd while being written
        ("seq", "i8"),
        ("segment", "i8"),
        ("t_capture_ns", "i8"),
        ("grab_ns", "i8"),
        ("decode_ns", "i8"),
        ("rectify_ns", "i8"),
        ("t_done_ns", "i8"),  # when rectification ended
        ("image", "u1", (INPUT_SIZE, INPUT_SIZE, 3)),
    ]
)
STAGES = ("grab", "decode", "rectify")


class FrameRing(SharedRecord):
    """Shared slots of rectified frames, each guarded by a generation count.

    One writer and one reader, both of which may be killed at any instant: there is no lock to be left held.
    A reader copies a slot out and takes it only if its generation did not change meanwhile. ``ready`` (one for all
    streams of a run) and ``taken`` are semaphores used as wake-up calls; their counts carry no meaning.
    """

    dtype = np.dtype([("written", "i8"), ("consumed", "i8"), ("t_consumed_ns", "i8"), ("slots", SLOT, (SLOTS,))])

    def write(self, frame: NetworkInput, ready) -> None:
        """Publish a frame, overwriting the oldest slot."""
        number = int(self["written"]) + 1
        slot = self.record["slots"][number % SLOTS]
        generation = int(slot["generation"]) | 1
        slot["generation"] = generation
        slot["image"] = frame.image
        slot["seq"], slot["segment"] = frame.seq, frame.segment
        slot["t_capture_ns"], slot["t_done_ns"] = frame.t_capture_ns, frame.t_done_ns
        for stage in STAGES:
            slot[f"{stage}_ns"] = frame.stages_ns[stage]
        slot["generation"] = generation + 1
        self["written"] = number
        ready.release()

    def read_newest(self, taken) -> NetworkInput | None:
        """The newest frame not read before, or None."""
        number = int(self["written"])
        if number <= int(self["consumed"]):
            return None
        frame = self.copy_slot(self.record["slots"][number % SLOTS])
        if frame is not None:
            self["consumed"], self["t_consumed_ns"] = number, frame.t_done_ns
            taken.release()
        return frame

    def copy_slot(self, slot) -> NetworkInput | None:
        """A slot's frame, or None when the writer was at it: a newer frame is about to be complete."""
        generation = int(slot["generation"])
        copy = slot.copy()
        if generation % 2 or int(slot["generation"]) != generation:
            return None
        stages = {stage: int(copy[f"{stage}_ns"]) for stage in STAGES}
        now = time.monotonic_ns()
        stages["handover"] = now - int(copy["t_done_ns"])  # waiting for inference included
        return NetworkInput(
            int(copy["seq"]), int(copy["segment"]), int(copy["t_capture_ns"]), copy["image"], stages, now
        )

    def is_consumed(self) -> bool:
        """Whether the newest frame was taken."""
        return int(self["consumed"]) >= int(self["written"])

    def wait_consumed(self, taken, timeout: float) -> bool:
        """Wait until the newest frame was taken; False after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while not self.is_consumed():
            if (left := deadline - time.monotonic()) <= 0:
                return False
            taken.acquire(timeout=left)
        return True
