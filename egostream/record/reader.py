"""Reads a recording, forwards and in the order of the file: also one that was cut off, or is damaged in places.

What a reader gives is whole: a chunk whose checksum does not fit is passed over, and ``damage`` says so.
"""

from __future__ import annotations

import dataclasses
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec
from mcap.exceptions import EndOfFile, McapError, RecordLengthLimitExceeded
from mcap.reader import SeekingReader
from mcap.records import Attachment, Channel, Chunk, DataEnd, Footer, McapRecord, Message, Metadata
from mcap.stream_reader import StreamReader, breakup_chunk
from mcap.writer import MCAP0_MAGIC

from egostream.errors import EgostreamError, first_line
from egostream.publish.message import PoseMessage, StatusMessage, unpack
from egostream.record.layout import (
    ABOUT,
    ENDING,
    LAYOUT,
    FrameRecord,
    StreamAbout,
    calibration_name,
    config_name,
    digest,
    frame_topic,
    image_topic,
    wire_topics,
)
from egostream.record.schedule import Schedule, schedule_of

#: What the library raises for bytes that are no MCAP.
MALFORMED = (McapError, struct.error, ValueError, KeyError, OverflowError, MemoryError, EOFError)
#: Bytes that a record, and what a chunk holds, may have: four of the largest pictures that there can be.
MOST_RECORD = 1 << 28
HAS_NO_END = "it has no end: the recorder was killed, or the file is cut off or damaged"
FRAMES = msgspec.msgpack.Decoder(FrameRecord)


@dataclass(frozen=True)
class RecordedFrame:
    """A frame and its picture."""

    stream: str
    record: FrameRecord
    picture: bytes  # as the camera encoded it, or a PNG


@dataclass(frozen=True)
class RecordedMessage:
    """A message as it was on the wire."""

    message: PoseMessage | StatusMessage
    wire: bytes  # topic NUL msgpack


@dataclass(frozen=True)
class About:
    """What a recording says of itself at its start."""

    egostream: str  # version
    weights: str  # id of the weights
    facts: dict[str, str]  # these and all else that was noted
    streams: tuple[StreamAbout, ...]

    def stream(self, name: str) -> StreamAbout:
        """A stream by its name, the first without one. Raises EgostreamError where there is none."""
        for about in self.streams:
            if name in ("", about.name):
                return about
        raise EgostreamError(
            f"no stream {name!r} in the recording; it has: {', '.join(one.name for one in self.streams)}"
        )


class RecordingReader:
    """A recording being read. Raises EgostreamError when it cannot be opened, or is no recording of egostream's.

    damage: what was found wrong with the file so far, for people; empty when nothing was. ending: what the recorder
    noted at the end; empty until that is reached, and where it never came.
    """

    def __init__(self, path: Path):
        self.path, self.damage = path, ""
        self.ending: dict[str, str] = {}
        self.about = self.read_about()

    def read_about(self) -> About:
        """What stands before the first chunk."""
        facts: dict[str, str] | None = None
        texts: dict[str, str] = {}
        for record in self.records():
            if isinstance(record, Metadata) and record.name == ABOUT:
                facts = record.metadata
            elif isinstance(record, Attachment):
                texts[record.name] = record.data.decode(errors="replace")
            elif isinstance(record, Chunk | DataEnd | Footer):
                break
        if facts is None:
            what = "a damaged MCAP file" if self.damage else "an MCAP file of something else"
            raise EgostreamError(f"{self.path} is {what}: no recording of egostream's can be read in it")
        if facts.get("layout") != LAYOUT:
            raise EgostreamError(
                f"{self.path} has layout {facts.get('layout')}, this egostream reads {LAYOUT}: upgrade the older"
            )
        try:
            names = msgspec.json.decode(facts["streams"], type=tuple[str, ...])
            streams = tuple(
                StreamAbout(name, texts[calibration_name(name)], texts[config_name(name)]) for name in names
            )
        except (KeyError, msgspec.MsgspecError):
            raise EgostreamError(f"{self.path} is damaged: its start lacks what a recording needs") from None
        if facts.get("sha256") != digest({name: text for name, text in facts.items() if name != "sha256"}, streams):
            raise EgostreamError(f"{self.path} is damaged: its start is not as it was written")
        return About(facts.get("egostream", ""), facts.get("weights", ""), facts, streams)

    def entries(self, stream: str | None = None) -> Iterator[RecordedFrame | RecordedMessage]:
        """Frames, poses and statuses in the order of the file; of one stream, or of all.

        A frame comes right before its pose.
        """
        self.damage, self.ending = "", {}
        names = [about.name for about in self.about.streams if stream in (None, about.name)]
        topics = {topic: (name, kind) for name in names for topic, kind in topics_of(name)}
        channels = {number: topics[topic] for number, topic in self.indexed_topics().items() if topic in topics}
        frames: dict[str, FrameRecord] = {}
        is_closed = False
        for record in self.whole_records():
            if isinstance(record, Channel) and record.topic in topics:
                channels[record.id] = topics[record.topic]
            elif isinstance(record, Message) and record.channel_id in channels:
                yield from self.entry(record, *channels[record.channel_id], frames)
            elif isinstance(record, Metadata) and record.name == ENDING:
                self.ending = record.metadata
            is_closed |= isinstance(record, DataEnd)
        if not is_closed:
            self.damage = self.damage or HAS_NO_END

    def indexed_topics(self) -> dict[int, str]:
        """Topics by channel from the index at the file's end: the first chunk, which has them too, may be damaged."""
        try:
            with open(self.path, "rb") as file:
                summary = SeekingReader(file, record_size_limit=MOST_RECORD).get_summary()
        except Exception:  # whatever the library raises: a file that was never closed has no index
            return {}
        return {number: channel.topic for number, channel in summary.channels.items()} if summary else {}

    def entry(
        self, record: Message, stream: str, kind: str, frames: dict[str, FrameRecord]
    ) -> Iterator[RecordedFrame | RecordedMessage]:
        """What a message is; nothing of a frame's record, whose picture comes next. frames: those by stream."""
        try:
            if kind == "frame":
                frames[stream] = FRAMES.decode(record.data)
            elif kind == "image" and stream in frames:
                yield RecordedFrame(stream, frames.pop(stream), picture_in(record.data))
            elif kind in ("pose", "status"):
                wire = f"{kind}/{stream}\0".encode() + record.data
                yield RecordedMessage(unpack(wire), wire)
        except (msgspec.MsgspecError, EgostreamError, ValueError) as error:
            self.damage = f"a message on {kind}/{stream} cannot be read: {first_line(error)}"

    def whole_records(self) -> Iterator[McapRecord]:
        """Records, and those inside of chunks whose checksum fits."""
        for record in self.records():
            if not isinstance(record, Chunk):
                yield record
                continue
            try:
                inside = breakup_chunk(opened(record), validate_crc=True)
            except Exception as error:  # also whatever decompressors raise
                self.damage = f"a part of it is damaged: {first_line(error)}"
                continue
            yield from inside

    def records(self) -> Iterator[McapRecord]:
        """Records of the file, chunks as they are, up to its end or to where it makes no sense any more.

        Raises EgostreamError when it cannot be read, or is no MCAP.
        """
        try:
            file: IO[bytes] = open(self.path, "rb")
        except OSError as error:
            raise EgostreamError(f"{self.path} cannot be read: {error.strerror}") from None
        with file:
            if file.read(len(MCAP0_MAGIC)) != MCAP0_MAGIC:
                raise EgostreamError(f"{self.path} is no MCAP file")
            size = file.seek(0, 2)
            file.seek(0)
            try:
                yield from StreamReader(file, emit_chunks=True, record_size_limit=min(size, MOST_RECORD)).records
            except (EndOfFile, RecordLengthLimitExceeded):
                self.damage = HAS_NO_END
            except MALFORMED as error:
                self.damage = f"it is damaged: {first_line(error)}"


def opened(chunk: Chunk) -> Chunk:
    """A chunk that is not compressed any more. Raises ValueError where it holds more than MOST_RECORD.

    The library's own way takes as much memory as a compressed chunk says that it needs.
    """
    if chunk.compression == "zstd":
        import zstandard

        data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(chunk.data)).read(MOST_RECORD + 1)
    elif chunk.compression == "lz4":
        import lz4.frame

        data = lz4.frame.LZ4FrameDecompressor().decompress(chunk.data, MOST_RECORD + 1)
    else:
        return chunk
    if len(data) > MOST_RECORD:
        raise ValueError(f"a chunk of more than {MOST_RECORD >> 20} MB")
    return dataclasses.replace(chunk, compression="", data=data)


def read_schedule(path: Path, stream: str) -> Schedule:
    """The schedule of a recorded stream; an empty name: the first. Raises EgostreamError as ``RecordingReader``."""
    reader = RecordingReader(path)
    entries = reader.entries(reader.about.stream(stream).name)
    return schedule_of(entry.record for entry in entries if isinstance(entry, RecordedFrame))


def topics_of(stream: str) -> list[tuple[str, str]]:
    """A stream's topics that a replay reads, each with what it holds."""
    pose, status = wire_topics(stream)
    return [(frame_topic(stream), "frame"), (image_topic(stream), "image"), (pose, "pose"), (status, "status")]


def picture_in(data: bytes) -> bytes:
    """The encoded picture in a ``foxglove.CompressedImage``. Raises ValueError."""
    from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
    from google.protobuf.message import DecodeError

    try:
        return CompressedImage.FromString(data).data
    except DecodeError as error:
        raise ValueError(str(error)) from None
