"""The ring between capture and inference: newest frame wins, nothing queues, the writer waits only when asked to."""

from __future__ import annotations

import dataclasses
import time
from multiprocessing.synchronize import Semaphore
from typing import Any

import numpy as np

from egostream.calibration.view import INPUT_SIZE
from egostream.handover.record import SharedRecord
from egostream.handover.waiting import wait
from egostream.types import CAPTURE_STAGES, NetworkInput, Stage

#: One is being written, one is being copied out; the others keep a reader that is late from meeting the writer.
SLOTS = 4
#: A slot holds every field of ``NetworkInput``: a number by its annotation, WIDE_FIELDS as they stand here.
FIELDS = {field.name: field.type for field in dataclasses.fields(NetworkInput)}
NUMBERS = {"int": "i8", "float": "f8", "bool": "?"}
WIDE_FIELDS = {"image": ("u1", (INPUT_SIZE, INPUT_SIZE, 3)), "stages_ns": ("i8", (len(CAPTURE_STAGES),))}
SLOT = np.dtype(
    [
        ("generation", "u8"),  # odd while being written
        *((name, *(WIDE_FIELDS.get(name) or (NUMBERS[str(kind)],))) for name, kind in FIELDS.items()),
    ]
)


class FrameRing(SharedRecord):
    """Shared slots of rectified frames, each guarded by a generation count.

    One writer and one reader, both of which may be killed at any instant: there is no lock to be left held.
    A reader copies a slot out and takes it only if its generation did not change meanwhile. ``ready`` (one for all
    streams of a run) and ``taken`` are semaphores used as wake-up calls; their counts carry no meaning.
    """

    dtype = np.dtype([("written", "i8"), ("consumed", "i8"), ("t_consumed_ns", "i8"), ("slots", SLOT, (SLOTS,))])

    def write(self, frame: NetworkInput, ready: Semaphore) -> None:
        """Publish a frame, overwriting the oldest slot."""
        number = int(self["written"]) + 1
        slot = self.record["slots"][number % SLOTS]
        generation = int(slot["generation"]) | 1
        slot["generation"] = generation
        for name in FIELDS:
            slot[name] = packed(name, getattr(frame, name))
        slot["generation"] = generation + 1
        self["written"] = number
        ready.release()

    def read_newest(self, taken: Semaphore) -> NetworkInput | None:
        """The newest frame not read before, or None."""
        number = int(self["written"])
        if number <= int(self["consumed"]):
            return None
        frame = self.copy_slot(self.record["slots"][number % SLOTS])
        if frame is not None:
            self["consumed"], self["t_consumed_ns"] = number, frame.t_done_ns
            taken.release()
        return frame

    def copy_slot(self, slot: np.ndarray) -> NetworkInput | None:
        """A slot's frame, or None when the writer was at it: a newer frame is about to be complete.

        Its time in the ring becomes the stage ``handover``, so far.
        """
        generation = int(slot["generation"])
        copy = slot.copy()
        if generation % 2 or int(slot["generation"]) != generation:
            return None
        frame = NetworkInput(**{name: unpacked(name, copy[name]) for name in FIELDS})
        now = time.monotonic_ns()
        stages_ns = {**frame.stages_ns, Stage.HANDOVER: now - frame.t_done_ns}
        return dataclasses.replace(frame, stages_ns=stages_ns, t_done_ns=now)

    def is_consumed(self) -> bool:
        """Whether the newest frame was taken."""
        return int(self["consumed"]) >= int(self["written"])

    def wait_consumed(self, taken: Semaphore, timeout: float) -> bool:
        """Wait until the newest frame was taken; False after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while not self.is_consumed():
            if (left := deadline - time.monotonic()) <= 0:
                return False
            wait(taken, left)
        return True


def packed(name: str, value: Any) -> Any:
    """A field's value as its slot holds it: durations in the order of ``CAPTURE_STAGES``, all else as it is."""
    return [value[stage] for stage in CAPTURE_STAGES] if name == "stages_ns" else value


def unpacked(name: str, stored: Any) -> Any:
    """Inverse of ``packed``."""
    if name == "stages_ns":
        return dict(zip(CAPTURE_STAGES, stored.tolist()))
    return stored if name in WIDE_FIELDS else stored.item()
