"""Animations of annotated recordings, read by libraries that are not ours."""

from __future__ import annotations

import numpy as np
import pytest

from egostream.annotate.one import annotate
from egostream.annotate.plan import Job
from egostream.body.bones import BONE_JOINTS, JOINT_BONES
from egostream.body.bones import BONES as HUMANOID

FRAMES = 45


@pytest.fixture(scope="module")
def folder(stream, tmp_path_factory):
    """The sample's first frames as arrays and as every animation."""
    from sample_clip import sample_images

    folder = tmp_path_factory.mktemp("animation")
    (folder / "clip").mkdir()
    for number, image in enumerate(sample_images()[:FRAMES]):
        image.tofile(folder / "clip" / f"{number}.jpg")
    places = tuple(str(folder / f"poses{suffix}") for suffix in (".npz", ".bvh", ".vrma", ".glb"))
    report = annotate(stream, Job(str(folder / "clip"), places), lambda *_: None)
    assert not report.error, report.error
    return folder


def residual_mm(found: np.ndarray, wanted: np.ndarray) -> float:
    """Mean distance [mm] of points [n, 3] after the best turn and shift of ``found``; nothing is mirrored or scaled."""
    a, b = found - found.mean(0), wanted - wanted.mean(0)
    u, _, v = np.linalg.svd(a.T @ b)
    turn = u @ np.diag([1, 1, np.sign(np.linalg.det(u @ v))]) @ v
    return 1000 * float(np.linalg.norm(a @ turn - b, axis=1).mean())


def test_the_bones_of_a_bvh_lie_where_the_joints_are(folder):
    """Up to the room's turn, and to bones whose lengths stay while the joints' distances vary from frame to frame."""
    bvhio = pytest.importorskip("bvhio", reason="pip install bvhio")
    joints = np.load(folder / "poses.npz")["joints"][:, BONE_JOINTS]
    assert bvhio.readAsBvh(str(folder / "poses.bvh")).FrameCount == FRAMES
    for frame in range(11, FRAMES, 11):  # the first ones were solved before the bones were known
        root = bvhio.readAsHierarchy(str(folder / "poses.bvh")).loadPose(frame)
        found = {joint.Name: np.array(joint.PositionWorld) for joint, _, _ in root.layout()}
        points = np.stack([found[HUMANOID[bone]] for bone in JOINT_BONES]) * [-1, -1, 1]
        assert residual_mm(points, joints[frame]) < 25
        assert residual_mm(points, joints[(frame + 22) % FRAMES]) > residual_mm(points, joints[frame])
        assert residual_mm(points * [-1, 1, 1], joints[frame]) > 60  # mirrored, it would be another body


@pytest.mark.parametrize("suffix", [".vrma", ".glb"])
def test_gltf_holds_an_animation_of_as_many_frames(folder, suffix):
    pygltflib = pytest.importorskip("pygltflib", reason="pip install pygltflib")
    document = pygltflib.GLTF2().load_binary(str(folder / f"poses{suffix}"))
    (animation,) = document.animations
    times = document.accessors[animation.samplers[0].input]
    assert times.count == FRAMES and times.max[0] == pytest.approx((FRAMES - 1) / 30, abs=1e-3)
    assert ("VRMC_vrm_animation" in (document.extensions or {})) == (suffix == ".vrma")
