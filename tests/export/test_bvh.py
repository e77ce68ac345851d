"""BVH files, read by bvhio."""

from __future__ import annotations

import numpy as np
import pytest
from moving_bodies import at, moving
from scipy.spatial.transform import Rotation

from egostream.body.bones import BONE_JOINTS, FEET, JOINT_BONES, TOE_JOINTS
from egostream.body.bones import BONES as HUMANOID
from egostream.errors import EgostreamError
from egostream.export.bvh import BvhWriter

bvhio = pytest.importorskip("bvhio", reason="pip install bvhio")
MM = 1e-3
FOOT_NAMES = [HUMANOID[foot] for foot in FEET]


def write(path, poses, body, **options):
    writer = BvhWriter(**options)
    writer.open(path)
    for pose in poses:
        writer.add(pose)
    writer.finish(body)
    return path


def joints_in(path, frame, scale=1.0):
    """Joints [15, 3] of a frame as bvhio has them, in x right, y down, z forward. It turns y of a bone to its end."""
    root = bvhio.readAsHierarchy(str(path)).loadPose(frame)
    found = {joint.Name: joint for joint, _, _ in root.layout()}
    ends = {joint.Name: joint.EndSite for joint, _, _ in bvhio.readAsBvh(str(path)).Root.layout()}
    joints = np.empty((15, 3))
    joints[BONE_JOINTS] = [np.array(found[HUMANOID[bone]].PositionWorld) for bone in JOINT_BONES]
    joints[TOE_JOINTS] = [
        np.array(found[name].PositionWorld) + np.array(found[name].UpWorld) * np.linalg.norm(ends[name])
        for name in FOOT_NAMES
    ]
    return joints * [-1, -1, 1] / scale


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_a_bvh_reader_finds_the_joints(tmp_path, scale):
    poses, joints, body = moving()
    path = write(tmp_path / "walk.bvh", poses, body, scale=scale)
    for frame in range(0, len(poses), 5):
        np.testing.assert_allclose(joints_in(path, frame, scale), joints[frame], atol=MM)
    assert bvhio.readAsBvh(str(path)).FrameTime == pytest.approx(1 / 30, abs=1e-6)


def test_poses_at_uneven_times_are_put_on_equal_steps(tmp_path):
    """A dropped frame leaves no jump in time: the file's frames follow each other in equal steps."""
    poses, joints, body = moving()
    path = write(tmp_path / "gap.bvh", [pose for n, pose in enumerate(poses) if n not in (2, 7)], body)
    assert bvhio.readAsBvh(str(path)).FrameCount == len(poses)
    np.testing.assert_allclose(joints_in(path, 10), joints[10], atol=MM)


def test_another_rate_lies_between_the_poses(tmp_path):
    poses, _, body = moving(10)
    path = write(tmp_path / "fast.bvh", poses, body, fps=60)
    read = bvhio.readAsBvh(str(path))
    assert read.FrameCount == 19
    middle = np.array(bvhio.readAsHierarchy(str(path)).loadPose(1).PositionWorld) * [-1, -1, 1]
    np.testing.assert_allclose(middle, (poses[0].hips + poses[1].hips) / 2, atol=MM)


def test_angles_do_not_wrap(tmp_path):
    """Ten turns about the vertical: programs that interpolate angles would spin where they wrap."""
    poses, _, body = moving(1)
    turned = [type(poses[0])(n * 33_333_333, poses[0].hips, spun(poses[0].rotations, 36.0 * n)) for n in range(100)]
    path = write(tmp_path / "spin.bvh", turned, body)
    rows = [line.split() for line in path.read_text().partition("Frame Time:")[2].splitlines()[1:] if line]
    assert np.abs(np.diff(np.array(rows, float)[:, 3:6], axis=0)).max() < 40


def spun(rotations, degrees):
    return (Rotation.from_euler("y", degrees, degrees=True) * Rotation.from_quat(rotations)).as_quat()


def test_one_pose_is_a_file_and_none_is_an_error(tmp_path):
    poses, joints, body = moving(1)
    path = write(tmp_path / "one.bvh", [poses[0], at(poses[0], 0)], body)
    np.testing.assert_allclose(joints_in(path, 0), joints[0], atol=MM)
    with pytest.raises(EgostreamError, match="no pose to write"):
        write(tmp_path / "none.bvh", [], body)
    assert not (tmp_path / "none.bvh").exists()
    with pytest.raises(EgostreamError, match="cannot write"):
        write(path / "below.bvh", poses, body)
