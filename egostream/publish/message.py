"""The messages on the wire: ``topic`` NUL msgpack map, in one ZeroMQ frame. docs/messages.md specifies every field."""

from __future__ import annotations

import dataclasses
import math
import time
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from egostream.errors import EgostreamError, first_line
from egostream.skeleton import JOINTS, PARENTS
from egostream.told import Told
from egostream.types import Pose, Stage

VERSION = 1
POSE_TOPIC: Literal["pose"] = "pose"
STATUS_TOPIC: Literal["status"] = "status"
HEAD_TOPIC: Literal["head"] = "head"
STATUS_PERIOD_S = 1.0
#: One value for each joint, and points of so many coordinates for each joint: what is longer or shorter is no pose.
PerJoint = Annotated[list[float], msgspec.Meta(min_length=len(JOINTS), max_length=len(JOINTS))]
Points3 = Annotated[
    list[Annotated[list[float], msgspec.Meta(min_length=3, max_length=3)]],
    msgspec.Meta(min_length=len(JOINTS), max_length=len(JOINTS)),
]
Points2 = Annotated[
    list[Annotated[list[float], msgspec.Meta(min_length=2, max_length=2)]],
    msgspec.Meta(min_length=len(JOINTS), max_length=len(JOINTS)),
]
Three = Annotated[list[float], msgspec.Meta(min_length=3, max_length=3)]
Four = Annotated[list[float], msgspec.Meta(min_length=4, max_length=4)]
CAMERA_FRAME = "camera"  # x right, y down, z forward, of the canonical camera
OPENXR_FRAME = "openxr"  # x right, y up, z backward
#: Where a room comes from: a headset's pose, gravity in the head's axes, or the body alone.
HEADSET, IMU, GUESS = "headset", "imu", "guess"

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]  # x, y, z, w


class HeadMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A headset's pose, which others send to a run. A key that is unset is left out."""

    v: int = VERSION
    stream: str
    t_ns: int  # the sender's monotonic clock
    clock_offset_ns: int  # its wall clock minus its monotonic clock
    frame: str = OPENXR_FRAME
    position: Vector | UnsetType = UNSET  # metres, in the room
    orientation: Quaternion | UnsetType = UNSET  # turns the head's axes into the room's
    gravity: Vector | UnsetType = UNSET  # where down is in the head's axes, of any length
    space: str = ""  # what the sender calls its room


class PlacedHead(msgspec.Struct, frozen=True, kw_only=True):
    """The head when the frame was captured. A key that is unset is left out."""

    position: Three | UnsetType = UNSET  # [3] metres, in the room
    orientation: Four | UnsetType = UNSET  # [4] unit x, y, z, w
    gravity: Three | UnsetType = UNSET  # [3] unit, where down is in the head's axes
    space: str = ""


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """A pose in the room. A key that is unset is left out."""

    joints_world: Points3 | UnsetType = UNSET  # [15][3] metres, OpenXR axes of the room
    head: PlacedHead | UnsetType = UNSET
    world: str | UnsetType = UNSET  # where the room comes from: HEADSET, IMU, GUESS


class PoseMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One pose. Key order and meaning are fixed by the schema version; later versions only add keys."""

    v: int = VERSION
    stream: str
    seq: int
    t_capture_ns: int
    t_publish_ns: int
    clock_offset_ns: int  # wall clock minus monotonic clock
    stages_ns: dict[str, int]
    joints: Points3  # [15][3] metres
    frame: str = CAMERA_FRAME
    confidence: PerJoint  # [15] 0..1
    keypoints: Points2  # [15][2] pixels on the camera's own frame
    weights: str  # id of the weights
    dropped_frames: int
    continues: bool = True  # off: the past was forgotten before this pose, the first one included
    motions: list[int] = []  # seq of the frames whose motion was made since the stream's last pose, in order
    sigma_m: PerJoint | UnsetType = (
        UNSET  # [15] metres: how far off each joint is on average, by the network's judgement
    )
    told: Told | UnsetType = UNSET  # what the network was told beside the picture
    joints_world: Points3 | UnsetType = UNSET  # as of Placed
    head: PlacedHead | UnsetType = UNSET
    world: str | UnsetType = UNSET


class Versioned(msgspec.Struct):
    """What messages of every version have."""

    v: int


class SkeletonStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The joints of every pose, and the parent of each."""

    joints: tuple[str, ...] = JOINTS
    parents: tuple[int, ...] = PARENTS


class WeightsStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The weights that make the poses."""

    id: str
    trained: bool
    variant: str
    temporal: str
    window: int
    step_ms: float
    description: str


class EngineStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The engine that runs them."""

    backend: str
    version: str
    device: str
    precision: str
    motion: str = "every-frame"  # computed with every pose, or "trained-step": between poses


class CameraStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The camera, as its capture process sees it."""

    state: str  # starting, streaming, lost, ended, failed
    source: str
    mode: str
    fps: float
    bad_frames: int
    note: str
    calibration: str
    size: tuple[int, int]
    bad_frames_by_reason: dict[str, int] = {}  # only those that there were
    rotate: int = 0  # degrees clockwise that turn the delivered picture upright, after the mirroring
    flip: bool = False  # whether it was mirrored back
    mount: str = ""  # why the picture seems not to be upright, and the flags to type, or that no wearer is seen


class HeadStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The head poses that a run was sent for a stream."""

    state: str  # none, tracking, late, ended
    received: int  # messages, the refused ones included
    refused: dict[str, int]  # by reason
    poses_without: dict[str, int]  # poses that no head pose was there for, by the state of the head then
    has_mount: bool  # whether the calibration says where the camera sits on the head


class StatusMessage(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a stream, once a second and on change."""

    v: int = VERSION
    stream: str
    t_publish_ns: int
    clock_offset_ns: int
    skeleton: SkeletonStatus
    weights: WeightsStatus
    engine: EngineStatus
    camera: CameraStatus
    poses: int
    fps: float
    latency_ms: dict[str, float]  # capture to publish: p50, p95, p99, worst over the last ten seconds or so
    dropped_frames: int
    window_resets: int
    restarts: dict[str, int]  # by process
    filter: str = "off"  # what smoothed the joints
    rays: bool = False  # whether they were turned to their keypoints' rays
    stature_m: float = 0.0  # the wearer's, which they were scaled to; 0: unknown
    head: HeadStatus | UnsetType = UNSET  # with --head only


Message = TypeVar("Message", PoseMessage, StatusMessage, HeadMessage)
ENCODER = msgspec.msgpack.Encoder()
VERSIONS = msgspec.msgpack.Decoder(Versioned)
POSES, STATUSES = msgspec.msgpack.Decoder(PoseMessage), msgspec.msgpack.Decoder(StatusMessage)
HEADS = msgspec.msgpack.Decoder(HeadMessage)
#: What a run publishes, by topic; and what is sent to one besides.
PUBLISHED: dict[str, msgspec.msgpack.Decoder[Any]] = {POSE_TOPIC: POSES, STATUS_TOPIC: STATUSES}
DECODERS = {**PUBLISHED, HEAD_TOPIC: HEADS}
#: What a message takes from a pose as it is: every field that both have.
TAKEN_FIELDS = tuple(field.name for field in dataclasses.fields(Pose) if field.name in PoseMessage.__struct_fields__)


def clock_offset_ns() -> int:
    """Wall clock minus monotonic clock, for clients on other machines."""
    return time.time_ns() - time.monotonic_ns()


def pose_message(
    stream: str, pose: Pose, weights_id: str, dropped_frames: int, placed: Placed | None = None
) -> PoseMessage:
    """The message of a pose, stamped now: its publishing ends here. placed: where it is in the room."""
    taken: dict[str, Any] = {name: getattr(pose, name) for name in TAKEN_FIELDS}
    taken |= {name: value.tolist() for name, value in taken.items() if isinstance(value, np.ndarray)}
    taken["motions"] = list(pose.motions)
    for name in ("sigma_m", "told"):
        taken[name] = UNSET if taken[name] is None else taken[name]
    t_publish_ns = time.monotonic_ns()
    taken["stages_ns"] = {**pose.stages_ns, Stage.PUBLISH: t_publish_ns - pose.t_done_ns}
    return PoseMessage(
        stream=stream,
        t_publish_ns=t_publish_ns,
        clock_offset_ns=clock_offset_ns(),
        weights=weights_id,
        dropped_frames=dropped_frames,
        **taken,
        **(msgspec.structs.asdict(placed) if placed else {}),
    )


def topic(kind: str, stream: str | None) -> bytes:
    """Subscription prefix of one stream's messages, or of all: the NUL keeps ``pose/1`` from matching ``pose/10``."""
    return f"{kind}/".encode() if stream is None else f"{kind}/{stream}\0".encode()


def pack(kind: Literal["pose", "status", "head"], message: PoseMessage | StatusMessage | HeadMessage) -> bytes:
    """A message as one ZeroMQ frame."""
    return topic(kind, message.stream) + ENCODER.encode(message)


def unpack_as(kind: type[Message], data: bytes) -> Message:
    """Decode one ZeroMQ frame of a known kind. Raises EgostreamError when it is not one."""
    message = decoded(data, DECODERS)
    if not isinstance(message, kind):
        raise EgostreamError(f"a {kind.__name__} was expected, a {type(message).__name__} came")
    return message


def unpack(data: bytes) -> PoseMessage | StatusMessage:
    """Decode one ZeroMQ frame of a run. Raises EgostreamError when it is not an egostream message of this version."""
    return decoded(data, PUBLISHED)


def decoded(data: bytes, decoders: dict[str, msgspec.msgpack.Decoder[Any]]) -> Any:
    """Decode one ZeroMQ frame by its topic's decoder. Raises EgostreamError where there is none, or it does not fit."""
    head, _, body = data.partition(b"\0")
    decoder = decoders.get(head.decode(errors="replace").split("/", 1)[0])
    if decoder is None:
        raise EgostreamError(f"not an egostream message: topic {shown(head)}")
    try:
        try:
            message = decoder.decode(body)
        except msgspec.ValidationError:
            if VERSIONS.decode(body).v == VERSION:
                raise  # the keys of another version are not ours to check
            raise other_version(VERSIONS.decode(body).v) from None
        if message.v != VERSION:
            raise other_version(message.v)
        if isinstance(message, PoseMessage):
            check_numbers(message)
        return message
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise EgostreamError(f"malformed message on {shown(head)}: {first_line(error)}") from None


def other_version(version: int) -> EgostreamError:
    """The error of a message that another release sends."""
    return EgostreamError(
        f"the publisher speaks message version {version}, this client {VERSION}. "
        "Upgrade the older: pip install -U egostream"
    )


def check_numbers(message: PoseMessage) -> None:
    """Raise ``msgspec.ValidationError`` for a pose whose numbers no client could use.

    Joints and confidences must be finite; keypoints only where the camera sees the joint.
    """
    if not (are_finite(message.joints) and math.isfinite(sum(message.confidence))):
        raise msgspec.ValidationError("a joint or its confidence is not a finite number")
    for confidence, keypoint in zip(message.confidence, message.keypoints):
        if confidence > 0 and not math.isfinite(sum(keypoint)):
            raise msgspec.ValidationError("the keypoint of a joint that is seen is not a finite number")
    if message.sigma_m is not UNSET and not math.isfinite(sum(message.sigma_m)):
        raise msgspec.ValidationError("how far off a joint may be is not a finite number")
    if message.told is not UNSET and not np.isfinite(message.told.vector()).all():
        raise msgspec.ValidationError("what the network was told is not finite numbers")
    if message.joints_world is not UNSET and not are_finite(message.joints_world):
        raise msgspec.ValidationError("a joint in the room is not a finite number")
    if message.head is not UNSET:
        told = (message.head.position, message.head.orientation, message.head.gravity)
        if not are_finite([numbers for numbers in told if numbers is not UNSET]):
            raise msgspec.ValidationError("the head's pose is not finite numbers")


def are_finite(points: list[list[float]]) -> bool:
    """Whether all numbers of points are finite: what is not stays so in a sum. Sums beyond 1e308 are refused, too."""
    return math.isfinite(sum(map(sum, points)))


def shown(topic: bytes) -> str:
    """The beginning of a topic, which may be anything, as errors print it."""
    return ascii(topic[:40].decode(errors="replace"))
