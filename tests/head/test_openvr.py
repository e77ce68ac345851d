"""The adapter for SteamVR: against the library's own types, and without a runtime."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from processes import egostream
from scipy.spatial.transform import Rotation

if importlib.util.find_spec("openvr") is None:
    pytest.skip("pip install openvr", allow_module_level=True)

import openvr

from egostream.head.openvr_headset import follow, headset_pose
from egostream.head.rotations import matrix


class SteamVr:
    """Answers as IVRSystem does, in the library's structures; after some poses it asks its programs to end."""

    def __init__(self, rotation: Rotation, position, states: list[tuple[bool, int]]):
        self.rows, self.states, self.asked = np.column_stack([rotation.as_matrix(), position]), states, 0

    def getDeviceToAbsoluteTrackingPose(self, origin, seconds, poses):
        assert origin == openvr.TrackingUniverseStanding and seconds == 0.0
        assert isinstance(poses, openvr.TrackedDevicePose_t * openvr.k_unMaxTrackedDeviceCount)
        headset = poses[openvr.k_unTrackedDeviceIndex_Hmd]
        headset.bPoseIsValid, headset.eTrackingResult = self.states[min(self.asked, len(self.states) - 1)]
        for row in range(3):
            for column in range(4):
                headset.mDeviceToAbsoluteTracking.m[row][column] = self.rows[row, column]
        self.asked += 1
        return poses

    def pollNextEvent(self, event):
        assert isinstance(event, openvr.VREvent_t)
        event.eventType = openvr.VREvent_Quit if self.asked >= len(self.states) else openvr.VREvent_None
        return self.asked >= len(self.states)


OK = True, openvr.TrackingResult_Running_OK


def test_the_headsets_matrix_becomes_a_pose():
    turn = Rotation.from_euler("YXZ", [2.5, -0.4, 0.1])
    pose = headset_pose(SteamVr(turn, [0.5, 1.6, -0.3], [OK]))
    assert np.allclose(pose.position, [0.5, 1.6, -0.3])
    assert np.allclose(matrix(pose.orientation), turn.as_matrix(), atol=1e-6)  # the structure is of single precision


@pytest.mark.parametrize(
    "state", [(False, openvr.TrackingResult_Running_OK), (True, openvr.TrackingResult_Running_OutOfRange)]
)
def test_a_headset_that_is_not_tracked_has_no_pose(state):
    assert headset_pose(SteamVr(Rotation.identity(), [0, 0, 0], [state])) is None


def test_poses_are_sent_until_steamvr_ends():
    sent, said = [], []
    sender = type("Sender", (), {"send": lambda self, pose, t_ns: sent.append(t_ns)})()
    lost = False, openvr.TrackingResult_Running_OK
    follow(SteamVr(Rotation.identity(), [0, 1, 0], [OK, OK, lost, lost, OK]), sender, 500.0, 0, said.append)
    assert len(sent) == 3 and sent == sorted(set(sent))
    assert said == ["the headset is not tracked; waiting", "the headset is tracked", "SteamVR ended"]


def test_without_steamvr_one_line_says_so(tmp_path):
    import os

    done = egostream("head", "openvr", env={**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)})
    assert done.returncode == 1 and not done.stdout
    assert len(done.stderr.splitlines()) == 1 and "Start SteamVR" in done.stderr
