"""egostream: live 3D body poses from a head-mounted fisheye camera."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from egostream.publish.client import PoseSubscriber, TrackedPose

__version__ = "0.1.0"
__all__ = ["PoseSubscriber", "TrackedPose"]


def __getattr__(name: str) -> Any:
    # Lazily, so that the worker processes do not import what only clients need.
    if name in __all__:
        from egostream.publish import client

        return getattr(client, name)
    raise AttributeError(f"module 'egostream' has no attribute {name!r}")
