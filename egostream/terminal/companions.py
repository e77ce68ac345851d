"""Which clients a run starts beside itself."""

from __future__ import annotations

from egostream.config import RunConfig
from egostream.supervise.processes import CompanionSpec
from egostream.view.settings import settings_beside


def companions_of(config: RunConfig) -> list[CompanionSpec]:
    """The companions that a run's settings ask for. Raises EgostreamError for one that could not work."""
    companions = []
    if config.view:
        companions.append(CompanionSpec("view", "egostream.view.main:run", settings_beside(config)))
    return companions
