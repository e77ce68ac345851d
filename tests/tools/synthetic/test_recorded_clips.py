"""Recorded clips, against kinematics written out here."""

from __future__ import annotations

import io
import json
import re
import tarfile

import numpy as np
import pytest
from conftest import SHARED
from scipy.spatial.transform import Rotation
from stick_figures import LIMBS, degrees_apart, direction

from tools.synthetic.movement.clips import read_clips
from tools.synthetic.movement.movement import Movement, joint_positions, sampled, sole_points
from tools.synthetic.movement.rotations import about, heading
from tools.synthetic.movement.segments import INDEX

MOCAP = SHARED / "mocap"


@pytest.fixture(scope="module")
def recorded() -> list[Movement]:
    if not MOCAP.is_dir():
        pytest.skip("needs the shared recordings (shared/mocap)")
    return read_clips(MOCAP)


def source_text(movement: Movement) -> str:
    folder, _, name = movement.source.rpartition("/")
    with tarfile.open(MOCAP / f"{folder}.tar.gz") as archive:
        return io.TextIOWrapper(archive.extractfile(f"{folder}/{name}")).read()


def bvh_positions(text: str, frames) -> dict[str, np.ndarray]:
    """Positions [N, 3] of all joints, file units: the definition of the format, joint by joint."""
    head, body = text.split("MOTION")
    rows = np.array([line.split() for line in np.array(body.strip().splitlines()[2:])[frames]], float)
    stack, positions, column = [], {}, 0
    for line in head.splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] in ("ROOT", "JOINT", "End"):
            stack.append({"name": words[1], "R": None})
        elif words[0] == "OFFSET":
            stack[-1]["offset"] = np.array(words[1:4], float)
        elif words[0] == "CHANNELS":
            joint, kinds = stack[-1], words[2:]
            values = rows[:, column : column + len(kinds)]
            column += len(kinds)
            order = "".join(kind[0] for kind in kinds if kind.endswith("rotation"))
            local = Rotation.from_euler(order, values[:, [k.endswith("rotation") for k in kinds]], degrees=True)
            at = joint["offset"] + (values[:, :3] if kinds[0] == "Xposition" else 0)
            if len(stack) == 1:
                joint["R"], joint["P"] = local, at + np.zeros((len(rows), 3))
            else:
                joint["P"] = stack[-2]["P"] + stack[-2]["R"].apply(at + np.zeros((len(rows), 3)))
                joint["R"] = stack[-2]["R"] * local
            positions[joint["name"]] = joint["P"]
        elif words[0] == "}":
            stack.pop()
    return positions


def deepmimic_positions(text: str, frames) -> dict[str, np.ndarray]:
    """Positions of the limbs' joints in our axes, from the humanoid's own description in the same archive."""
    with tarfile.open(MOCAP / "deepmimic.tar.gz") as archive:
        skeleton = json.load(archive.extractfile("deepmimic/character_humanoid3d.txt"))["Skeleton"]["Joints"]
    rows = np.array(json.loads(text)["Frames"])[frames]
    sizes = {"none": 4, "spherical": 4, "revolute": 1, "fixed": 0}
    column, R, P = 4, [], []
    for joint in skeleton:
        size = sizes[joint["Type"]]
        values = rows[:, column : column + size]
        column += size
        local = {
            4: lambda v: Rotation.from_quat(v[:, [1, 2, 3, 0]]),
            1: lambda v: Rotation.from_rotvec(v * [0, 0, 1]),
            0: lambda v: Rotation.identity(len(v)),
        }[size](values)
        at = np.array([joint[f"Attach{axis}"] for axis in "XYZ"])
        parent = joint["Parent"]
        R.append(local if parent < 0 else R[parent] * local)
        P.append(rows[:, 1:4] if parent < 0 else P[parent] + R[parent].apply(at))
    assert column == rows.shape[1]
    names = {
        "shoulder": "upperarm",
        "elbow": "forearm",
        "wrist": "hand",
        "hip": "thigh",
        "knee": "calf",
        "ankle": "foot",
    }
    ours = lambda p: np.stack([-p[:, 2], p[:, 1], p[:, 0]], -1)
    return {
        f"{names[part]}_{side[0]}": ours(p)
        for joint, p in zip(skeleton, P)
        for side, _, part in [joint["Name"].partition("_")]
        if part in names
    }


BVH_NAMES = {  # of each flavour: upper arm, forearm, hand, thigh, calf, foot, toe
    "cmu-iclone": [f"CC_Base_*_{part}" for part in ("Upperarm", "Forearm", "Hand", "Thigh", "Calf", "Foot", "ToeBase")],
    "cmu-bvh11": ["*Shoulder", "*Elbow", "*Wrist", "*Hip", "*Knee", "*Ankle", "*Toe"],
    "cmu-fairmotion": ["*Arm", "*ForeArm", "*Hand", "*UpLeg", "*Leg", "*Foot", "*ToeBase"],
}


def source_and_movement(movement: Movement) -> tuple[dict[str, np.ndarray], float, Movement]:
    """Positions of the source's joints under our names at a few moments, metres per unit, and the movement then."""
    flavour, text = movement.source.split("/")[0], source_text(movement)
    if flavour == "deepmimic":
        durations = np.array(json.loads(text)["Frames"])[:, 0]
        some = np.linspace(0, len(durations) * 0.6, 7).astype(int)  # the end of a cyclic clip is bent to close it
        times = np.concatenate([[0], np.cumsum(durations)])[some]  # one has a frame that lasts twice as long
        return deepmimic_positions(text, some), 1.0, sampled(movement, times * movement.fps, movement.fps)
    some = np.linspace(0, len(movement) - 1, 7).astype(int)
    cut = re.search(r"\[(\d+):\d+\]$", movement.name)
    found = bvh_positions(text, some + int(cut[1]) if cut else some)
    words = {"r": "R", "l": "L"} if flavour == "cmu-iclone" else {"r": "Right", "l": "Left"}
    segments = ("upperarm", "forearm", "hand", "thigh", "calf", "foot", "toe")
    names = [
        (segment, side, name.replace("*", word))
        for side, word in words.items()
        for segment, name in zip(segments, BVH_NAMES[flavour])
    ]
    positions = {f"{segment}_{side}": found[name] for segment, side, name in names}
    return positions, 0.01 if flavour == "cmu-iclone" else 0.05644, sampled(movement, some, movement.fps)


def test_recorded_limbs_point_where_their_source_points(recorded):
    assert {movement.source.split("/")[0] for movement in recorded} == {*BVH_NAMES, "deepmimic"}
    for movement in recorded:
        positions, scale, movement = source_and_movement(movement)
        hips = positions["thigh_l"] - positions["thigh_r"]
        ours = joint_positions(movement)
        our_hips = ours[:, INDEX["thigh_l"]] - ours[:, INDEX["thigh_r"]]
        # One turn about the vertical lies between the two, the same in all frames: taken from the level-most hips.
        k = np.argmin(np.abs(hips[:, 1]) / np.linalg.norm(hips, axis=1))
        yaw = np.arctan2(our_hips[k, 0], our_hips[k, 2]) - np.arctan2(hips[k, 0], hips[k, 2])
        for a, b in LIMBS:
            for side in "rl":
                bone = positions[f"{b}_{side}"] - positions[f"{a}_{side}"]
                expected = bone / np.linalg.norm(bone, axis=1, keepdims=True) @ about("Y", yaw).T
                apart = degrees_apart(direction(movement, f"{a}_{side}", f"{b}_{side}"), expected)
                assert apart.max() < 1.0, f"{movement.name} {a}_{side}: {apart.max():.2f} degrees"
        middle = (positions["thigh_l"] + positions["thigh_r"]) / 2 * scale
        assert np.allclose((middle - middle[0]) @ about("Y", yaw).T, movement.root - movement.root[0], atol=0.02), (
            movement.name
        )


def test_recorded_feet_meet_the_floor(recorded):
    lowest = {}
    for movement in recorded:
        assert movement.root[0, [0, 2]] == pytest.approx([0, 0]) and heading(movement.rotations[0, 0]) == pytest.approx(
            0, abs=1e-9
        )
        lowest.setdefault(movement.source, []).append(sole_points(movement)[..., 1].min())
        assert 0.85 < movement.hip_height < 1.1
    assert all(-0.05 < min(low) < 0.02 for low in lowest.values()), lowest


def test_recorded_toes_and_palms_are_turned_as_in_the_t_pose(recorded):
    """Walkers' feet point ahead and lie flat, arms hang with the palms to the body."""
    walkers = [
        movement
        for movement in recorded
        if any(name in movement.source for name in ("002_01", "007_04", "007_12", "006_01", "3d_walk"))
    ]
    assert len(walkers) == 5
    for movement in walkers:
        speed = np.mean(np.diff(movement.root[:, 2])) * movement.fps
        assert speed > 0.5, movement.name
        soles = sole_points(movement)
        for column, side in enumerate("rl"):
            still = np.linalg.norm(np.gradient(soles[:, column, 1], axis=0), axis=1) * movement.fps < 0.35
            foot = movement.rotations[still, INDEX[f"foot_{side}"]]
            assert still.sum() > 0.1 * len(movement)
            assert np.abs(np.degrees(np.median(heading(foot)))) < 30, movement.name
            assert np.abs(np.degrees(np.median(np.arcsin(foot[:, 1, 2])))) < 15, movement.name  # the sole's slope
            palm = -movement.rotations[:, INDEX[f"hand_{side}"], :, 1]
            inward = np.median(palm[:, 0]) * (1 if side == "r" else -1)
            assert inward > 0.3, f"{movement.name} {side}: {inward:.2f}"
