"""Captured motion to simulate from: BVH and DeepMimic as the renderer reads them, and points in .npz files.

A .npz file holds many clips of 22 points, Y up, 30 frames a second:

    positions float [N, 22, 3] metres, head [N, 4] unit quaternion (w, x, y, z) head to world (X left, Y crown, Z gaze),
    clip_start int [C + 1], names [C]: clip c is the rows from clip_start[c] to clip_start[c + 1]

``POINTS`` names the points. Points become turns of segments: those of the limbs point along their bones, whatever
their twist, which moves no joint.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from egostream.errors import EgostreamError
from tools.synthetic.movement.clips import pieces, read_clips
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


def read_motion(paths: Collection[Path], held_out: Collection[str] = ()) -> list[Movement]:
    """Every captured clip at some paths but those that are held out, by their names, sorted.

    Raises EgostreamError where a path holds none.
    """
    movements = [movement for path in paths for movement in movements_at(Path(path))]
    left_out = {plain_name(name) for name in held_out}
    return sorted(
        (one for one in movements if plain_name(one.name) not in left_out), key=lambda one: (one.name, one.source)
    )


def plain_name(name: str) -> str:
    """A take's name without what differs between collections: 002_03, 02_03#2 and 02_03[5:90] are one take."""
    return re.sub(r"(^|_)0+(?=\d)", r"\1", re.split(r"[\[#]", name)[0])


def movements_at(path: Path) -> Iterator[Movement]:
    """The clips of a .npz file, of a folder of such files, or of what ``read_clips`` reads. Raises EgostreamError."""
    files = sorted(path.glob("*.npz")) if path.is_dir() else [path] if path.suffix == ".npz" else []
    if not files:
        yield from read_clips(path)
    for file in files:
        yield from movements_of_points(file)


def movements_of_points(path: Path) -> Iterator[Movement]:
    """The clips of one .npz file that are usable. Raises EgostreamError when it is not of the layout above."""
    try:
        with np.load(path) as stored:
            positions, head = stored["positions"].astype(float), stored["head"].astype(float)
            starts, names = stored["clip_start"], [str(name) for name in stored["names"]]
    except (OSError, KeyError, ValueError) as error:
        raise EgostreamError(f"{path} holds no clips of points ({error}). See tools/train_motion.py --help") from None
    if positions.shape[1:] != (len(POINTS), 3) or len(starts) != len(names) + 1:
        raise EgostreamError(f"{path}: positions are {positions.shape}, expected [N, {len(POINTS)}, 3]")
    for name, start, stop in zip(names, starts[:-1], starts[1:]):
        try:
            yield from pieces(movement_of_points(name, positions[start:stop], unit(head[start:stop])))
        except Unusable:
            continue  # too short, or jumping: nothing to learn from


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
