"""Settings that a recording brings along, for what plays it."""

from __future__ import annotations

import os
from typing import Any

from egostream.capture.source_text import mcap_of
from egostream.record.mcap_library import check_mcap

#: Of the camera and its wearer: any run that plays a recording takes them from it.
OF_CAMERA = ("rotate", "flip", "force", "stature", "rays", "filter", "filter_cutoff_hz", "filter_beta")
#: Of the network and what runs it: a replay takes these, too, so that it gives the same poses.
OF_ENGINE = ("weights", "backend", "preset", "precision", "temporal", "motion", "threads")


def settings_of_camera(source: str) -> dict[str, Any]:
    """The recorded settings of a source's camera and wearer; none of what is no recording. Raises EgostreamError."""
    return recorded_settings(source, OF_CAMERA)


def settings_of_replay(source: str) -> dict[str, Any]:
    """All recorded settings that poses depend on. Raises EgostreamError."""
    settings = recorded_settings(source, (*OF_CAMERA, *OF_ENGINE))
    if not os.path.isdir(str(settings.get("weights", ""))):  # of another machine, it may be; the check compares ids
        settings.pop("weights", None)
    return settings


def settings_of_preset(source: str) -> dict[str, Any]:
    """As ``settings_of_replay``, without what a preset stands for: another one is to decide it."""
    settings = settings_of_replay(source)
    return {key: value for key, value in settings.items() if key not in ("precision", "temporal", "motion", "filter")}


def recorded_settings(source: str, keys: tuple[str, ...]) -> dict[str, Any]:
    """Those of a source's recorded settings that are among ``keys``. Raises EgostreamError where it is damaged."""
    if not (mcap := mcap_of(source)):
        return {}
    check_mcap()
    from egostream.record.reader import RecordingReader  # needs the libraries of MCAP files

    path, stream = mcap
    settings = RecordingReader(path).about.stream(stream).settings()
    return {key: settings[key] for key in keys if key in settings}
