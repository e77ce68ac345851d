"""``egostream run --record``: the recorder that a run starts and ends with itself."""

from __future__ import annotations

from egostream.errors import EgostreamError
from egostream.handover.companion import Companion
from egostream.record.recorder import Recorder, RecordSettings


def run(settings: RecordSettings, companion: Companion) -> None:
    """Record until the run ends. What can go wrong ends the recording, and never the run."""
    if companion.restarts:
        raise EgostreamError(
            f"it died, and {settings.path} ends there. What is in it can be read; it is not gone on with"
        )
    recorded = Recorder(settings).run(companion.should_stop)
    companion.say(recorded.text())
    if not companion.should_stop():
        raise EgostreamError(recorded.reason)
