"""What a run tells of a stream to those who record it: all that its poses depend on, and nothing secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from egostream import __version__
from egostream.calibration.file import as_json, canonical_calibration
from egostream.config import RunConfig, as_toml, filter_name
from egostream.redact import without_password
from egostream.run_setup import RunSetup


def description(setup: RunSetup, number: int) -> dict[str, Any]:
    """The answer to ``describe``: version, calibration as our JSON, settings as TOML.

    Frames that are taken for the canonical camera's have the calibration of the upright picture.
    """
    stream = setup.streams[number]
    config = settings_in_use(setup, stream.config)
    upright = canonical_calibration(setup.weights.input.calibration) if config.assume_canonical else stream.camera
    return {
        "version": __version__,
        "calibration": as_json(upright),
        "config": as_toml(config),
    }


def settings_in_use(setup: RunSetup, config: RunConfig) -> RunConfig:
    """A stream's settings with what ``auto`` stood for, without passwords, and without where its
    sockets and keys are."""
    return msgspec.structs.replace(
        config,
        source=without_password(config.source),
        weights=str(Path(config.weights).resolve()) if config.weights else "",
        backend=setup.backend,
        precision=setup.precision,
        temporal=setup.weights.temporal,
        motion=setup.motion,
        filter=filter_name(config),
        assume_canonical=config.assume_canonical or (config.source == "sample" and not config.calibration),
        publish="",
        control="",
        server_key="",
        client_keys="",
        record="",
        metrics="",
    )
