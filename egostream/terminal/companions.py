"""Which clients a run starts beside itself."""

from __future__ import annotations

from egostream.config import RunConfig
from egostream.supervise.processes import CompanionSpec


def companions_of(config: RunConfig) -> list[CompanionSpec]:
    """The companions that a run's settings ask for."""
    return []
