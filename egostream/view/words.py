"""What is wrong with a stream, in words for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from egostream.publish.message import STATUS_PERIOD_S, StatusMessage

#: Without a status for so long, nobody publishes.
SILENT_S = 3 * STATUS_PERIOD_S
#: Without a pose for so long, a camera that streams shows that something is wrong.
NO_POSE_S = 2.0


class Word(NamedTuple):
    """One thing worth saying."""

    level: Literal["error", "warning", "note"]
    text: str


@dataclass(frozen=True)
class Known:
    """What is known of a stream now. Ages are in seconds; None: there was none yet."""

    endpoint: str
    status: StatusMessage | None = None
    status_age_s: float | None = None
    pose_age_s: float | None = None
    control_state: str = ""  # the camera's state by the control socket; empty: it was not asked, or gave no answer
    unreadable: str = ""  # what was wrong with the newest message
    pictures: str = ""  # why there are no pictures


def words(known: Known) -> list[Word]:
    """What is worth saying of a stream, the most important first."""
    if known.unreadable:
        return [Word("error", sentence(known.unreadable))]
    if known.status is None or known.status_age_s is None or known.status_age_s > SILENT_S:
        return [silence(known)]
    found = [*camera_words(known.status), *pose_words(known, known.status)]
    if known.pictures and known.status.camera.state == "streaming":
        found.append(Word("warning", known.pictures))
    return found


def silence(known: Known) -> Word:
    """Nobody publishes: why, as far as that is known."""
    if known.control_state:
        return Word("note", f"The run is starting: the camera is {known.control_state}, the network is being loaded.")
    if known.status is None:
        return Word("error", f"No run at {known.endpoint}. Start one: egostream run --source sample")
    if known.status.camera.state == "ended":
        return Word("note", "The recording has ended, and its run with it. A new run appears here by itself.")
    return Word("error", f"The run at {known.endpoint} has stopped. A new one appears here by itself.")


def camera_words(status: StatusMessage) -> list[Word]:
    """What is wrong with the camera, by its own words where it has some."""
    camera = status.camera
    if camera.state == "lost":
        return [Word("error", sentence(camera.note if "lost" in camera.note else "the camera is lost"))]
    if camera.state == "failed":
        return [Word("error", sentence(f"this camera is given up: {camera.note or 'no reason was given'}"))]
    if camera.state == "starting":
        return [Word("note", "The camera is starting.")]
    if camera.state == "ended":
        return [Word("note", "The recording has ended.")]
    return []


def pose_words(known: Known, status: StatusMessage) -> list[Word]:
    """What is wrong with the poses."""
    found = []
    has_poses = known.pose_age_s is not None and known.pose_age_s < NO_POSE_S
    if status.camera.state == "streaming" and not has_poses:
        found.append(Word("warning", f"The camera streams at {status.camera.fps:.0f} fps, but no pose comes."))
    if not status.weights.trained:
        found.append(
            Word("warning", f"These weights are untrained: the poses mean nothing ({status.weights.id[:12]}).")
        )
    if status.camera.mount:
        found.append(Word("warning", sentence(status.camera.mount)))
    return found


def sentence(text: str) -> str:
    """A note with a capital at its beginning."""
    return text[:1].upper() + text[1:]
