"""What is recorded, as messages of Foxglove's published Protobuf schemas: other tools open them.

Points are in metres and camera axes (x right, y down, z forward), which are also the axes of Foxglove's cameras.
"""

from __future__ import annotations

import numpy as np
from foxglove_schemas_protobuf.CameraCalibration_pb2 import CameraCalibration
from foxglove_schemas_protobuf.Color_pb2 import Color
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from foxglove_schemas_protobuf.FrameTransform_pb2 import FrameTransform
from foxglove_schemas_protobuf.FrameTransforms_pb2 import FrameTransforms
from foxglove_schemas_protobuf.ImageAnnotations_pb2 import ImageAnnotations
from foxglove_schemas_protobuf.LinePrimitive_pb2 import LinePrimitive
from foxglove_schemas_protobuf.PackedElementField_pb2 import PackedElementField
from foxglove_schemas_protobuf.Point2_pb2 import Point2
from foxglove_schemas_protobuf.Point3_pb2 import Point3
from foxglove_schemas_protobuf.PointCloud_pb2 import PointCloud
from foxglove_schemas_protobuf.PointsAnnotation_pb2 import PointsAnnotation
from foxglove_schemas_protobuf.Pose_pb2 import Pose
from foxglove_schemas_protobuf.Quaternion_pb2 import Quaternion
from foxglove_schemas_protobuf.SceneEntity_pb2 import SceneEntity
from foxglove_schemas_protobuf.SceneUpdate_pb2 import SceneUpdate
from foxglove_schemas_protobuf.Vector3_pb2 import Vector3
from google.protobuf.timestamp_pb2 import Timestamp
from msgspec import UNSET

from egostream.calibration.camera import Calibration
from egostream.calibration.kannala_brandt import KannalaBrandtLens
from egostream.head.rotations import quaternion
from egostream.publish.message import PoseMessage
from egostream.record.layout import NS
from egostream.skeleton import BONES

BONE_ENDS = [joint for bone in BONES for joint in bone]
BONE_METRES, KEYPOINT_PIXELS = 0.01, 8.0
#: What a point of ``joints`` holds, each as float32.
POINT_FIELDS = ("x", "y", "z", "confidence")
IDENTITY = Pose(orientation=Quaternion(w=1.0))
#: Half the angle, radians, over which the lens's scale about its axis is measured.
NEAR_AXIS = 1e-3


def camera_frame(stream: str) -> str:
    """Name of a stream's camera axes."""
    return f"{stream}/camera"


def room_frame(stream: str) -> str:
    """Name of the axes of the room that a stream's headset is in: OpenXR's (x right, y up, z backward)."""
    return f"{stream}/room"


def head_frame(stream: str) -> str:
    """Name of a stream's headset axes: OpenXR's."""
    return f"{stream}/head"


def timestamp(t_ns: int) -> Timestamp:
    """Unix time."""
    return Timestamp(seconds=t_ns // NS, nanos=t_ns % NS)


def image(stream: str, t_ns: int, format: str, data: bytes) -> CompressedImage:
    """The camera's picture, encoded as it came."""
    return CompressedImage(timestamp=timestamp(t_ns), frame_id=camera_frame(stream), data=data, format=format)


def calibration(stream: str, t_ns: int, camera: Calibration) -> CameraCalibration:
    """The camera as a pinhole with the lens's scale about its axis; with its distortion where the schema knows it.

    The lens itself is the attachment's.
    """
    lens, (width, height) = camera.lens, camera.size
    pixels = lens.project(np.array([[s, 0, 1] for s in (-NEAR_AXIS, NEAR_AXIS)] + [[0, -NEAR_AXIS, 1]]))[0]
    fx = float((pixels[1, 0] - pixels[0, 0]) / (2 * NEAR_AXIS))
    fy = float((lens.cy - pixels[2, 1]) / NEAR_AXIS)
    is_known = isinstance(lens, KannalaBrandtLens) and not lens.skew
    return CameraCalibration(
        timestamp=timestamp(t_ns),
        frame_id=camera_frame(stream),
        width=width,
        height=height,
        distortion_model="kannala_brandt" if is_known else "",
        D=lens.k if is_known and isinstance(lens, KannalaBrandtLens) else (),
        K=[fx, 0, lens.cx, 0, fy, lens.cy, 0, 0, 1],
        R=[1, 0, 0, 0, 1, 0, 0, 0, 1],
        P=[fx, 0, lens.cx, 0, 0, fy, lens.cy, 0, 0, 0, 1, 0],
    )


def joints(pose: PoseMessage, t_ns: int) -> PointCloud:
    """A pose's joints, each with its confidence."""
    points = np.concatenate([np.array(pose.joints), np.array(pose.confidence)[:, None]], axis=1)
    fields = [
        PackedElementField(name=name, offset=4 * place, type=PackedElementField.FLOAT32)
        for place, name in enumerate(POINT_FIELDS)
    ]
    return PointCloud(
        timestamp=timestamp(t_ns),
        frame_id=camera_frame(pose.stream),
        pose=IDENTITY,
        point_stride=4 * len(POINT_FIELDS),
        fields=fields,
        data=points.astype("<f4").tobytes(),
    )


def skeleton(pose: PoseMessage, t_ns: int, colors: list[Color]) -> SceneUpdate:
    """A pose's bones as lines between its joints, which have these colours."""
    lines = LinePrimitive(
        type=LinePrimitive.LINE_LIST,
        pose=IDENTITY,
        thickness=BONE_METRES,
        points=[Point3(x=x, y=y, z=z) for x, y, z in pose.joints],
        colors=colors,
        indices=BONE_ENDS,
    )
    entity = SceneEntity(
        timestamp=timestamp(t_ns), frame_id=camera_frame(pose.stream), id=f"{pose.stream}/body", lines=[lines]
    )
    return SceneUpdate(entities=[entity])


def keypoints(pose: PoseMessage, t_ns: int, colors: list[Color]) -> ImageAnnotations:
    """A pose's keypoints on the camera's own picture, in these colours."""
    points = PointsAnnotation(
        timestamp=timestamp(t_ns),
        type=PointsAnnotation.POINTS,
        points=[Point2(x=x, y=y) for x, y in pose.keypoints],
        outline_colors=colors,
        thickness=KEYPOINT_PIXELS,
    )
    return ImageAnnotations(points=[points])


def confidence_colors(pose: PoseMessage) -> list[Color]:
    """Colours of the joints: red where nothing is known, over yellow, to green where all is."""
    return [Color(r=min(1.0, 2 - 2 * c), g=min(1.0, 2 * c), b=0.1, a=1.0) for c in pose.confidence]


def transforms(pose: PoseMessage, t_ns: int, T_head_camera: np.ndarray) -> FrameTransforms | None:
    """Where the headset is in the room, and the camera on the headset; None where the pose does not say the former.

    T_head_camera: [4, 4], camera axes to the headset's, as in the calibration.
    """
    head = pose.head
    if head is UNSET or head.position is UNSET or head.orientation is UNSET:
        return None
    mount = T_head_camera[:3, 3].tolist(), quaternion(T_head_camera[:3, :3]).tolist()
    room, at, camera = room_frame(pose.stream), head_frame(pose.stream), camera_frame(pose.stream)
    return FrameTransforms(
        transforms=[
            transform(t_ns, room, at, head.position, head.orientation),
            transform(t_ns, at, camera, *mount),
        ]
    )


def transform(t_ns: int, parent: str, child: str, position: list[float], orientation: list[float]) -> FrameTransform:
    """Where one frame lies in another, in whose axes both are. position: metres; orientation: x, y, z, w."""
    (px, py, pz), (x, y, z, w) = position, orientation
    return FrameTransform(
        timestamp=timestamp(t_ns),
        parent_frame_id=parent,
        child_frame_id=child,
        translation=Vector3(x=px, y=py, z=pz),
        rotation=Quaternion(x=x, y=y, z=z, w=w),
    )
