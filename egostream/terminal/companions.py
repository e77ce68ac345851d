"""Which clients a run starts beside itself."""

from __future__ import annotations

from pathlib import Path

from egostream.bridge.beside import bridges_beside
from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.metrics.settings import metrics_beside
from egostream.publish.endpoints import local_endpoint
from egostream.record.settings import RecordSettings, check_recorder
from egostream.supervise.processes import CompanionSpec
from egostream.view.settings import settings_beside


def companions_of(config: RunConfig) -> list[CompanionSpec]:
    """The companions that a run's settings ask for. Raises EgostreamError for what they could not do."""
    check_admitted(config)
    companions = [recorder_of(config)] if config.record else []
    companions += [
        CompanionSpec(f"bridge {one.kind}", "egostream.bridge.beside:run", one) for one in bridges_beside(config)
    ]
    if config.metrics:
        companions.append(CompanionSpec("metrics", "egostream.metrics.main:run", metrics_beside(config)))
    if config.view:
        companions.append(CompanionSpec("view", "egostream.view.main:run", settings_beside(config)))
    return companions


def check_admitted(config: RunConfig) -> None:
    """Raise EgostreamError for companions of a run that admits known clients only: they have no key."""
    for name in ("record", "bridge", "view"):
        if config.client_keys and getattr(config, name):
            raise EgostreamError(
                f"--{name} has no key that --client-keys admits. In another terminal, with a key of yours: "
                f"egostream {name}{' KIND' * (name == 'bridge')} --server-key SERVER.key --client-key YOURS.key_secret"
            )


def recorder_of(config: RunConfig) -> CompanionSpec:
    """The recorder of a run. Raises EgostreamError where it could not record."""
    if not config.control:
        raise EgostreamError("--record asks the run for its pictures: it needs a --control endpoint")
    check_recorder(Path(config.record))
    settings = RecordSettings(
        Path(config.record),
        local_endpoint(config.publish),
        config.control,
        keys=(config.server_key, ""),
        is_with_run=True,
    )
    return CompanionSpec("record", "egostream.record.companion:run", settings)
