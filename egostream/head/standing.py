"""Where the camera sits on the head, from a wearer who stands straight and looks ahead.

A body that stands straight says which way is up, and its hips and shoulders which way is right. A head that looks ahead
has the same axes. So the turn between camera and head is known. No joint shows the headset. The place of the camera is
guessed from where eyes typically are above the shoulders, unless it was measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from egostream.errors import EgostreamError
from egostream.head.rotations import matrix, nearest_rotation
from egostream.publish.client import TrackedPose
from egostream.skeleton import BONES, JOINTS, STATURE_OF_BONES

AGAIN = "Stand straight with feet together, look ahead at eye level, hold still, and try again"
#: Degrees. Poses of a still wearer scatter by 1 to 3; a knee that looks straight is within 25 for the network.
MOST_SCATTER_DEG, MOST_BEND_DEG = 6.0, 35.0
LEAST_CONFIDENCE, LEAST_POSES = 0.3, 10
#: From the middle of the shoulders' joints to the eyes of somebody who stands straight, as shares of the stature, in
#: the head's axes (right, up, backward). Up: Winter's segment table (Drillis and Contini 1964), eyes at 0.936 and
#: shoulders at 0.818 of the stature. Ahead: eyes 9 cm before the ear, which is above the shoulder, at 1.75 m.
EYES_FROM_SHOULDERS = np.array([0.0, 0.118, -0.05])
#: A camera is nearer to the eyes than this, metres, or the poses are wrong.
FARTHEST_CAMERA_M = 0.5
SHOULDERS = [JOINTS.index(f"{side}_shoulder") for side in ("right", "left")]
#: The joints that say it, by name.
NEEDED = [JOINTS.index(f"{side}_{name}") for side in ("right", "left") for name in ("shoulder", "hip", "knee", "ankle")]


@dataclass(frozen=True)
class Standing:
    """The turn between camera and head, how sure it is, and where the camera would sit on typical people."""

    rotation: np.ndarray  # [3, 3] camera axes -> head axes (OpenXR)
    scatter_deg: float  # of single poses about it
    poses: int
    position: np.ndarray  # [3] metres from the eyes, in the head's axes: guessed
    stature_m: float  # of the joints that were seen, by their bones


def standing_rotation(poses: list[TrackedPose]) -> Standing:
    """The turn from camera axes into the head's, of poses of one wearer who stands. Raises EgostreamError."""
    seen = [pose for pose in poses if pose.confidence[NEEDED].mean() >= LEAST_CONFIDENCE]
    if len(seen) < LEAST_POSES:
        raise EgostreamError(
            f"{len(seen)} of {len(poses)} poses show shoulders, hips, knees and ankles; {LEAST_POSES} are needed. "
            f"{AGAIN}"
        )
    bend_deg = float(np.median([bend(pose.joints) for pose in seen]))
    if bend_deg > MOST_BEND_DEG:
        raise EgostreamError(f"the legs are bent by {bend_deg:.0f} degrees from hip to ankle. {AGAIN}")
    turns = np.array([head_from_camera(pose) for pose in seen])
    mean = nearest_rotation(turns.mean(axis=0))
    scatter_deg = float(np.median([turn_deg(turn @ mean.T) for turn in turns]))
    if scatter_deg > MOST_SCATTER_DEG:
        raise EgostreamError(f"the pose moved by {scatter_deg:.1f} degrees meanwhile. {AGAIN}")
    joints = np.median([pose.joints for pose in seen], axis=0)
    stature_m = STATURE_OF_BONES * sum(float(np.linalg.norm(joints[a] - joints[b])) for a, b in BONES)
    position = -(mean @ joints[SHOULDERS].mean(0) + stature_m * EYES_FROM_SHOULDERS)
    if not np.linalg.norm(position) < FARTHEST_CAMERA_M:
        raise EgostreamError(
            f"the camera would sit {np.linalg.norm(position):.2f} m from the eyes, by the shoulders. {AGAIN}, or "
            "measure it: --position RIGHT UP BACKWARD"
        )
    return Standing(mean, scatter_deg, len(seen), position, stature_m)


def head_from_camera(pose: TrackedPose) -> np.ndarray:
    """The rotation [3, 3] of camera axes into the head's, by one pose.

    Its rows are the head's right, up and backward in camera axes. Where the headset told its pose, the head need not be
    level: up is then the room's.
    """
    right, up = right_and_up(pose.joints)
    body_from_camera = np.array([right, up, np.cross(right, up)])
    return tilt_of_head(pose) @ body_from_camera


def tilt_of_head(pose: TrackedPose) -> np.ndarray:
    """The rotation [3, 3] of an upright body that looks where the head does into the head's axes.

    The head's own turn about the room's up is taken away: the body faces where the head does. Unknown: no tilt.
    """
    orientation = getattr(pose.message.head, "orientation", None)
    if not isinstance(orientation, list):
        return np.eye(3)
    world_from_head = matrix(np.array(orientation))
    backward = world_from_head[:, 2] * [1.0, 0.0, 1.0]
    backward /= max(1e-9, float(np.linalg.norm(backward)))
    up = np.array([0.0, 1.0, 0.0])
    world_from_body = np.column_stack([np.cross(up, backward), up, backward])
    return world_from_head.T @ world_from_body


def right_and_up(joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit directions [3] of a standing body in camera axes: to its right, and from its ankles to its shoulders."""
    at = lambda name: joints[JOINTS.index(name)]
    shoulders, ankles = (at(f"right_{name}") + at(f"left_{name}") for name in ("shoulder", "ankle"))
    up = (shoulders - ankles) / 2
    up = up / np.linalg.norm(up)
    across = at("right_hip") - at("left_hip") + at("right_shoulder") - at("left_shoulder")
    right = across - (across @ up) * up
    return right / np.linalg.norm(right), up


def bend(joints: np.ndarray) -> float:
    """How far the more bent leg is from straight, degrees between thigh and shin."""
    bends = []
    for side in ("right", "left"):
        hip, knee, ankle = (joints[JOINTS.index(f"{side}_{name}")] for name in ("hip", "knee", "ankle"))
        thigh, shin = knee - hip, ankle - knee
        cosine = thigh @ shin / (np.linalg.norm(thigh) * np.linalg.norm(shin))
        bends.append(float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))))
    return max(bends)


def turn_deg(rotation: np.ndarray) -> float:
    """The angle of a rotation, degrees."""
    return float(np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1))))


def typed_rotation(pitch_deg: float, yaw_deg: float, roll_deg: float) -> np.ndarray:
    """The turn [3, 3] of camera axes into the head's, of a camera whose mounting angles were measured.

    pitch: how far the optical axis points below the horizon (90: straight down). yaw: to the wearer's left. roll: the
    camera turned counter-clockwise about its axis, as seen from behind it. All 0: it looks straight ahead.
    """
    pitch, yaw, roll = np.radians([-pitch_deg, yaw_deg, roll_deg])
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    about_z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    return about_y @ about_x @ about_z @ np.diag([1.0, -1.0, -1.0])
