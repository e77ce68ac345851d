"""egostream: live 3D body poses from a head-mounted fisheye camera."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from egostream.errors import EgostreamError
    from egostream.publish.client import PoseSubscriber, TrackedPose
    from egostream.told import Told
    from egostream.track.tracker import Tracker
    from egostream.types import Pose

__version__ = "0.1.0"
__all__ = ["EgostreamError", "Pose", "PoseSubscriber", "Told", "TrackedPose", "Tracker"]

#: Where each public name is defined.
HOMES = {
    "EgostreamError": "egostream.errors",
    "Pose": "egostream.types",
    "PoseSubscriber": "egostream.publish.client",
    "Told": "egostream.told",
    "TrackedPose": "egostream.publish.client",
    "Tracker": "egostream.track.tracker",
}


def __getattr__(name: str) -> Any:
    # Lazily, so that the worker processes do not import what only users need.
    if name in HOMES:
        return getattr(import_module(HOMES[name]), name)
    raise AttributeError(f"module 'egostream' has no attribute {name!r}")
