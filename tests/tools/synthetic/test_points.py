"""Captured motion as points: files of many clips, in the renderer and in training, each take in one split alone."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from egostream.errors import EgostreamError
from tools.make_synthetic import share_out
from tools.synthetic.movement.activities import ACTIVITIES
from tools.synthetic.movement.clips import read_clips, take_of
from tools.synthetic.movement.movement import joint_positions
from tools.synthetic.movement.points import POINTS
from tools.synthetic.movement.segments import INDEX, OFFSETS
from tools.training.motion.supply import read_motion


def as_points(movement) -> np.ndarray:
    """The 22 points [F, 22, 3] of a movement of the stick body."""
    joints = joint_positions(movement)
    segment = {"shoulder": "upperarm", "elbow": "forearm", "wrist": "hand", "hip": "thigh", "knee": "calf"}
    segment |= {"ankle": "foot", "toe": "toe", "hand": "hand"}
    points = np.zeros((len(movement), len(POINTS), 3))
    for k, name in enumerate(POINTS):
        part, _, side = name.partition("_")
        known = f"{segment[part]}_{side}" if side in ("l", "r") else {"head_end": "head"}.get(name, name)
        points[:, k] = joints[:, INDEX[known]]
    return points


def save_points(path: Path | io.BytesIO, movement, names: list[str]) -> None:
    """A file of points in which each name's clip is the whole movement."""
    head = Rotation.from_matrix(movement.rotations[:, INDEX["head"]]).as_quat(scalar_first=True)
    positions, count = as_points(movement), len(names)
    starts = np.arange(count + 1) * len(movement)
    np.savez(
        path,
        positions=np.tile(positions, (count, 1, 1)),
        head=np.tile(head, (count, 1)),
        clip_start=starts,
        names=names,
    )


def test_points_become_turns_that_give_the_points_again(tmp_path):
    """Limbs of the stick body end where the points are, but for the toes, which the file has at their end."""
    movement = ACTIVITIES["walk"](np.random.default_rng(0), 1.0, 30)
    save_points(tmp_path / "a.npz", movement, ["02_01"])
    (found,) = read_clips(tmp_path)
    for side in "lr":
        for upper, lower in (("upperarm", "forearm"), ("forearm", "hand"), ("thigh", "calf"), ("calf", "foot")):
            bone = OFFSETS[INDEX[f"{lower}_{side}"]]
            segment = INDEX[f"{upper}_{side}"]
            # The clip was turned to face ahead: directions are compared in the pelvis' axes.
            told = [
                m.rotations[:, 0].swapaxes(1, 2) @ (m.rotations[:, segment] @ bone)[..., None]
                for m in (movement, found)
            ]
            assert np.linalg.norm(told[0] - told[1], axis=1).max() < 0.25 * np.linalg.norm(bone)


@pytest.mark.parametrize("name", ["2_3", "02_03", "002_03#2", "02_03[5:90]"])
def test_takes_are_known_by_one_name(name):
    assert take_of(name) == "2_3"


def test_folders_and_archives_of_points_are_read_beside_other_files(tmp_path):
    movement, kept = ACTIVITIES["walk"](np.random.default_rng(0), 1.0, 30), io.BytesIO()
    save_points(kept, movement, ["02_01", "a jump"])
    (tmp_path / "notes.md").write_text("notes")
    (tmp_path / "points.npz").write_bytes(kept.getvalue())
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.writestr("inside/points.npz", kept.getvalue())
    found = read_clips(tmp_path)
    assert [clip.name for clip in found] == ["02_01", "a jump"] * 2
    assert found[0].source == "inside/points.npz: 02_01" and found[3].source == "points.npz: a jump"
    assert [clip.name for clip in read_motion([tmp_path], held_out=["002_01"])] == ["a jump"] * 2


def test_a_take_is_in_one_split_whatever_the_collection(tmp_path):
    movement = ACTIVITIES["walk"](np.random.default_rng(0), 1.0, 30)
    names = ["02_03", "002_03", "002_03#2", "02_04", "walk_1", "walk_2"]
    save_points(tmp_path / "a.npz", movement, names)
    clips = read_clips(tmp_path)
    shares = share_out(clips, {"val": ("walk_1",), "test": ("2_3",)})
    assert {split: [clip.name for clip in found] for split, found in shares.items()} == {
        "train": ["02_04", "walk_2"],
        "val": ["walk_1"],
        "test": ["02_03", "002_03", "002_03#2"],
    }
    by_hash = share_out(clips, {"val": (), "test": ()})
    assert sum({"02_03", "002_03", "002_03#2"} <= {clip.name for clip in found} for found in by_hash.values()) == 1
    with pytest.raises(EgostreamError, match="--test-clips names 9_9, which is no clip of --motion .*02_04"):
        share_out(clips, {"val": (), "test": ("9_9",)})


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"positions": np.zeros((60, 21, 3))}, r"positions \(60, 21, 3\)"),
        ({"head": np.zeros((59, 4))}, r"head \(59, 4\)"),
        ({"clip_start": np.array([0])}, "1 clip_start, 1 names"),
        ({"positions": np.full((60, 22, 3), np.nan)}, "not finite"),
        ({"head": None}, "head is not a file in the archive"),
        ({"names": np.array([{}], object)}, "Object arrays cannot be loaded"),
        ({"positions": np.zeros((60, 22, 3)), "clip_start": np.array([0, 5])}, "no clip is long enough"),
    ],
)
def test_files_that_hold_no_points_are_named(tmp_path, change, problem):
    arrays = {"positions": np.zeros((60, 22, 3)), "head": np.tile([1.0, 0, 0, 0], (60, 1))}
    arrays |= {"clip_start": np.array([0, 60]), "names": np.array(["a"])} | change
    np.savez(tmp_path / "a.npz", **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(EgostreamError, match=f"a.npz: .*{problem}"):
        read_clips(tmp_path)
    (tmp_path / "a.npz").write_bytes(b"PK")
    with pytest.raises(EgostreamError, match="a.npz: no clips of points"):
        read_clips(tmp_path)
