"""Writes a recording: typed poses and pictures in, an MCAP file out. It needs no sockets.

The file is readable at any instant up to its last chunk. A chunk is written every half second or megabyte. What does
not fit on the disk any more is left out, and the file is closed whole all the same.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, cast

import msgspec
import numpy as np
from google.protobuf.message import Message
from mcap.records import Channel, Schema
from mcap.writer import CompressionType, Writer
from mcap_protobuf.schema import build_file_descriptor_set

from egostream import __version__
from egostream.errors import EgostreamError
from egostream.handover.picture_ring import Picture
from egostream.publish.message import ENCODER, PoseMessage, StatusMessage
from egostream.record import foxglove
from egostream.record.layout import (
    ABOUT,
    ENDING,
    LAYOUT,
    MSGPACK,
    PROTOBUF,
    TRANSFORMS,
    FrameRecord,
    StreamAbout,
    calibration_name,
    config_name,
    digest,
    frame_topic,
    image_topic,
    wire_topics,
)
from egostream.record.whole import AppendedFile, close_whole

#: A chunk is written out after so many bytes, or after so long: what a killed recorder loses.
CHUNK_BYTES, CHUNK_S = 1 << 20, 0.5


class DiskFull(EgostreamError):
    """Nothing more could be written: the disk is full, or the file as large as it may be."""


class RecordingWriter:
    """An MCAP file being written. Not thread-safe.

    Raises EgostreamError where the file exists or cannot be made, and DiskFull once when no more fits: then only
    ``finish`` makes sense. streams: all that will come. facts: more to note at the start, such as the weights' id.
    """

    def __init__(self, path: Path, streams: list[StreamAbout], facts: Mapping[str, str] | None = None):
        self.path = path
        self.poses = self.pictures = 0
        self.offset_ns: int | None = None  # wall clock minus monotonic clock, for the whole recording
        self.schemas: dict[str, Schema] = {}
        self.channels: dict[str, Channel] = {}
        self.is_full = False
        self.written_s = time.monotonic()
        self.cameras = {about.name: about.camera() for about in streams}
        self.mounts = {
            name: np.array(camera.T_head_camera) for name, camera in self.cameras.items() if camera.T_head_camera
        }
        self.has_calibration: set[str] = set()
        self.file = AppendedFile(path)
        output = cast(IO[bytes], self.file)  # it has what the library calls: write, tell and flush
        self.writer = Writer(output, CHUNK_BYTES, CompressionType.NONE)
        try:
            self.begin(streams, {"egostream": __version__, "layout": LAYOUT, **(facts or {})})
        except DiskFull:
            self.discard()
            raise EgostreamError(f"cannot write {path}: no space left. Free some, or choose another place") from None

    def begin(self, streams: list[StreamAbout], facts: dict[str, str]) -> None:
        """Write what a reader must know first."""
        noted = facts | {"streams": msgspec.json.encode([about.name for about in streams]).decode()}
        noted["sha256"] = digest(noted, streams)
        now_ns = time.time_ns()

        def write() -> None:
            self.writer.start(library=f"egostream {__version__}")
            self.writer.add_metadata(ABOUT, noted)
            for about in streams:
                text = about.calibration.encode()
                self.writer.add_attachment(now_ns, now_ns, calibration_name(about.name), "application/json", text)
                text = about.config.encode()
                self.writer.add_attachment(now_ns, now_ns, config_name(about.name), "application/toml", text)

        self.attempt(write)

    def add_picture(self, stream: str, picture: Picture, pose: PoseMessage) -> None:
        """A frame's picture and record. Call it before ``add_pose`` with its pose. Raises DiskFull."""
        t_ns = self.unix_ns(picture.t_capture_ns, pose)
        frame = FrameRecord(
            seq=picture.seq,
            segment=picture.segment,
            t_capture_ns=picture.t_capture_ns,
            format=picture.format,
            continues=pose.continues,
            motions=pose.motions,
        )
        self.add(frame_topic(stream), ENCODER.encode(frame), t_ns, t_ns, picture.seq)
        message = foxglove.image(stream, t_ns, picture.format, picture.data)
        self.add_message(image_topic(stream), message, t_ns, picture.seq)
        self.pictures += 1

    def add_pose(self, pose: PoseMessage, wire: bytes | None = None) -> None:
        """A pose: as it was on the wire, and as other tools read it.

        wire: the message's bytes behind its topic; None: they are made. Raises DiskFull.
        """
        t_ns, stream = self.unix_ns(pose.t_capture_ns, pose), pose.stream
        t_publish_ns = self.unix_ns(pose.t_publish_ns, pose)
        self.add(wire_topics(stream)[0], wire or ENCODER.encode(pose), t_publish_ns, t_publish_ns, pose.seq)
        if stream in self.cameras and stream not in self.has_calibration:
            self.has_calibration.add(stream)
            camera = foxglove.calibration(stream, t_ns, self.cameras[stream])
            self.add_message(f"/{stream}/calibration", camera, t_ns, 0)
        colors = foxglove.confidence_colors(pose)
        self.add_message(f"/{stream}/joints", foxglove.joints(pose, t_ns), t_ns, pose.seq)
        self.add_message(f"/{stream}/skeleton", foxglove.skeleton(pose, t_ns, colors), t_ns, pose.seq)
        self.add_message(f"/{stream}/keypoints", foxglove.keypoints(pose, t_ns, colors), t_ns, pose.seq)
        if stream in self.mounts and (placed := foxglove.transforms(pose, t_ns, self.mounts[stream])) is not None:
            self.add_message(TRANSFORMS, placed, t_ns, pose.seq)
        self.poses += 1

    def add_status(self, status: StatusMessage, wire: bytes | None = None) -> None:
        """A status, as it was on the wire. Raises DiskFull."""
        t_ns = self.unix_ns(status.t_publish_ns, status)
        self.add(wire_topics(status.stream)[1], wire or ENCODER.encode(status), t_ns, t_ns, 0)

    def unix_ns(self, t_ns: int, message: PoseMessage | StatusMessage) -> int:
        """A stamp of the monotonic clock as Unix time, by one offset for the whole recording: no step of time."""
        if self.offset_ns is None:
            self.offset_ns = message.clock_offset_ns
        return max(0, t_ns + self.offset_ns)

    def add_message(self, topic: str, message: Message, t_ns: int, sequence: int) -> None:
        """A message of one of Foxglove's schemas."""
        self.add(topic, message.SerializeToString(), t_ns, t_ns, sequence, type(message))

    def add(self, topic: str, data: bytes, t_ns: int, t_publish_ns: int, sequence: int, schema: Any = None) -> None:
        """A message on a topic. schema: its Protobuf class; None: it is msgpack."""

        def write() -> None:
            channel = self.channels.get(topic) or self.register(topic, schema)
            self.writer.add_message(channel.id, t_ns, data, t_publish_ns, sequence % (1 << 32))

        self.attempt(write)

    def register(self, topic: str, schema: Any) -> Channel:
        """A channel for a topic."""
        schema_id, encoding = 0, MSGPACK
        if schema is not None:
            encoding, name = PROTOBUF, schema.DESCRIPTOR.full_name
            if name not in self.schemas:
                data = build_file_descriptor_set(schema).SerializeToString()
                self.schemas[name] = Schema(self.writer.register_schema(name, PROTOBUF, data), data, PROTOBUF, name)
            schema_id = self.schemas[name].id
        number = self.writer.register_channel(topic, encoding, schema_id)
        self.channels[topic] = Channel(number, topic, encoding, {}, schema_id)
        return self.channels[topic]

    def attempt(self, write: Callable[[], object]) -> None:
        """Write, and note how far the file is whole. Raises DiskFull."""
        if self.is_full:
            raise DiskFull(f"{self.path} is full")
        try:
            write()
        except OSError as error:
            self.is_full = True
            raise DiskFull(f"cannot write more into {self.path}: {error.strerror or error}") from None
        self.file.keep()

    def flush_if_due(self) -> None:
        """Write out what waits for a chunk to be full, if it has waited for long enough. Raises DiskFull."""
        if time.monotonic() - self.written_s >= CHUNK_S:
            self.attempt(self.writer.flush)
            self.written_s = time.monotonic()

    def finish(self, ending: Mapping[str, str]) -> None:
        """Close the file whole. ending: what is to be noted. Raises EgostreamError where not even that fits.

        Where the disk is full, the last chunks give way to the file's own index.
        """
        counts = {"poses": str(self.poses), "pictures": str(self.pictures), **ending}
        try:
            for write in (self.writer.flush, lambda: self.writer.add_metadata(ENDING, counts), self.writer.finish):
                self.attempt(write)
        except DiskFull:
            schemas, channels = list(self.schemas.values()), list(self.channels.values())
            self.poses, self.pictures = close_whole(self.file, schemas, channels, ending)
        finally:
            self.file.close()

    def discard(self) -> None:
        """Take the file away again."""
        self.file.close()
        os.unlink(self.path)
