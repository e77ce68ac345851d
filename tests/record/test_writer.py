"""The file as other tools read it, and what becomes of it where the recorder is killed or the disk is full."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from conftest import ROOT
from foxglove_schemas_protobuf.CameraCalibration_pb2 import CameraCalibration
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from foxglove_schemas_protobuf.FrameTransforms_pb2 import FrameTransforms
from foxglove_schemas_protobuf.ImageAnnotations_pb2 import ImageAnnotations
from foxglove_schemas_protobuf.PointCloud_pb2 import PointCloud
from foxglove_schemas_protobuf.SceneUpdate_pb2 import SceneUpdate
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from made_recordings import FRAME_NS, about, made_picture, made_pose, write_recording
from mcap.exceptions import McapError
from mcap.reader import NonSeekingReader, make_reader
from mcap_protobuf.decoder import DecoderFactory
from scipy.spatial.transform import Rotation

from egostream.calibration.file import as_json, canonical_calibration
from egostream.config import RunConfig, as_toml
from egostream.errors import EgostreamError
from egostream.publish.message import ENCODER, PlacedHead, unpack
from egostream.record.layout import StreamAbout
from egostream.record.writer import RecordingWriter
from egostream.skeleton import BONES

SCHEMAS = {
    "/0/image": CompressedImage,
    "/0/calibration": CameraCalibration,
    "/0/joints": PointCloud,
    "/0/skeleton": SceneUpdate,
    "/0/keypoints": ImageAnnotations,
}


def messages(path, topic):
    """A topic's messages by the library's reader of whole files: (time, bytes)."""
    with open(path, "rb") as file:
        reader = make_reader(file, validate_crcs=True)
        return [(message.log_time, message.data) for _, _, message in reader.iter_messages([topic])]


def cut_messages(path):
    """Poses of a file that may be cut off, by the library's reader that does not seek."""
    found = []
    with open(path, "rb") as file:
        try:
            for _, channel, message in NonSeekingReader(io.BytesIO(file.read())).iter_messages(log_time_order=False):
                if channel.topic == "pose/0":
                    found.append(message.data)
        except McapError:
            pass
    return found


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "made.mcap"
    return path, write_recording(path)


def test_published_schemas_decode_every_channel(recording):
    path, poses = recording
    with open(path, "rb") as file:
        summary = make_reader(file).get_summary()
    channels = {channel.topic: channel for channel in summary.channels.values()}
    assert set(channels) == {*SCHEMAS, "frame/0", "pose/0"}
    for topic, published in SCHEMAS.items():
        schema = summary.schemas[channels[topic].schema_id]
        assert (schema.name, schema.encoding) == (published.DESCRIPTOR.full_name, "protobuf")
        files = [one.name for one in FileDescriptorSet.FromString(schema.data).file]
        assert published.DESCRIPTOR.file.name in files
        counted = 1 if topic == "/0/calibration" else len(poses)
        assert summary.statistics.channel_message_counts[channels[topic].id] == counted
        assert len([published.FromString(data) for _, data in messages(path, topic)]) == counted
    assert channels["pose/0"].schema_id == channels["frame/0"].schema_id == 0


def test_the_file_describes_itself(recording):
    path, poses = recording
    with open(path, "rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        clouds = [decoded for *_, decoded in reader.iter_decoded_messages(["/0/joints"])]
    points = np.frombuffer(clouds[3].data, "<f4").reshape(15, 4)
    assert np.array_equal(points[:, :3], np.array(poses[3].joints, np.float32))
    assert np.array_equal(points[:, 3], np.array(poses[3].confidence, np.float32))
    assert [(field.name, field.offset) for field in clouds[3].fields] == [
        (n, 4 * i) for i, n in enumerate(["x", "y", "z", "confidence"])
    ]
    assert clouds[3].frame_id == "0/camera" and clouds[3].pose.orientation.w == 1


def test_what_is_drawn_is_the_pose(recording):
    path, poses = recording
    scene = SceneUpdate.FromString(messages(path, "/0/skeleton")[5][1])
    line = scene.entities[0].lines[0]
    points = np.array([[point.x, point.y, point.z] for point in line.points])
    assert np.array_equal(points[list(line.indices)].reshape(14, 2, 3), np.array(poses[5].joints)[np.array(BONES)])
    assert len(line.colors) == len(line.points) == 15 and line.type == line.LINE_LIST
    marks = ImageAnnotations.FromString(messages(path, "/0/keypoints")[5][1]).points[0]
    assert np.array_equal([[point.x, point.y] for point in marks.points], poses[5].keypoints)
    assert len(marks.outline_colors) == 15


def test_pictures_and_wire_messages_are_kept_byte_for_byte(recording):
    path, poses = recording
    images = messages(path, "/0/image")
    for seq, (t_ns, data) in enumerate(images):
        image = CompressedImage.FromString(data)
        assert (image.data, image.format) == (made_picture(seq).data, "jpeg")
        assert t_ns - images[0][0] == seq * FRAME_NS
        assert image.timestamp.seconds * 10**9 + image.timestamp.nanos == t_ns
    assert images[0][0] == poses[0].t_capture_ns + poses[0].clock_offset_ns  # Unix time
    assert [data for _, data in messages(path, "pose/0")] == [ENCODER.encode(pose) for pose in poses]


def test_a_pinhole_stands_for_the_lens(recording):
    camera = canonical_calibration()
    found = CameraCalibration.FromString(messages(recording[0], "/0/calibration")[0][1])
    assert (found.width, found.height) == camera.size
    near = camera.lens.project(np.array([0.01, 0.02, 1.0]))[0]
    pinhole = np.array(found.K).reshape(3, 3) @ [0.01, 0.02, 1.0]
    assert np.abs(pinhole[:2] - near).max() < 0.05  # pixels, of some 5
    with open(recording[0], "rb") as file:
        names = [one.name for one in make_reader(file).iter_attachments()]
    assert names == ["0.calibration.json", "0.config.toml"]


def test_an_output_that_exists_is_not_touched(recording):
    before = recording[0].read_bytes()
    with pytest.raises(EgostreamError, match="exists"):
        RecordingWriter(recording[0], [about()])
    assert recording[0].read_bytes() == before


#: Records forty poses a second until it is killed; says the number and time of each once it is written or waits.
RECORD_FOREVER = """
import sys, time
from pathlib import Path
sys.path.insert(0, "tests")
from made_recordings import about, made_picture, made_pose
from egostream.record.writer import RecordingWriter
writer = RecordingWriter(Path(sys.argv[1]), [about()])
for seq in range(100000):
    added_s = time.monotonic()
    writer.add_picture("0", made_picture(seq), made_pose(seq))
    writer.add_pose(made_pose(seq))
    writer.flush_if_due()
    print(seq, added_s, time.monotonic(), flush=True)
    time.sleep(0.025)
"""


def test_a_killed_recorder_loses_at_most_its_last_second(tmp_path):
    path = tmp_path / "killed.mcap"
    child = subprocess.Popen(
        [sys.executable, "-c", RECORD_FOREVER, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    lines = [next(child.stdout).split() for _ in range(60)]
    child.send_signal(signal.SIGKILL)
    lines += [line.split() for line in child.communicate()[0].splitlines()]
    last_s = float(lines[-1][2])
    due = [int(seq) for seq, added_s, _ in lines if last_s - float(added_s) > 1.0]
    found = cut_messages(path)
    assert len(due) > 10 and len(found) >= len(due)
    assert [unpack(b"pose/0\0" + data).seq for data in found] == list(range(len(found)))


def fill(path, limit=None):
    """Record into a place that gets full, in a process of its own. Returns how many poses were taken before."""
    code = f"""
import resource, sys
from pathlib import Path
sys.path.insert(0, "tests")
from made_recordings import about, made_picture, made_pose
from egostream.record.writer import DiskFull, RecordingWriter
limit = {limit!r}
if limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
writer, seq = RecordingWriter(Path({str(path)!r}), [about()]), 0
try:
    while seq < 100000:
        writer.add_picture("0", made_picture(seq), made_pose(seq))
        writer.add_pose(made_pose(seq))
        seq += 1
except DiskFull as error:
    print(error, file=sys.stderr)
writer.finish({{"reason": "full"}})
print(seq, writer.poses)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    taken, kept = map(int, done.stdout.split())
    return taken, kept, done.stderr


def check_whole(path, taken, kept, said):
    with open(path, "rb") as file:
        reader = make_reader(file, validate_crcs=True)
        found = [message.data for _, channel, message in reader.iter_messages(["pose/0"])]
        images = sum(1 for _ in reader.iter_messages(["/0/image"]))
        notes = {one.name: one.metadata for one in reader.iter_metadata()}
        counts = reader.get_summary().statistics.channel_message_counts
    assert "cannot write more" in said
    assert 0 < kept == len(found) <= taken and kept in counts.values()
    assert notes["egostream.ending"] == {"poses": str(kept), "pictures": str(images), "reason": "full"}


def test_a_file_that_may_not_grow_ends_whole(tmp_path):
    path = tmp_path / "large.mcap"
    check_whole(path, *fill(path, limit=5 << 20))
    assert path.stat().st_size <= 5 << 20


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root mounts a small disk")
def test_a_disk_that_fills_ends_the_recording_whole(tmp_path):
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", tmp_path], capture_output=True, text=True)
    if mount.returncode:
        pytest.skip(f"no small disk can be mounted: {mount.stderr.strip()}")
    try:
        check_whole(tmp_path / "full.mcap", *fill(tmp_path / "full.mcap"))
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)


def test_transforms_bring_the_joints_into_the_room(tmp_path):
    """By scipy's rotations: through the headset, a quarter turned to its left, to where it stands in the room."""
    camera = replace(
        canonical_calibration(), T_head_camera=((1, 0, 0, 0), (0, -1, 0, 0.1), (0, 0, -1, -0.2), (0, 0, 0, 1))
    )
    writer = RecordingWriter(tmp_path / "a.mcap", [StreamAbout("0", as_json(camera), as_toml(RunConfig()))])
    head = PlacedHead(position=[1.0, 1.7, 3.0], orientation=[0.0, 0.5**0.5, 0.0, 0.5**0.5])
    poses = [made_pose(0), msgspec.structs.replace(made_pose(1), head=head)]
    for pose in poses:
        writer.add_pose(pose)
    writer.finish({})
    ((_, data),) = messages(tmp_path / "a.mcap", "/tf")  # none for the pose that does not know its head
    steps = FrameTransforms.FromString(data).transforms
    assert [(one.parent_frame_id, one.child_frame_id) for one in steps] == [
        ("0/room", "0/head"),
        ("0/head", "0/camera"),
    ]
    points = np.array(poses[1].joints)
    for one in reversed(steps):
        turn = Rotation.from_quat([one.rotation.x, one.rotation.y, one.rotation.z, one.rotation.w])
        points = turn.apply(points) + [one.translation.x, one.translation.y, one.translation.z]
    x, y, z = np.array(poses[1].joints).T
    on_head = np.array([x, 0.1 - y, -0.2 - z])  # x right, y up, z backward
    expected = np.array([1.0 + on_head[2], 1.7 + on_head[1], 3.0 - on_head[0]]).T
    np.testing.assert_allclose(points, expected, atol=1e-9)
