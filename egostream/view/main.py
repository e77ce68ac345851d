"""The viewer's process: serves the page of one run."""

from __future__ import annotations

import asyncio
import os

from egostream.handover.companion import Companion
from egostream.view.server import show
from egostream.view.settings import ViewSettings

#: The pipeline goes first where both want a core.
NICENESS = 5


def run(settings: ViewSettings, companion: Companion) -> None:
    """Serve the page beside a run, until the run ends. Raises EgostreamError where the port cannot be had."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    asyncio.run(show(settings, companion.should_stop, companion.say))
