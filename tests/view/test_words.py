"""What is wrong, in words."""

from __future__ import annotations

import msgspec
import pytest
from made_run import made_status

from egostream.view.words import NO_POSE_S, SILENT_S, Known, Word, words

ENDPOINT = "tcp://127.0.0.1:5570"
GOOD = Known(ENDPOINT, made_status(), status_age_s=0.5, pose_age_s=0.01)


def changed(status_changes: dict | None = None, **changes) -> Known:
    """What is known of a good stream, with some of it changed; keys of the camera go to the camera."""
    status = made_status()
    for key, value in (status_changes or {}).items():
        place = status.weights if key == "trained" else status.camera
        field = "weights" if key == "trained" else "camera"
        status = msgspec.structs.replace(status, **{field: msgspec.structs.replace(place, **{key: value})})
    values = {"status": status, "status_age_s": 0.5, "pose_age_s": 0.01, **changes}
    return Known(ENDPOINT, **values)


def test_nothing_is_said_of_what_is_well():
    assert words(GOOD) == []


@pytest.mark.parametrize(
    ("known", "level", "said"),
    [
        (Known(ENDPOINT), "error", f"No run at {ENDPOINT}. Start one: egostream run --source sample"),
        (Known(ENDPOINT, control_state="streaming"), "note", "The run is starting: the camera is streaming"),
        (changed(status_age_s=SILENT_S + 1), "error", f"The run at {ENDPOINT} has stopped."),
        (
            changed({"state": "ended"}, status_age_s=SILENT_S + 1),
            "note",
            "The recording has ended, and its run with it.",
        ),
        (changed({"state": "ended"}), "note", "The recording has ended."),
        (changed({"state": "starting"}), "note", "The camera is starting."),
        (
            changed({"state": "lost", "note": "camera lost: gone; opening it again in 2 s"}),
            "error",
            "Camera lost: gone; opening it again in 2 s",
        ),
        (changed({"state": "lost", "note": "skipping frames"}), "error", "The camera is lost"),
        (changed({"state": "failed", "note": "no such device"}), "error", "This camera is given up: no such device"),
        (changed(pose_age_s=NO_POSE_S + 1), "warning", "The camera streams at 30 fps, but no pose comes."),
        (changed(pose_age_s=None), "warning", "The camera streams at 30 fps, but no pose comes."),
        (changed({"mount": "the picture is mirrored: --flip"}), "warning", "The picture is mirrored: --flip"),
        (changed({"trained": False}), "warning", "These weights are untrained: the poses mean nothing"),
        (changed(pictures="No pictures: the run keeps none."), "warning", "No pictures: the run keeps none."),
        (changed(unreadable="the publisher speaks version 2"), "error", "The publisher speaks version 2"),
    ],
)
def test_each_thing_that_is_wrong_is_said_first(known, level, said):
    first = words(known)[0]
    assert isinstance(first, Word) and first.level == level and first.text.startswith(said)


def test_several_things_are_said_at_once():
    assert len(words(changed({"mount": "turned", "trained": False}, pose_age_s=None, pictures="none"))) == 4
