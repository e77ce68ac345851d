"""The metrics' process: reads what a run publishes, and tells whoever asks."""

from __future__ import annotations

import contextlib
import os

import psutil

from egostream.errors import EgostreamError
from egostream.handover.companion import Companion
from egostream.metrics.figures import Figures
from egostream.metrics.server import serving
from egostream.metrics.settings import MetricsSettings
from egostream.publish.client import PoseSubscriber

#: The pipeline goes first where both want a core.
NICENESS = 5
#: How often it is looked whether the run has ended, seconds.
LOOK_S = 0.2


def run(settings: MetricsSettings, companion: Companion) -> None:
    """Serve a run's figures until it ends. Raises EgostreamError where the port cannot be had."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    parent = companion.parent
    figures = Figures(psutil.Process(parent.pid) if parent is not None else None)
    keys = settings.server_key
    with PoseSubscriber(settings.endpoint, None, every=True, server_key=keys) as poses:
        with serving(settings, figures.registry):
            while not companion.should_stop():
                take(poses, figures)


def take(poses: PoseSubscriber, figures: Figures) -> None:
    """Wait for the next pose and take it, and all statuses that came. What cannot be read is left out."""
    with contextlib.suppress(EgostreamError):  # half a message, of a process that was just killed
        if (pose := poses.newest(LOOK_S)) is not None:
            figures.add_pose(pose.message)
    with contextlib.suppress(EgostreamError):
        while (status := poses.new_status()) is not None:
            figures.add_status(status)
