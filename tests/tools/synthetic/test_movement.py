"""Body movement for synthetic data: its algebra, the readers of recorded clips, and the invented activities."""

from __future__ import annotations

import io
import json
import re
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import SHARED
from scipy.spatial.transform import Rotation

from egostream.errors import EgostreamError
from tools.synthetic.movement import sitting, standing, walking
from tools.synthetic.movement.activities import ACTIVITIES, LAYERS, random_activity
from tools.synthetic.movement.activity import Activity
from tools.synthetic.movement.bvh import forward_kinematics, parse_bvh
from tools.synthetic.movement.clips import read_clips
from tools.synthetic.movement.movement import (
    Movement,
    Prop,
    crop,
    joint_positions,
    mirror,
    resample,
    retime,
    sampled,
    sole_points,
    turn,
    with_arms,
)
from tools.synthetic.movement.rotations import (
    about,
    angle_between,
    from_quaternion,
    heading,
    slerp,
    swing,
    to_quaternion,
)
from tools.synthetic.movement.segments import ARMS, HIP_HEIGHT, INDEX, MIRRORED, PARENTS, SEGMENTS, local_rotations

MOCAP = SHARED / "mocap"
LIMBS = ("upperarm", "forearm"), ("forearm", "hand"), ("thigh", "calf"), ("calf", "foot")


def random_movement(rng, frames=40, fps=50.0, props=()) -> Movement:
    """Smooth and meaningless: every segment turns at its own constant speed about its own axis."""
    spin = rng.normal(0, 0.8, (21, 3))
    start = Rotation.random(21, random_state=1).as_matrix()
    t = np.arange(frames) / fps
    rotations = np.stack([Rotation.from_rotvec(spin * x).as_matrix() @ start for x in t])
    root = np.stack([t, 0.9 + 0 * t, t**2], -1)
    return Movement("random", fps, root, HIP_HEIGHT, rotations, np.tile([[0.2, 0.7]], (frames, 1)), tuple(props))


def direction(movement: Movement, segment: str, child: str) -> np.ndarray:
    joints = joint_positions(movement)
    way = joints[:, INDEX[child]] - joints[:, INDEX[segment]]
    return way / np.linalg.norm(way, axis=1, keepdims=True)


def degrees_apart(a, b) -> np.ndarray:
    return np.degrees(2 * np.arcsin(np.clip(np.linalg.norm(a - b, axis=-1) / 2, 0, 1)))


# ---- rotations ------------------------------------------------------------------------------------------------------


def test_quaternions_and_slerp_agree_with_scipy():
    a, b = (Rotation.random(500, random_state=seed) for seed in (1, 2))
    assert np.allclose(from_quaternion(to_quaternion(a.as_matrix())), a.as_matrix(), atol=1e-12)
    half_turns = Rotation.from_rotvec(np.pi * np.eye(3)).as_matrix()
    assert np.allclose(from_quaternion(to_quaternion(half_turns)), half_turns, atol=1e-12)
    weight = np.linspace(0, 1, 500)
    expected = (a * Rotation.from_rotvec(weight[:, None] * (a.inv() * b).as_rotvec())).as_matrix()
    assert np.allclose(slerp(a.as_matrix(), b.as_matrix(), weight), expected, atol=1e-9)
    assert np.allclose(angle_between(a.as_matrix(), b.as_matrix()), (a.inv() * b).magnitude(), atol=1e-7)


def test_swing_is_the_smallest_rotation_also_for_opposite_directions():
    rng = np.random.default_rng(0)
    for source, target in [*rng.normal(size=(20, 2, 3)), ([0, 1, 0], [0, -2, 0]), ([1, 0, 0], [3, 0, 0])]:
        R = swing(source, target)
        assert np.allclose(R @ source / np.linalg.norm(source), target / np.linalg.norm(target), atol=1e-9)
        assert angle_between(R, np.eye(3)) == pytest.approx(
            np.radians(degrees_apart(*(v / np.linalg.norm(v) for v in (source, target)))), abs=1e-6
        )


# ---- the algebra of movements -----------------------------------------------------------------------------------------


def test_t_pose_of_the_stick_body():
    movement = Movement(
        "t", 30, np.array([[0, HIP_HEIGHT, 0.0]]), HIP_HEIGHT, np.tile(np.eye(3), (1, 21, 1, 1)), np.zeros((1, 2))
    )
    joints = dict(zip(SEGMENTS, joint_positions(movement)[0]))
    assert joints["hand_l"][0] > joints["upperarm_l"][0] > 0 > joints["hand_r"][0]
    assert joints["toe_l"][2] > joints["foot_l"][2] and joints["foot_l"][0] > 0
    assert joints["head"][1] > joints["chest"][1] > joints["calf_l"][1] > joints["foot_l"][1] > 0
    assert np.allclose(sole_points(movement)[..., 1], 0)
    taller = joint_positions(Movement("t", 30, movement.root * 2, 2 * HIP_HEIGHT, movement.rotations, movement.grip))
    assert np.allclose(taller, 2 * joint_positions(movement))
    assert all(parent < k for k, parent in enumerate(PARENTS))


def test_resample_follows_constant_turns_exactly():
    movement = random_movement(np.random.default_rng(1))
    finer = resample(movement, 120.0)
    assert finer.fps == 120 and len(finer) == int(39 / 50 * 120) + 1
    spin = Rotation.from_matrix(movement.rotations[1, 3] @ movement.rotations[0, 3].T).as_rotvec() * 50
    expected = Rotation.from_rotvec(spin * 17 / 120).as_matrix() @ movement.rotations[0, 3]
    assert np.allclose(finer.rotations[17, 3], expected, atol=1e-9)
    assert np.allclose(finer.root[:, 0], np.arange(len(finer)) / 120)
    assert np.allclose(resample(movement, 25.0).rotations, movement.rotations[::2], atol=1e-9)


def test_retime_and_crop():
    movement = random_movement(np.random.default_rng(2), 41)
    assert np.allclose(retime(movement, 2.0).root, movement.root[::2])
    assert len(retime(movement, 0.5)) == 81 and retime(movement, 0.5).fps == movement.fps
    assert np.array_equal(crop(movement, 5, 9).rotations, movement.rotations[5:9])


def test_mirror_reflects_every_joint_and_prop():
    props = (
        Prop("table", (1, 0.1, 0.5), (0.3, 0.7, 0.5), yaw=0.2),
        Prop("cup", (0.1, 0.1, 0.1), hand="r", offset=(-0.1, 0, 0)),
    )
    movement = random_movement(np.random.default_rng(3), props=props)
    mirrored = mirror(movement)
    assert np.allclose(joint_positions(mirrored), joint_positions(movement)[:, MIRRORED] * [-1, 1, 1])
    assert np.allclose(np.linalg.det(mirrored.rotations), 1)
    assert np.array_equal(mirrored.grip, movement.grip[:, ::-1])
    table, cup = mirrored.props
    assert table.centre[0] == -0.3 and table.yaw == -0.2 and cup.hand == "l" and cup.offset[0] == 0.1
    again = mirror(mirrored)
    assert np.allclose(again.rotations, movement.rotations) and again.props[1].hand == "r"


def test_turn_turns_joints_and_props_together():
    movement = random_movement(np.random.default_rng(4), props=[Prop("seat", (0.4, 0.1, 0.4), (0.0, 0.4, 1.0))])
    turned = turn(movement, np.pi / 2)
    assert np.allclose(joint_positions(turned), joint_positions(movement) @ about("Y", np.pi / 2).T)
    assert np.allclose(turned.props[0].centre, (1, 0.4, 0), atol=1e-12)  # from ahead to the left
    facing = Movement("t", 30, movement.root, 0.9, np.tile(np.eye(3), (40, 21, 1, 1)), movement.grip)
    assert np.allclose(heading(turn(facing, 0.4).rotations[:, 0]), 0.4)


def test_with_arms_takes_the_arms_and_leaves_the_rest():
    rng = np.random.default_rng(5)
    walk, phone = ACTIVITIES["walk"](rng, 4, 50), ACTIVITIES["phone"](rng, 2, 25)
    worn = with_arms(walk, phone)
    others = [k for k in range(21) if k not in ARMS]
    assert np.array_equal(worn.root, walk.root) and np.allclose(worn.rotations[:, others], walk.rotations[:, others])
    assert [prop.kind for prop in worn.props] == ["phone"] and worn.fps == walk.fps and len(worn) == len(walk)
    to_chest = lambda movement, k: movement.rotations[k, 2].T @ movement.rotations[k]
    assert np.allclose(
        to_chest(worn, 40)[ARMS, ...], to_chest(phone, 20)[ARMS, ...]
    )  # the same moment at twice the rate
    assert (
        angle_between(worn.rotations[1:], worn.rotations[:-1]).max() * 50 < 25
    )  # also where the shorter one turns round
    unchanged = with_arms(walk, phone, np.zeros(len(walk)))
    assert np.allclose(unchanged.rotations, walk.rotations) and unchanged.props == ()


# ---- clips ----------------------------------------------------------------------------------------------------------

CMU_TREE = {
    "Hips": [
        ("LowerBack", (0, 1, 0), [("Spine", (0, 2, 0), [("Spine1", (0, 2, 0), "TRUNK")])]),
        *((f"{x}HipJoint", (0, 0, 0), [(f"{side}UpLeg", (s, -1.5, 0), [(f"{side}Leg", (0.3 * s, -7, 0), [(f"{side}Foot", (0.3 * s, -7, 0), [(f"{side}ToeBase", (0, -1, 2), [])])])])])
          for x, side, s in (("L", "Left", 1.5), ("R", "Right", -1.5))),
    ],
    "TRUNK": [
        ("Neck", (0, 2, 0), [("Neck1", (0, 1, 0), [("Head", (0, 1, 0), [])])]),
        *((f"{side}Shoulder", (0, 0, 0), [(f"{side}Arm", (s, 1, 0), [(f"{side}ForeArm", (5 * s / 3, 0, 0), [(f"{side}Hand", (4 * s / 3, 0, 0), [])])])])
          for side, s in (("Left", 3.0), ("Right", -3.0))),
    ],
}  # fmt: skip


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


# ---- recorded clips, against kinematics written out here ------------------------------------------------------------


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
    """Positions of the source's joints under our names at a few moments, metres per unit, and the movement at these moments."""
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


# ---- activities -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def performed() -> dict[str, list[Movement]]:
    return {name: [make(np.random.default_rng(seed), 6, 50) for seed in range(3)] for name, make in ACTIVITIES.items()}


every_activity = pytest.mark.parametrize("name", ACTIVITIES)


@every_activity
def test_activity_is_whole_and_smooth(performed, name):
    for movement in performed[name]:
        assert len(movement) == 300 and movement.name == name and movement.fps == 50
        R = movement.rotations
        assert np.isfinite(R).all() and np.isfinite(movement.root).all()
        assert np.allclose(R @ np.swapaxes(R, -1, -2), np.eye(3), atol=1e-9) and np.allclose(np.linalg.det(R), 1)
        assert movement.grip.min() >= 0 and movement.grip.max() <= 1
        rate = angle_between(R[1:], R[:-1]) * 50
        assert rate.max() < 18, f"{SEGMENTS[rate.max(0).argmax()]} turns at {rate.max():.0f} rad/s"
        jerk = np.abs(np.diff(rate, axis=0)).max(0)  # rad/s from one frame to the next; heels that land do it fast
        legs = INDEX["thigh_r"]
        assert jerk[:legs].max() < 5 and jerk[legs:].max() < 10, (
            f"{SEGMENTS[jerk.argmax()]} jerks by {jerk.max():.1f} rad/s"
        )
        assert np.linalg.norm(np.diff(movement.root, axis=0), axis=1).max() * 50 < 5


@every_activity
def test_elbows_and_knees_are_hinges_that_bend_the_right_way(performed, name):
    for movement in performed[name]:
        for side, s in (("r", -1), ("l", 1)):
            for upper, lower, end, axis in (
                ("upperarm", "forearm", "hand", np.array([0, -s, 0])),
                ("thigh", "calf", "foot", np.array([1.0, 0, 0])),
            ):
                u, v = (direction(movement, f"{a}_{side}", f"{b}_{side}") for a, b in ((upper, lower), (lower, end)))
                hinge = movement.rotations[:, INDEX[f"{upper}_{side}"]] @ axis
                assert np.allclose(np.sum(v * hinge, -1), 0, atol=1e-6)
                assert (np.sum(np.cross(u, v) * hinge, -1) > -1e-6).all()
                assert np.degrees(np.arccos(np.clip(np.sum(u * v, -1), -1, 1))).max() < 156
        local = local_rotations(movement.rotations)
        assert angle_between(local[:, INDEX["head"]], np.eye(3)).max() < 0.9  # and as much again in the neck


@every_activity
def test_nothing_goes_through_the_floor_or_the_torso(performed, name):
    for movement in performed[name]:
        joints = joint_positions(movement)
        assert joints[..., 1].min() > -0.03, SEGMENTS[joints[..., 1].min(0).argmin()]
        assert sole_points(movement, joints)[..., 1].min() > -0.03
        for side in "rl":
            elbow, wrist = joints[:, INDEX[f"forearm_{side}"]], joints[:, INDEX[f"hand_{side}"]]
            along = elbow[:, None] + np.array([0.3, 0.6, 1.0])[:, None] * (wrist - elbow)[:, None]
            local = np.einsum("fji,fkj->fki", movement.rotations[:, 2], along - joints[:, None, 2])
            inside = (local[..., 0] / 0.14) ** 2 + (local[..., 2] / 0.1) ** 2 < 1
            assert (inside & (np.abs(local[..., 1] + 0.05) < 0.25)).mean() < 0.02


@pytest.mark.parametrize("name", sorted(set(ACTIVITIES) - {"jog", "run_in_place", "lie", "kneel", "stairs"}))
def test_a_foot_is_on_the_floor_and_does_not_slide(performed, name):
    for movement in performed[name]:
        soles = sole_points(movement)
        low = soles[..., 1].min(2)
        assert (low.min(1) < 0.02).mean() > 0.97
        # Whichever point of a sole stays on the floor from one frame to the next must not move over it.
        down = (soles[1:, ..., 1] < 0.008) & (soles[:-1, ..., 1] < 0.008)
        speed = np.linalg.norm(np.diff(soles[..., [0, 2]], axis=0), axis=-1) * movement.fps
        lowest = np.where(down, speed, np.inf).min((1, 2))
        assert np.median(lowest) < 0.02 and np.mean(lowest < 0.25) > 0.9


def test_stairs_carry_the_feet():
    for seed in range(6):
        movement = ACTIVITIES["stairs"](np.random.default_rng(seed), 8, 50)
        soles = sole_points(movement)
        tops = np.zeros(soles.shape[:-1])
        for prop in movement.props:
            inside = (
                np.abs(soles[..., [0, 2]] - np.array(prop.centre)[[0, 2]]) <= np.array(prop.size)[[0, 2]] / 2 + 1e-6
            ).all(-1)
            tops = np.where(inside, np.maximum(tops, prop.centre[1] + prop.size[1] / 2), tops)
        still = np.linalg.norm(np.gradient(soles, axis=0), axis=-1)[..., 1] * 50 < 0.05  # balls that stand
        assert still.mean() > 0.2
        gap = soles[..., 1, 1][still] - tops[..., 1][still]
        assert np.abs(gap).max() < 0.03, f"seed {seed}: {gap.min():.3f} to {gap.max():.3f}"
        assert np.ptp(movement.root[:, 1]) > 0.8


def test_seats_carry_and_tables_are_not_pierced(performed):
    for name in ("desk_type", "desk_work", "eat", "sit_relaxed", "sit_talk"):
        for movement in performed[name]:
            (seat,) = [prop for prop in movement.props if prop.kind == "seat"]
            top = seat.centre[1] + seat.size[1] / 2
            assert (np.abs(movement.root[:, 1] - top - 0.09) < 0.04).all()
            for table in (prop for prop in movement.props if prop.kind == "table"):
                wrists = joint_positions(movement)[:, [INDEX["hand_r"], INDEX["hand_l"]]]
                over = (np.abs(wrists - table.centre)[..., [0, 2]] < np.array(table.size)[[0, 2]] / 2).all(-1)
                assert over.mean() > 0.5
                assert (wrists[over][:, 1] > table.centre[1] + table.size[1] / 2 + 0.01).all()


def test_hands_are_mostly_in_front_where_the_camera_sees_them(performed):
    share = {}
    for name in ("talk", "reach", "bimanual_work", "phone", "read_paper", "desk_work", "eat"):
        wrists = [
            joint_positions(movement)[:, [INDEX["hand_r"], INDEX["hand_l"]]] - joint_positions(movement)[:, [2]]
            for movement in performed[name]
        ]
        share[name] = np.mean(
            [
                np.einsum("fj,fkj->fk", movement.rotations[:, 2, :, 2], w) > 0.12
                for movement, w in zip(performed[name], wrists)
            ]
        )
    assert min(share.values()) > 0.6 and np.mean(list(share.values())) > 0.85, share


def test_what_is_held_lies_in_the_hand(performed):
    for name, kind in (
        ("phone", "phone"),
        ("drink", "cup"),
        ("eat", "tool"),
        ("read_paper", "paper"),
        ("play_ball", "ball"),
    ):
        for movement in performed[name]:
            (held,) = [prop for prop in movement.props if prop.hand]
            assert held.kind == kind and held.hand in ("r", "l")
            reach = np.abs(held.offset) - np.array(held.size) / 2
            assert (reach < [0.19, 0.06, 0.1]).all()  # its surface comes within a hand of the wrist


def test_the_same_seed_gives_the_same_motion():
    for name in ("walk", "desk_work", "lie"):
        a, b, c = (ACTIVITIES[name](np.random.default_rng(seed), 2, 25) for seed in (7, 7, 8))
        assert np.array_equal(a.rotations, b.rotations) and a.props == b.props
        assert not np.allclose(a.rotations, c.rotations)


def test_random_activities_vary_and_are_fast():
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    movements = [random_activity(rng, 4, 25) for _ in range(60)]
    elapsed = time.perf_counter() - start
    assert 60 * 100 / elapsed > 1000
    layered = [movement for movement in movements if "+" in movement.source]
    assert 10 < len(layered) < 40 and len({movement.source for movement in movements}) > 25
    assert all(len(movement) == 100 and np.isfinite(movement.rotations).all() for movement in movements)
    assert max(angle_between(m.rotations[1:], m.rotations[:-1]).max() * 25 for m in movements) < 20
    assert set(LAYERS) <= set(ACTIVITIES)


@pytest.mark.parametrize("seconds, fps", [(0.05, 25), (1.0, 10), (3.3, 120)])
def test_any_length_and_rate(seconds, fps):
    for make in ACTIVITIES.values():
        movement = make(np.random.default_rng(1), seconds, fps)
        assert len(movement) == max(round(seconds * fps), 2) and np.isfinite(movement.rotations).all()


def test_every_activity_is_in_the_table():
    made = [
        value for room in (standing, sitting, walking) for value in vars(room).values() if isinstance(value, Activity)
    ]
    assert sorted(activity.name for activity in made) == sorted(ACTIVITIES) and all(a.weight > 0 for a in made)
