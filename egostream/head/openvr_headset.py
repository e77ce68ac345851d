"""The headset's pose from SteamVR, by the OpenVR library.

OpenVR's axes are OpenXR's: x right, y up, z backward; metres. It keeps no history: the pose is asked for often.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from egostream.errors import EgostreamError
from egostream.head.rotations import nearest_rotation, quaternion
from egostream.head.sender import HeadPose, HeadSender

SPACE = "openvr standing"


def open_openvr() -> Any:
    """The running SteamVR. Raises EgostreamError where the library or SteamVR is missing; it never starts SteamVR."""
    try:
        import openvr
    except ImportError:
        raise EgostreamError("the package openvr is missing: pip install 'egostream[openvr]'") from None
    try:
        with without_native_lines():
            return openvr.init(openvr.VRApplication_Background)
    except openvr.OpenVRError as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise EgostreamError(
            f"no SteamVR to ask for the headset's pose: {reason}. Start SteamVR with the headset on, then this command"
        ) from None


@contextmanager
def without_native_lines() -> Iterator[None]:
    """Context in which what a library prints past Python goes nowhere: the error says it in our words."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def headset_pose(system: Any) -> HeadPose | None:
    """The headset's pose now; None while it is not tracked. system: as ``open_openvr`` gives it."""
    import openvr

    poses = (openvr.TrackedDevicePose_t * openvr.k_unMaxTrackedDeviceCount)()
    system.getDeviceToAbsoluteTrackingPose(openvr.TrackingUniverseStanding, 0.0, poses)
    headset = poses[openvr.k_unTrackedDeviceIndex_Hmd]
    if not headset.bPoseIsValid or headset.eTrackingResult != openvr.TrackingResult_Running_OK:
        return None
    rows = np.array([list(row) for row in headset.mDeviceToAbsoluteTracking.m], float)
    return HeadPose(rows[:, 3], quaternion(nearest_rotation(rows[:, :3])), space=SPACE)


def has_ended(system: Any) -> bool:
    """Whether SteamVR asked its programs to end."""
    import openvr

    event = openvr.VREvent_t()
    while system.pollNextEvent(event):
        if event.eventType == openvr.VREvent_Quit:
            return True
    return False


def follow(system: Any, sender: HeadSender, rate_hz: float, latency_ns: int, say: Callable[[str], None]) -> None:
    """Send the headset's pose at a rate until SteamVR ends. latency_ns: how old a pose is when it is asked for."""
    was_tracked, period_s = True, 1 / rate_hz
    while not has_ended(system):
        t_ns = time.monotonic_ns()
        pose = headset_pose(system)
        if pose is not None:
            sender.send(pose, t_ns - latency_ns)
        if was_tracked != (pose is not None):
            was_tracked = pose is not None
            say("the headset is tracked" if was_tracked else "the headset is not tracked; waiting")
        time.sleep(max(0.0, period_s - (time.monotonic_ns() - t_ns) / 1e9))
    say("SteamVR ended")
