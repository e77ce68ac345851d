"""Captured motion as points in .npz files.

A file holds many clips of 22 points, Y up, 30 frames a second:

    positions float [N, 22, 3] metres, head [N, 4] unit quaternion (w, x, y, z) head to world (X left, Y crown, Z gaze),
    clip_start int [C + 1], names [C]: clip c is the rows from clip_start[c] to clip_start[c + 1]

``POINTS`` names the points. Points become turns of segments: those of the limbs point along their bones, whatever
their twist, which moves no joint.
"""

from __future__ import annotations

import contextlib
import io
import zipfile
from dataclasses import replace

import numpy as np

from tools.synthetic.movement.movement import Movement
from tools.synthetic.movement.recording import Unusable, recorded_movement
from tools.synthetic.movement.rotations import apply, from_quaternion, slerp, unit
from tools.synthetic.movement.segments import BALL, INDEX, OFFSETS, SEGMENTS, TIP

FPS = 30.0
POINTS = (
    "head_end", "head", "neck",
    "shoulder_l", "elbow_l", "wrist_l", "hand_l", "shoulder_r", "elbow_r", "wrist_r", "hand_r",
    "hip_l", "knee_l", "ankle_l", "toe_l", "hip_r", "knee_r", "ankle_r", "toe_r",
    "pelvis", "spine", "chest",
)  # fmt: skip
POINT = {name: k for k, name in enumerate(POINTS)}
#: Direction from the ankle to the end of the toes in the T-pose.
TOES = unit(OFFSETS[INDEX["toe_r"]] + TIP)
assert BALL[2] > 0  # the T-pose faces +Z, as TOES presumes


def movements_of_points(data: bytes, name: str) -> list[Movement]:
    """The clips in a .npz file's content that are long enough. Raises Unusable when it is not of the layout above."""
    try:
        with np.load(io.BytesIO(data)) as stored:
            positions, head = stored["positions"].astype(float), stored["head"].astype(float)
            starts, names = stored["clip_start"], [str(clip) for clip in stored["names"]]
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise Unusable(f"no clips of points ({error})") from None
    if positions.shape[1:] != (len(POINTS), 3) or head.shape != (len(positions), 4) or len(starts) != len(names) + 1:
        raise Unusable(
            f"positions {positions.shape}, head {head.shape}, {len(starts)} clip_start, {len(names)} names: "
            f"expected [N, {len(POINTS)}, 3], [N, 4], C + 1, C"
        )
    if not (np.isfinite(positions).all() and np.isfinite(head).all()):
        raise Unusable("a position or a head's quaternion is not finite")
    found = []
    for clip, start, stop in zip(names, starts[:-1], starts[1:]):
        with contextlib.suppress(Unusable):  # too short to show a movement
            found.append(movement_of_points(clip, positions[start:stop], unit(head[start:stop])))
    if not found:
        raise Unusable("no clip is long enough")
    return [replace(movement, source=f"{name}: {movement.name}") for movement in found]


def movement_of_points(name: str, points: np.ndarray, head: np.ndarray) -> Movement:
    """The movement of points [F, 22, 3] and head quaternions [F, 4]. Raises Unusable for a clip that is too short."""
    at = lambda point: points[:, POINT[point]]
    hips = (at("hip_l") + at("hip_r")) / 2
    turns = np.tile(np.eye(3), (len(points), len(SEGMENTS), 1, 1))
    pelvis = upright(at("hip_l") - at("hip_r"), at("chest") - hips)
    chest = upright(at("shoulder_l") - at("shoulder_r"), at("neck") - at("chest"))
    skull = from_quaternion(head)
    half = np.full(len(points), 0.5)
    trunk = {"pelvis": pelvis, "spine": slerp(pelvis, chest, half), "chest": chest}
    trunk |= {"neck": slerp(chest, skull, half), "head": skull, "clavicle_l": chest, "clavicle_r": chest}
    for segment, turn in trunk.items():
        turns[:, INDEX[segment]] = turn
    for side in "lr":
        set_arm(turns, side, chest, at)
        set_leg(turns, side, pelvis, at)
    leg = np.mean([length(at(f"hip_{s}") - at(f"knee_{s}")) + length(at(f"knee_{s}") - at(f"ankle_{s}")) for s in "lr"])
    return recorded_movement(name, FPS, hips, float(leg), turns)


def set_arm(turns: np.ndarray, side: str, chest: np.ndarray, at) -> None:
    """Set the turns [F, 21, 3, 3] of one arm's segments to point along its bones."""
    out = np.array([1.0 if side == "l" else -1.0, 0, 0])
    upper = along(chest, out, at(f"elbow_{side}") - at(f"shoulder_{side}"))
    fore = along(upper, out, at(f"wrist_{side}") - at(f"elbow_{side}"))
    for segment, turn in (("upperarm", upper), ("forearm", fore), ("hand", fore)):
        turns[:, INDEX[f"{segment}_{side}"]] = turn


def set_leg(turns: np.ndarray, side: str, pelvis: np.ndarray, at) -> None:
    """Set the turns [F, 21, 3, 3] of one leg's segments to point along its bones."""
    down = np.array([0, -1.0, 0])
    thigh = along(pelvis, down, at(f"knee_{side}") - at(f"hip_{side}"))
    calf = along(thigh, down, at(f"ankle_{side}") - at(f"knee_{side}"))
    foot = along(calf, TOES, at(f"toe_{side}") - at(f"ankle_{side}"))
    for segment, turn in (("thigh", thigh), ("calf", calf), ("foot", foot), ("toe", foot)):
        turns[:, INDEX[f"{segment}_{side}"]] = turn


def length(v: np.ndarray) -> np.ndarray:
    """Lengths [F] of vectors [F, 3]."""
    return np.linalg.norm(v, axis=-1)


def upright(left: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Turns [F, 3, 3] of what has ``left`` [F, 3] as its X axis, and a Y axis as near to ``up`` [F, 3] as may be."""
    x = unit(left)
    z = unit(np.cross(x, up))
    return np.stack([x, np.cross(z, x), z], -1)


def along(turn: np.ndarray, axis: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Turns [F, 3, 3] next to ``turn`` [F, 3, 3] that take ``axis`` [3] to ``direction`` [F, 3].

    They are ``turn`` and the smallest rotation after it: R = I + K + K K / (1 + cosine), K v = (from x to) x v.
    """
    start, stop = apply(turn, axis), unit(direction)
    v, cosine = np.cross(start, stop), np.sum(start * stop, -1)[..., None, None]
    zero = np.zeros(len(v))
    K = np.stack([zero, -v[:, 2], v[:, 1], v[:, 2], zero, -v[:, 0], -v[:, 1], v[:, 0], zero], -1).reshape(-1, 3, 3)
    return (np.eye(3) + K + K @ K / np.maximum(1 + cosine, 1e-3)) @ turn
