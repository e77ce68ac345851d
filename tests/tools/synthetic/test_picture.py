"""The data generator: what is drawn lies where the lens puts it, labels are true, and a run can be stopped and go on."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
from conftest import ROOT, SHARED

pytest.importorskip("moderngl")

from scipy.spatial.transform import Rotation  # noqa: E402

from egostream.calibration.file import Calibration, canonical_calibration, load_calibration  # noqa: E402
from egostream.calibration.lens import OUTSIDE, project_or_outside  # noqa: E402
from egostream.calibration.pinhole import PinholeLens  # noqa: E402
from egostream.calibration.view import (
    CameraView,  # noqa: E402
    InputGeometry,  # noqa: E402
    InputMapping,  # noqa: E402
)
from egostream.capture.rectify import Rectifier  # noqa: E402
from egostream.errors import EgostreamError  # noqa: E402
from egostream.files import asset  # noqa: E402
from egostream.skeleton import BONES  # noqa: E402
from tools import contact_sheet, make_sample  # noqa: E402
from tools.data.datasets import read_data  # noqa: E402
from tools.data.inputs import InputReader  # noqa: E402
from tools.synthetic.movement.activities import random_activity  # noqa: E402
from tools.synthetic.movement.movement import Movement  # noqa: E402
from tools.synthetic.movement.segments import SEGMENTS  # noqa: E402
from tools.synthetic.people import body as bodies  # noqa: E402
from tools.synthetic.people.capsules import Capsules  # noqa: E402
from tools.synthetic.people.makehuman import MakeHuman  # noqa: E402
from tools.synthetic.picture.headset import RIGS, random_rig, random_sensor  # noqa: E402
from tools.synthetic.picture.render import Looks, Renderer  # noqa: E402
from tools.synthetic.picture.sequence import seen  # noqa: E402
from tools.synthetic.picture.shapes import Mesh, box, grid  # noqa: E402

MPFB = SHARED / "body" / "mpfb2"
KANNALA_BRANDT = {
    "name": "kb", "model": "kannala_brandt", "size": [800, 600], "focal": [210.0, 214.0], "center": [402.0, 297.0], "k": [-0.02, 0.004, 0.0, 0.0],
}  # fmt: skip


@pytest.fixture(scope="module")
def context():
    """Skips where there is no OpenGL at all."""
    try:
        return Renderer(canonical_calibration(), (64, 64))
    except EgostreamError as error:
        pytest.skip(str(error))


def standing(frames: int = 1, hip_height: float = 1.0) -> Movement:
    """The T-pose."""
    still = np.tile(np.eye(3), (frames, len(SEGMENTS), 1, 1))
    return Movement("t", 30.0, np.tile([0, hip_height, 0], (frames, 1)), hip_height, still, np.zeros((frames, 2)))


def glowing(count: int) -> Looks:
    return Looks(
        np.tile([1.0, 1, 1, 0], (count, 1)), np.tile([1.0, 0, 0, 1], (count, 1)), np.full((1, 256, 256, 3), 128, np.uint8),
        np.zeros(3), np.zeros(3), np.array([[0, 9.0, 0]] * 4), np.zeros((4, 3)),
    )  # fmt: skip


def kannala_brandt(tmp_path):
    path = tmp_path / "kb.json"
    path.write_text(json.dumps(KANNALA_BRANDT))
    return load_calibration(path)


@pytest.mark.parametrize("lens", ["canonical", "kannala_brandt"])
@pytest.mark.parametrize("mapping", ["crop", "squash", None])
def test_what_is_drawn_lies_where_the_lens_projects_it(context, tmp_path, lens, mapping):
    calibration = canonical_calibration() if lens == "canonical" else kannala_brandt(tmp_path)
    renderer = Renderer(calibration, tuple(calibration.size) if mapping is None else (256, 256), mapping)
    rng = np.random.default_rng(5)
    nothing = grid(np.array([0, 0, -50.0]), np.array([0.01, 0, 0]), np.array([0, 0.01, 0]), (1, 1), 0)
    dot = box(np.zeros(3), (0.03,) * 3, 0)
    renderer.set_scene(nothing, dot.faces, len(dot.vertices), glowing(1))
    worst = 0.0
    for theta in np.radians(np.linspace(0, 80, 12 if mapping else 4)):
        phi = rng.uniform(0, 2 * np.pi)
        point = rng.uniform(0.5, 1.2) * np.array(
            [np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)]
        )
        expected, inside = renderer.pixels(point)
        if not inside or (np.abs(expected - np.array(renderer.size) / 2) > np.array(renderer.size) / 2 - 5).any():
            continue
        moved = Mesh((dot.vertices + point).astype("f4"), dot.normals, dot.uv, dot.materials, dot.faces)
        colour, distance = renderer.draw(moved, np.eye(4), np.zeros(3))
        weight = colour.sum(-1)
        y, x = np.nonzero(weight > 0)
        found = np.array([np.average(x, weights=weight[y, x]), np.average(y, weights=weight[y, x])])
        worst = max(worst, float(np.linalg.norm((found - expected) / renderer.scale)))
        assert distance.max() == pytest.approx(np.linalg.norm(point), abs=0.02)
    assert 0 < worst < 0.5 * max(1 / renderer.scale.min(), 1), worst  # half a drawn pixel, in the camera's pixels


def test_keypoints_of_a_recording_are_opencvs_projection(context, tmp_path):
    calibration = kannala_brandt(tmp_path)
    renderer = Renderer(calibration, calibration.size, mapping=None)
    from tools.synthetic.picture.sequence import shoot

    rng = np.random.default_rng(3)
    movement = random_activity(rng, 1.0, 30.0)
    for shot in shoot(renderer, Capsules().sample(rng), movement, rng, 10.0, frames=3):
        ahead = shot.joints[:, 2] > 0.05  # OpenCV's model stops at 90 degrees
        K = np.array([[210.0, 0, 402], [0, 214.0, 297], [0, 0, 1]])
        expected, _ = cv2.fisheye.projectPoints(
            shot.joints[None, ahead].astype(float), np.zeros(3), np.zeros(3), K, np.array([-0.02, 0.004, 0, 0])
        )
        assert ahead.sum() >= 4
        np.testing.assert_allclose(shot.keypoints[ahead], expected[0], atol=0.05)


@pytest.fixture(params=["capsules", "makehuman"], scope="module")
def people(request):
    if request.param == "capsules":
        return Capsules()
    if not MPFB.is_dir():
        pytest.skip("the MakeHuman mesh does not lie beside this checkout")
    return MakeHuman(MPFB)


def test_bodies_are_plausible_people(people):
    statures = []
    for seed in range(12):
        body = people.sample(np.random.default_rng(seed))
        statures.append(body.stature)
        assert np.allclose(body.weights.sum(1), 1, atol=1e-4) and np.isfinite(body.vertices).all()
        assert set(np.unique(body.regions)) <= set(range(len(bodies.REGIONS)))
        turns, heads = body.pose(np.array([[0, body.hip_height, 0]]), standing().rotations, np.zeros((1, 2)))
        joints = body.joints(heads)[0]
        assert (
            joints[3, 0] < joints[2, 0] < joints[1, 0] < 0 < joints[4, 0] < joints[5, 0] < joints[6, 0]
        )  # right is -x
        bones = {pair: np.linalg.norm(joints[pair[0]] - joints[pair[1]]) for pair in BONES}
        assert (
            0.2 < bones[2, 1] < 0.4
            and 0.18 < bones[3, 2] < 0.36
            and 0.3 < bones[8, 7] < 0.6
            and 0.3 < bones[9, 8] < 0.6
        )
        assert bones[2, 1] == pytest.approx(bones[5, 4], rel=0.03) and bones[8, 7] == pytest.approx(
            bones[12, 11], rel=0.03
        )
        vertices, normals = body.skin(turns[0], heads[0])
        # what is worn on the feet stands on the floor, and skinning moves flesh with its bone
        assert vertices[:, 1].min() == pytest.approx(0, abs=0.03)
        arm = body.weights[:, body.bones.segment_bone("forearm_r")] > 0.9
        axis = joints[3] - joints[2]
        along = (vertices[arm] - joints[2]) @ axis / (axis @ axis)
        assert arm.any() and -0.5 < along.min() and along.max() < 1.6
        np.testing.assert_allclose(axis / np.linalg.norm(axis), [-1, 0, 0], atol=0.05)  # a T-pose is a T-pose
        assert np.linalg.norm(normals, axis=1).min() > 0.2
    assert np.ptp(statures) > 0.1 and 1.4 < min(statures) and max(statures) < 2.15


def test_what_the_lens_cannot_see_has_no_pixel_and_is_not_visible(context):
    """A hand stretched up is behind a camera that looks down: its keypoint must not be the middle of the picture."""
    from tools.synthetic.movement.rotations import about
    from tools.synthetic.movement.segments import INDEX
    from tools.synthetic.picture.sequence import shoot

    rng = np.random.default_rng(1)
    movement = standing(40)
    rotations = movement.rotations.copy()
    for side, sign in (("r", -1), ("l", 1)):
        for name in ("upperarm", "forearm", "hand"):
            rotations[:, INDEX[f"{name}_{side}"]] = about("Z", sign * np.pi / 2)
    renderer = Renderer(canonical_calibration(), (128, 128))
    (shot,) = shoot(renderer, Capsules().sample(rng), replace(movement, rotations=rotations), rng, 30.0, frames=1)
    wrists = [3, 6]
    assert (shot.joints[wrists, 2] < -0.1).all()  # above the camera
    pixels, known = renderer.calibration.lens.project(shot.joints)
    assert not known[wrists].all() and not shot.visible[wrists].any()
    assert (shot.keypoints[~known] == OUTSIDE).all()
    np.testing.assert_allclose(shot.keypoints[known], pixels[known], atol=0.01)


def test_the_canonical_lens_has_a_circle(context, tmp_path):
    """Dark beyond about 89 degrees however the camera was named; another camera's picture is lit to its own end."""
    canonical, light = canonical_calibration(), np.ones((64, 64, 3), np.float32)
    y, x = np.mgrid[:64, :64]
    pixels = InputMapping("crop", canonical.size).canonical_from_input(4.0 * np.stack([x, y], -1) + 1.5)
    theta = np.degrees(np.arccos(canonical.lens.unproject(pixels)[0][..., 2]))
    for camera, is_lit in ((None, False), (copy.deepcopy(canonical), False), (kannala_brandt(tmp_path), True)):
        renderer = Renderer(canonical, (64, 64), "crop", camera)
        vignettes = [random_sensor(np.random.default_rng(seed), renderer, light).vignette[..., 0] for seed in range(20)]
        assert all((v[theta < 60] > 0.1).all() for v in vignettes)
        if not is_lit:
            assert not any(v[theta > 104].any() for v in vignettes)  # nearly four deviations
            assert 85 < np.median([theta[v > 0].max() for v in vignettes]) < 93
        else:
            assert min(theta[v > 0].max() for v in vignettes) > 100


def test_hidden_dark_and_unobstructed_joints(context):
    joints = np.tile([0.1, 0.1, 1.0], (15, 1))
    picture = (context.size[1], context.size[0])
    lit, dark = np.ones((*picture, 1)), np.zeros((*picture, 1))
    assert seen(context, joints, np.full(picture, 1.0), lit).all()  # its own skin
    assert not seen(context, joints, np.full(picture, 0.4), lit).any()  # something nearer
    assert seen(context, joints, np.zeros(picture), lit).all()  # nothing drawn there
    assert not seen(context, joints, np.full(picture, 1.0), dark).any()
    assert not seen(context, joints * (1, 1, -1), np.full(picture, 9.0), lit).any()  # behind


def test_a_camera_on_the_head_sees_the_wearer_as_the_real_rig_does(people):
    """The SceneEgo rig: neck 0.35 m towards the image's bottom and 0.12 m below the camera; right is right."""
    rigged = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        body = people.sample(rng)
        turns, heads = body.pose(np.array([[0, body.hip_height, 0]]), standing().rotations, np.zeros((1, 2)))
        camera = random_rig(rng, "boom").world_to_camera(body, turns, heads)[0]
        np.testing.assert_allclose(camera[:3, :3] @ camera[:3, :3].T, np.eye(3), atol=1e-9)
        assert np.linalg.det(camera[:3, :3]) == pytest.approx(1)
        joints = body.joints(heads)[0] @ camera[:3, :3].T + camera[:3, 3]
        rigged.append(joints)
        assert joints[1, 0] > 0.05 > -0.05 > joints[4, 0]  # right shoulder on the image's right
        assert joints[9, 2] > 1.0 and joints[13, 2] > 1.0  # ankles far below
    neck = np.median(np.array(rigged)[:, 0], 0)
    np.testing.assert_allclose(neck, [0, 0.35, 0.12], atol=0.04)
    assert set(RIGS) == {"boom", "brim", "glasses"}


def make(out, *flags, fails: str | None = None):
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools/make_synthetic.py"), "--out", str(out), "--jobs", "1", *map(str, flags)],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    if fails is None:
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 1 and fails in done.stderr and "Traceback" not in done.stderr, done.stderr
    return done


SMALL = ("--train", 2, "--val", 1, "--test", 1, "--frames", 3, "--fps", 10, "--seed", 7)


@pytest.fixture(scope="module")
def made(context, tmp_path_factory):
    out = tmp_path_factory.mktemp("synthetic") / "data"
    make(out, *SMALL)
    return out


def test_a_recording_is_read_back_with_true_labels(made):
    sequences = read_data(str(made), "train")
    assert [s.name for s in sequences] == ["train/000000", "train/000001"] and [len(s) for s in sequences] == [3, 3]
    reader = InputReader(sequences[0].geometry)
    canonical = canonical_calibration()
    for sequence in sequences:
        assert sequence.fps == 10 and not sequence.left_out
        about = json.loads((made / sequence.name / "sequence.json").read_text())
        assert about["rig"] in RIGS and sequence.stature_m == about["stature_m"] > 1.3
        np.testing.assert_allclose(project_or_outside(canonical.lens, sequence.joints), sequence.keypoints, atol=0.5)
        image = reader.read(sequence, 0)
        assert image.shape == (256, 256, 3) and image.std() > 2
        inside = reader.keypoints(sequence)[sequence.visible]
        assert len(inside) and (inside > -0.5).all() and (inside < 64.5).all()


def test_the_seed_decides_every_picture_and_another_run_goes_on(made, tmp_path):
    again = tmp_path / "again"
    make(again, *SMALL)
    same = lambda name: (made / name).read_bytes() == (again / name).read_bytes()
    assert same("train/000001/000002.jpg") and same("test/000000/000000.jpg")
    assert (made / "train/000000/000000.jpg").read_bytes() != (made / "train/000001/000000.jpg").read_bytes()
    shutil.rmtree(again / "train/000001")
    before = (again / "train/000000/labels.npz").stat().st_mtime_ns
    make(again, *SMALL)  # as after a kill: only what lacks is made
    assert same("train/000001/000002.jpg") and (again / "train/000000/labels.npz").stat().st_mtime_ns == before


def test_a_contact_sheet_shows_the_frames_and_their_labels(made, tmp_path, capsys):
    plain, labelled = tmp_path / "plain.png", tmp_path / "labelled.png"
    common = ["--data", str(made), "--split", "train", "--count", "3", "--columns", "2", "--tile", "128"]
    contact_sheet.main([*common, "-o", str(plain)])
    contact_sheet.main([*common, "--truth", "-o", str(labelled)])
    shown, drawn = cv2.imread(str(plain)), cv2.imread(str(labelled))
    assert shown.shape == drawn.shape == (256, 256, 3) and not shown[128:, 128:].any()  # two rows, the last place empty
    assert (shown != drawn).any() and (shown[128:, 128:] == drawn[128:, 128:]).all()
    (frame,) = contact_sheet.pictures(
        made / "train" / "000000" / "000000.jpg", None
    )  # cut square, as the canonical camera's
    assert frame.shape == (256, 256, 3) and frame.std() > 2
    for flags, message in (([], "nothing to show"), (["--data", str(made), "--count", "0"], "--count is 0")):
        with pytest.raises(EgostreamError, match=message):
            contact_sheet.main([*flags, "-o", str(plain)])
    with pytest.raises(EgostreamError, match="cannot write"):
        contact_sheet.main([*common, "-o", str(tmp_path / "sheet.nothing")])


def test_the_sample_clip_loops_without_a_jump():
    movement = random_activity(np.random.default_rng(3), (60 + make_sample.CLOSING + 2) / 30, 30.0)
    clip = make_sample.closed(movement, 60)
    assert len(clip) == 60
    turn = lambda a, b: np.linalg.norm(
        Rotation.from_matrix((np.swapaxes(a, -1, -2) @ b).reshape(-1, 3, 3)).as_rotvec(), axis=-1
    ).max()
    steps = [turn(clip.rotations[k], clip.rotations[k + 1]) for k in range(59)]
    assert turn(clip.rotations[-1], clip.rotations[0]) <= 1.5 * max(steps)
    assert (
        np.linalg.norm(clip.root[0] - clip.root[-1]) <= 1.5 * np.linalg.norm(np.diff(clip.root, axis=0), axis=1).max()
    )
    cut = movement.rotations[make_sample.CLOSING : make_sample.CLOSING + 60]
    assert turn(cut[-1], cut[0]) > 1.5 * max(steps), "it closes by itself: this test could not fail"


def test_bad_wishes_are_refused_in_one_line(made, tmp_path, context):
    make(made, *SMALL[:-2], "--seed", 8, fails="was made with another seed")
    make(tmp_path / "a", "--body", tmp_path, fails="lacks base.obj")
    make(tmp_path / "b", "--motion", tmp_path / "nothing", fails="nothing")
    make(tmp_path / "c", "--calibration", tmp_path / "none.json", fails="no calibration file")
    make(tmp_path / "d", "--frames", 0, fails="--frames is 0")
    (made / "manifest.json").rename(made / "kept")
    with pytest.raises(EgostreamError, match="Make data: python tools/make_synthetic.py"):
        read_data(str(made), "train")
    (made / "kept").rename(made / "manifest.json")


def test_a_damaged_recording_is_named(made, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(made, copy)
    (copy / "train/000001/000001.jpg").unlink()
    labels = dict(np.load(copy / "train/000000/labels.npz"))
    labels["joints"][2, 4] = np.nan
    np.savez(copy / "train/000000/labels.npz", **labels)
    first, second = read_data(str(copy), "train")
    assert (
        first.left_out == {"with NaN": 1}
        and second.left_out == {"without an image": 1}
        and list(second.frames) == [0, 2]
    )
    (copy / "train/000000/000001.jpg").write_bytes(b"\xff\xd8 not a picture")
    with pytest.raises(EgostreamError, match="000001.jpg cannot be read"):
        InputReader(first.geometry).read(first, 1)
    (copy / "train/000000/000000.jpg").write_bytes(cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8))[1].tobytes())
    with pytest.raises(EgostreamError, match="64x64, expected the network's 256x256"):
        InputReader(first.geometry).read(first, 0)
    (copy / "train/000001/labels.npz").write_bytes(b"PK")
    with pytest.raises(EgostreamError, match="train/000001 cannot be read"):
        read_data(str(copy), "train")


def test_full_frames_of_another_camera_are_rectified_as_the_runtime_does(context, tmp_path):
    path = tmp_path / "kb.json"
    path.write_text(json.dumps(KANNALA_BRANDT))
    out = tmp_path / "data"
    make(out, "--calibration", path, "--frame-size", "camera", "--train", 1, "--val", 0, "--test", 0, "--frames", 2)
    (sequence,) = read_data(str(out), "train")
    assert cv2.imread(str(sequence.images[0])).shape == (600, 800, 3) and sequence.camera.name == "kb"
    geometry = InputGeometry("canonical", "crop")
    reader, rectifier = InputReader(geometry), Rectifier(CameraView(geometry, sequence.camera))
    assert reader.read(sequence, 0).shape == (256, 256, 3)
    back, valid = rectifier.view.keypoints_in_camera(reader.keypoints(sequence))
    known = valid & sequence.visible
    assert known.any()
    np.testing.assert_allclose(back[known], sequence.keypoints[known], atol=0.5)
    # its network input, made directly, shows the same and no more than this camera sees
    direct = tmp_path / "direct"
    make(direct, "--calibration", path, "--train", 1, "--val", 0, "--test", 0, "--frames", 2)
    (other,) = read_data(str(direct), "train")
    np.testing.assert_allclose(other.joints, sequence.joints, atol=1e-5)
    blind = rectifier.view.camera_from_canonical(
        rectifier.view.mapping.canonical_from_input(np.stack(np.meshgrid(np.arange(256), np.arange(256)), -1))
    )
    unseen = ~(blind[1] & ((blind[0] >= 0) & (blind[0] < (800, 600))).all(-1))
    picture = reader.read(other, 0)
    assert unseen.mean() > 0.05 and picture[cv2.erode(unseen.astype(np.uint8), np.ones((9, 9))) > 0].mean() < 40


def test_the_canonical_calibration_needs_no_file():
    assert asset("calib", "canonical.json").is_file() and replace(canonical_calibration(), name="x").size == (
        1280,
        1024,
    )


def test_a_tangential_lens_is_refused_where_it_would_be_drawn_wrongly(context):
    lens = PinholeLens(500.0, 500.0, 320.0, 240.0, (0.1, 0.0, 0.002, 0.0))
    with pytest.raises(EgostreamError, match="tangential distortion is not rendered.*--frame-size camera"):
        Renderer(Calibration("mine", (640, 480), lens), (640, 480), mapping=None)
