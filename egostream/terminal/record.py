"""What ``egostream record`` shows."""

from __future__ import annotations

import sys

from egostream.record.settings import RecordSettings, check_recorder
from egostream.supervise.signals import stop_signals


def record_stream(settings: RecordSettings) -> None:
    """Record until the time is over, Ctrl-C, or the run's end. Raises EgostreamError where nothing could be."""
    check_recorder(settings.path)
    from egostream.record.recorder import Recorder

    is_told_to_stop = False

    def stop() -> None:
        nonlocal is_told_to_stop
        is_told_to_stop = True

    with stop_signals(stop):
        recorder = Recorder(settings)
        print(f"recording {', '.join(recorder.totals)} into {settings.path}; Ctrl-C ends it", file=sys.stderr)
        recorded = recorder.run(lambda: is_told_to_stop)
    print(recorded.text() + (f" ({recorded.reason})" if not is_told_to_stop else ""))
