"""DeepMimic's JSON clips as movements."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from tools.synthetic.movement.movement import Movement, sampled
from tools.synthetic.movement.recording import MIN_FRAMES, RELAXED_GRIP, Unusable, recorded_movement
from tools.synthetic.movement.rotations import (
    about,
    from_quaternion,
    heading,
    slerp,
    transpose,
    unit,
)
from tools.synthetic.movement.segments import SEGMENTS, global_rotations, local_rotations

#: The numbers of a frame: duration, the root's position, then for each joint a quaternion (w, x, y, z) or an angle.
DEEPMIMIC_JOINTS = (
    ("root", 4), ("chest", 4), ("neck", 4),
    ("hip_r", 4), ("knee_r", 1), ("ankle_r", 4), ("shoulder_r", 4), ("elbow_r", 1),
    ("hip_l", 4), ("knee_l", 1), ("ankle_l", 4), ("shoulder_l", 4), ("elbow_l", 1),
)  # fmt: skip


DEEPMIMIC_WIDTH = 4 + sum(size for _, size in DEEPMIMIC_JOINTS)


DEEPMIMIC_LEG = 0.421546 + 0.409870  # metres, thigh and calf of its one humanoid


#: Its world to ours: it faces +X with its right towards +Z, and lets the arms hang. Y is up in both.
FROM_DEEPMIMIC = np.array([[0, 0, -1.0], [0, 1, 0], [1, 0, 0]])


LOOP_SECONDS = 4.0  # clips that wrap are shorter than this, most of them one stride, and are repeated up to it


def movement_of_deepmimic(text: str, name: str) -> Movement:
    """The movement in a file's text, repeated when it is a loop. Raises Unusable for a damaged file."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise Unusable(f"damaged ({error})") from None
    if not isinstance(data, dict) or "Frames" not in data:
        raise Unusable("JSON without Frames: no motion")
    try:
        frames = np.array(data["Frames"], float)
    except (TypeError, ValueError):
        frames = np.zeros(0)
    if frames.ndim != 2 or frames.shape[1] != DEEPMIMIC_WIDTH or not np.isfinite(frames).all():
        raise Unusable(f"damaged: its Frames are no table of {DEEPMIMIC_WIDTH} finite numbers a row")
    durations = frames[:-1, 0]  # the last frame's is of no use, and 0 in most files
    if len(frames) < MIN_FRAMES or not (durations > 0).all():
        raise Unusable(f"{len(frames)} frames, or frames that last no time")
    movement = recorded_movement(
        name, 1 / np.median(durations), frames[:, 1:4] @ FROM_DEEPMIMIC.T, DEEPMIMIC_LEG, deepmimic_rotations(frames)
    )
    if np.ptp(durations) > 0.01 * np.median(durations):
        times = np.concatenate([[0], np.cumsum(durations)])
        movement = sampled(
            movement, np.interp(np.arange(0, times[-1], 1 / movement.fps), times, np.arange(len(frames))), movement.fps
        )
    return looped(movement, LOOP_SECONDS) if data.get("Loop") == "wrap" else movement


def deepmimic_rotations(frames: np.ndarray) -> np.ndarray:
    """Rotations [F, 21, 3, 3] relative to our T-pose."""
    local, column = {}, 4
    for joint, size in DEEPMIMIC_JOINTS:
        values = frames[:, column : column + size]
        local[joint] = from_quaternion(unit(values)) if size == 4 else about("Z", values[:, 0])
        column += size
    root, chest = local["root"], local["root"] @ local["chest"]
    head = chest @ local["neck"]
    G = {
        "pelvis": root,
        "spine": slerp(root, chest, 0.5),
        "chest": chest,
        "neck": slerp(chest, head, 0.5),
        "head": head,
    }
    for side, s in (("r", -1), ("l", 1)):
        lowered = about("X", -s * np.pi / 2)  # an arm from the T-pose to hanging, in DeepMimic's axes
        G[f"clavicle_{side}"] = chest
        upperarm = chest @ local[f"shoulder_{side}"]
        forearm = upperarm @ local[f"elbow_{side}"]
        G[f"upperarm_{side}"], G[f"forearm_{side}"], G[f"hand_{side}"] = (
            upperarm @ lowered,
            forearm @ lowered,
            forearm @ lowered,
        )
        thigh = root @ local[f"hip_{side}"]
        calf = thigh @ local[f"knee_{side}"]
        foot = calf @ local[f"ankle_{side}"]
        G[f"thigh_{side}"], G[f"calf_{side}"], G[f"foot_{side}"], G[f"toe_{side}"] = thigh, calf, foot, foot
    return FROM_DEEPMIMIC @ np.stack([G[segment] for segment in SEGMENTS], 1) @ FROM_DEEPMIMIC.T


def looped(movement: Movement, seconds: float) -> Movement:
    """A cyclic clip repeated to ``seconds``: each cycle starts where and facing as the one before it ended.

    What the last frame's pose lacks to the first one's is made up for over the last third of the cycle.
    """
    F = len(movement)
    turned = about("Y", heading(movement.rotations[-1, 0]) - heading(movement.rotations[0, 0]))
    local = local_rotations(movement.rotations)
    goal = local[0].copy()
    goal[0] = turned @ goal[0]
    closing = np.clip((np.arange(F) / (F - 1) - 2 / 3) * 3, 0, 1)[:, None]
    local = local @ slerp(np.eye(3), transpose(local[-1]) @ goal, closing)
    rotations = global_rotations(local)
    root = movement.root.copy()
    root[:, 1] += closing[:, 0] * (root[0, 1] - root[-1, 1])
    roots, turns, parts = [root], [rotations], int(np.ceil(seconds * movement.fps / (F - 1)))
    for _ in range(parts - 1):
        # The first frame of a cycle is the last one of the cycle before it.
        roots.append(roots[-1][-1] + (root[1:] - root[0]) @ np.linalg.matrix_power(turned, len(roots)).T)
        turns.append(np.linalg.matrix_power(turned, len(turns)) @ rotations[1:])
    root, rotations = np.concatenate(roots), np.concatenate(turns)
    return replace(movement, root=root, rotations=rotations, grip=np.full((len(root), 2), RELAXED_GRIP))
