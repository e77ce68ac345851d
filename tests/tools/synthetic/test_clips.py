"""Readers of recorded clips: BVH and DeepMimic's JSON, in files, folders and archives."""

from __future__ import annotations

import json
import re
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from stick_figures import LIMBS, degrees_apart, direction

from egostream.errors import EgostreamError
from tools.synthetic.movement.bvh import forward_kinematics, parse_bvh
from tools.synthetic.movement.clips import read_clips
from tools.synthetic.movement.movement import sole_points
from tools.synthetic.movement.rotations import about, heading
from tools.synthetic.movement.segments import INDEX


def chain(*joints: tuple, below=()) -> tuple:
    """Joints (name, offset) one below the other as (name, offset, children); ``below`` hangs from the last."""
    for name, offset in reversed(joints):
        below = [(name, offset, below)]
    return below[0]


def leg(short: str, side: str, s: float) -> tuple:
    """A leg of CMU's tree, at s to the left of the hips."""
    toes, step = (f"{side}ToeBase", (0, -1, 2)), (0.3 * s, -7, 0)
    upper = (f"{short}HipJoint", (0, 0, 0)), (f"{side}UpLeg", (s, -1.5, 0))
    return chain(*upper, (f"{side}Leg", step), (f"{side}Foot", step), toes)


def arm(side: str, s: float) -> tuple:
    """An arm of CMU's tree, at s to the left of the trunk."""
    upper = (f"{side}Shoulder", (0, 0, 0)), (f"{side}Arm", (s, 1, 0))
    return chain(*upper, (f"{side}ForeArm", (5 * s / 3, 0, 0)), (f"{side}Hand", (4 * s / 3, 0, 0)))


CMU_TREE = {
    "Hips": [
        chain(("LowerBack", (0, 1, 0)), ("Spine", (0, 2, 0)), ("Spine1", (0, 2, 0)), below="TRUNK"),
        leg("L", "Left", 1.5),
        leg("R", "Right", -1.5),
    ],
    "TRUNK": [
        chain(("Neck", (0, 2, 0)), ("Neck1", (0, 1, 0)), ("Head", (0, 1, 0))),
        arm("Left", 3.0),
        arm("Right", -3.0),
    ],
}


def bvh_text(frames: int = 90, angles=None, offset=(0.0, 17.0, 0.0)) -> str:
    """A file with CMU's names; ``angles`` maps joints to the degrees (z, y, x) they have in every frame."""
    lines, order = ["HIERARCHY"], []

    def write(kind, name, at, children):
        order.append(name)
        channels = "6 Xposition Yposition Zposition" if kind == "ROOT" else "3"
        lines.extend(
            [
                f"{kind} {name}",
                "{",
                "OFFSET {:g} {:g} {:g}".format(*at),
                f"CHANNELS {channels} Zrotation Yrotation Xrotation",
            ]
        )
        for child in CMU_TREE["TRUNK"] if children == "TRUNK" else children:
            write("JOINT", *child)
        if not children:
            lines.extend(["End Site", "{", "OFFSET 0 0 1", "}"])
        lines.append("}")

    write("ROOT", "Hips", offset, CMU_TREE["Hips"])
    row = " ".join("{:g} {:g} {:g}".format(*(angles or {}).get(name, (0, 0, 0))) for name in order)
    return "\n".join(
        [
            *lines,
            "MOTION",
            f"Frames: {frames}",
            "Frame Time: 0.0083333",
            *(f"0 0 {k / 10} {row}" for k in range(frames)),
        ]
    )


@pytest.fixture
def bvh(tmp_path):
    def write(name="walk.bvh", **options) -> Path:
        (tmp_path / name).write_text(bvh_text(**options))
        return tmp_path / name

    return write


def test_zero_angles_of_a_bvh_are_its_own_rest(bvh):
    (movement,) = read_clips(bvh())
    assert movement.fps == 120 and len(movement) == 90 and movement.name == "walk"
    spread = np.arctan2(0.45, 7)  # the legs of this one rest apart
    for side, s in (("r", -1), ("l", 1)):
        for a, b in LIMBS:
            expected = (s, 0, 0) if "arm" in a else (s * np.sin(spread), -np.cos(spread), 0)
            assert degrees_apart(direction(movement, f"{a}_{side}", f"{b}_{side}"), expected).max() < 0.01
        assert np.allclose(movement.rotations[:, INDEX[f"foot_{side}"]], about("Z", s * spread), atol=1e-6)
        assert np.allclose(movement.rotations[:, INDEX[f"hand_{side}"]], np.eye(3), atol=1e-6)
    assert np.allclose(movement.rotations[:, :5], np.eye(3))
    assert np.abs(sole_points(movement)[..., 1].min()) < 0.02 and np.allclose(movement.root[0, [0, 2]], 0)
    assert movement.root[-1, 2] == pytest.approx(8.9 * 0.05644, rel=1e-6)  # it goes ahead, in metres


def test_the_offset_of_the_root_counts():
    """Some files keep the hip height there, and only what differs from it in the channels."""
    _, positions = forward_kinematics(parse_bvh(bvh_text(offset=(1.0, 17.0, 2.0))), {"LeftForeArm"})
    assert np.allclose(positions["Hips"][5], [1, 17, 2.5])
    assert np.allclose(positions["LeftForeArm"][5], [1 + 3 + 5, 17 + 5 + 1, 2.5])


def test_left_arm_down_in_a_bvh_is_the_left_arm_down(bvh):
    (movement,) = read_clips(bvh(angles={"LeftArm": (-90, 0, 0), "RightForeArm": (0, 90, 0)}))
    assert np.allclose(direction(movement, "upperarm_l", "forearm_l"), [0, -1, 0], atol=1e-6)
    assert np.allclose(direction(movement, "upperarm_r", "forearm_r"), [-1, 0, 0], atol=1e-6)
    assert np.allclose(direction(movement, "forearm_r", "hand_r"), [0, 0, 1], atol=1e-6)


def test_heading_of_the_first_frame_is_ahead(bvh):
    (movement,) = read_clips(bvh(angles={"Hips": (0, 70, 0)}))
    assert np.allclose(heading(movement.rotations[:, 0]), 0, atol=1e-9)
    assert np.allclose(direction(movement, "upperarm_l", "forearm_l"), [1, 0, 0], atol=1e-6)
    assert movement.root[-1, 0] == pytest.approx(-8.9 * 0.05644 * np.sin(np.radians(70)), rel=1e-6)


def test_archives_and_folders_give_the_same_clips(bvh, tmp_path):
    bvh("a.bvh"), bvh("b.bvh", angles={"Head": (0, 20, 0)})
    source = tmp_path / "source"
    (source / "deeper").mkdir(parents=True)
    (tmp_path / "a.bvh").rename(source / "a.bvh"), (tmp_path / "b.bvh").rename(source / "deeper" / "b.bvh")
    (source / "notes.md").write_text("notes")
    with tarfile.open(tmp_path / "clips.tar.gz", "w:gz") as archive:
        archive.add(source, "clips")
    with zipfile.ZipFile(tmp_path / "clips.zip", "w") as archive:
        for path in source.rglob("*.*"):
            archive.write(path, path.relative_to(source))
    before = sorted(tmp_path.rglob("*"))
    found = [read_clips(path) for path in (source, tmp_path / "clips.tar.gz", tmp_path / "clips.zip")]
    assert [[movement.name for movement in movements] for movements in found] == [["a", "b"]] * 3
    assert all(np.array_equal(movements[1].rotations, found[0][1].rotations) for movements in found)
    assert sorted(tmp_path.rglob("*")) == before  # nothing was unpacked


def test_a_damaged_file_is_named_and_the_others_are_read(bvh, tmp_path, caplog):
    good = bvh("good.bvh")
    (tmp_path / "cut.bvh").write_text(good.read_text()[:-40])
    (tmp_path / "licence.txt").write_text("Do as you like.")
    with caplog.at_level("INFO"):
        assert [movement.name for movement in read_clips(tmp_path)] == ["good"]
    assert "cut.bvh left out: damaged" in caplog.text and "1 .txt" in caplog.text


def test_a_jump_cuts_a_clip(bvh):
    text = bvh("two.bvh", frames=240).read_text().splitlines()
    first = len(text) - 240
    other = bvh("other.bvh", angles={"LeftArm": (-80, 0, 0)}).read_text().splitlines()[-1]
    for k in range(first + 100, len(text)):
        text[k] = other
    path = bvh("jump.bvh")
    path.write_text("\n".join(text))
    assert [(movement.name, len(movement)) for movement in read_clips(path)] == [
        ("jump[0:100]", 100),
        ("jump[100:240]", 140),
    ]


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.bvh", b"HIERARCHY\nROOT Hips\n{\nOFFSET 0 0", "not a BVH file"),
        ("a.bvh", bvh_text().replace("LeftArm", "Tail").encode(), "none of the known skeletons"),
        ("a.bvh", bvh_text().replace("Frames: 90", "Frames: 91").encode(), "91 frames"),
        ("a.bvh", bvh_text(frames=3).encode(), "3 frames are too few"),
        ("a.bvh", bvh_text(frames=30).encode(), "no 0.5 s of it"),
        ("a.bvh", bvh_text().replace("0.2 0 0", "nan 0 0").encode(), "not finite"),
        ("a.bvh", bvh_text().replace("Zrotation", "Wrotation").encode(), "unknown channel Wrotation"),
        ("a.json", b'{"Frames": [[1, 2], [3]]}', "no table of 44"),
        ("a.json", b'{"Frames"', "damaged"),
        ("a.txt", b'{"Skeleton": {}}', "no motion"),
        ("a.zip", b"no archive", "damaged"),
        ("a.tar.gz", b"no archive", "damaged"),
        ("a.mp4", b"film", "no motion file"),
    ],
)
def test_unusable_files_are_refused_in_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(EgostreamError, match=re.escape(message)) as error:
        read_clips(tmp_path / name)
    assert name in str(error.value) and "\n" not in str(error.value)


def test_missing_and_empty_folders_are_refused(tmp_path):
    with pytest.raises(EgostreamError, match="cannot be read"):
        read_clips(tmp_path / "none.bvh")
    with pytest.raises(EgostreamError, match="it holds no files"):
        read_clips(tmp_path)


def deepmimic_text(loop: str, frames=None) -> str:
    """Standing, the right elbow bent by 90 degrees, going ahead (its +X) 1 cm a frame."""
    row = [
        1 / 30,
        0,
        0.9,
        0,
        *[1, 0, 0, 0] * 4,
        0.0,
        *[1, 0, 0, 0] * 2,
        np.pi / 2,
        1,
        0,
        0,
        0,
        0.0,
        *[1, 0, 0, 0] * 2,
        0.0,
    ]
    rows = [[*row[:1], k / 100, *row[2:]] for k in range(30)]
    return json.dumps({"Loop": loop, "Frames": rows if frames is None else frames(rows)})


def test_deepmimic_faces_ahead_with_its_right_on_our_right(tmp_path):
    (tmp_path / "walk.txt").write_text(deepmimic_text("none"))
    (movement,) = read_clips(tmp_path / "walk.txt")
    assert movement.fps == pytest.approx(30) and len(movement) == 30
    assert np.allclose(movement.root[-1, [0, 2]], [0, 0.29])
    for segment, child, expected in (
        ("upperarm_r", "forearm_r", (0, -1, 0)),
        ("forearm_r", "hand_r", (0, 0, 1)),
        ("forearm_l", "hand_l", (0, -1, 0)),
        ("thigh_l", "calf_l", (0, -1, 0)),
    ):
        assert np.allclose(direction(movement, segment, child), expected, atol=1e-6)


def test_deepmimic_loops_are_repeated_where_they_ended(tmp_path):
    def rows_turning(rows):
        for k, row in enumerate(rows):
            row[4:8] = [np.cos(k * 0.01), 0, np.sin(k * 0.01), 0]  # to the left by 0.02 rad a frame
        return rows

    (tmp_path / "walk.txt").write_text(deepmimic_text("wrap", rows_turning))
    (movement,) = read_clips(tmp_path / "walk.txt")
    assert movement.seconds >= 4
    yaw = np.unwrap(heading(movement.rotations[:, 0]))
    assert np.allclose(np.diff(yaw), 0.02, atol=1e-6)
    step = np.diff(movement.root, axis=0)
    assert np.allclose(np.linalg.norm(step, axis=1), 0.01)
    # Every cycle sets out at the angle to the body at which the first one did.
    assert np.allclose(
        (np.arctan2(step[29, 0], step[29, 2]) - yaw[29]), np.arctan2(step[0, 0], step[0, 2]) - yaw[0], atol=1e-6
    )
