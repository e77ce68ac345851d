"""egostream: live 3D body poses from a head-mounted fisheye camera."""

__version__ = "0.1.0"


def __getattr__(name: str):
    # Lazily, so that the worker processes do not import what only clients need.
    if name in ("PoseSubscriber", "TrackedPose"):
        from egostream.publish import client

        return getattr(client, name)
    raise AttributeError(f"module 'egostream' has no attribute {name!r}")
