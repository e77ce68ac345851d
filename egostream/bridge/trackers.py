"""Trackers on a body: where they sit, for the programs that take trackers instead of avatars."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from egostream.body.bones import INDEX
from egostream.body.measure import Body
from egostream.body.pose import BodyPose
from egostream.errors import EgostreamError


class Tracker(NamedTuple):
    """A tracker: its number, the bone that it turns with, and the bone at whose beginning it sits."""

    number: int
    bone: str
    place: str


#: By the parts that a user names. Numbers are those that SlimeVR uses, so that calibrations stay.
PARTS = {
    "hip": (Tracker(1, "Hips", "Hips"),),
    "feet": (Tracker(2, "LeftFoot", "LeftFoot"), Tracker(3, "RightFoot", "RightFoot")),
    "knees": (Tracker(4, "LeftUpperLeg", "LeftLowerLeg"), Tracker(5, "RightUpperLeg", "RightLowerLeg")),
    "chest": (Tracker(6, "Chest", "Chest"),),
    "elbows": (Tracker(7, "LeftUpperArm", "LeftLowerArm"), Tracker(8, "RightUpperArm", "RightLowerArm")),
}
USUAL_PARTS = "hip,feet"


def parse_trackers(text: str) -> list[Tracker]:
    """The trackers of parts that are named with commas between. Raises EgostreamError."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in PARTS]
    if unknown or not names:
        what = f"{unknown[0]!r} is unknown" if unknown else "no part is named"
        raise EgostreamError(f"--trackers {text}: {what}. Choose of {', '.join(PARTS)}")
    return [tracker for name in dict.fromkeys(names) for tracker in PARTS[name]]


#: Number, position [3] and rotation [4] of a tracker.
PlacedTracker = tuple[int, np.ndarray, np.ndarray]


def placed_trackers(trackers: list[Tracker], pose: BodyPose, body: Body) -> list[PlacedTracker]:
    """Number, position [3] and rotation [4] of each tracker, in the pose's axes."""
    origins = body.origins(pose)
    return [(one.number, origins[INDEX[one.place]], pose.rotation(one.bone)) for one in trackers]
