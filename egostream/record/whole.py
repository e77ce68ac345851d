"""Closing a recording whole on a disk that is full: its last chunks give way to its index.

The library's writer can do nothing more once a write has failed. So the file is cut to its last whole chunk, looked
through from chunk to chunk, and gets the end that every MCAP file has: chunk indexes, statistics and a footer.
"""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from mcap.data_stream import ReadDataStream, RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    AttachmentIndex,
    Channel,
    ChunkIndex,
    DataEnd,
    Footer,
    McapRecord,
    MessageIndex,
    Metadata,
    MetadataIndex,
    Schema,
    Statistics,
)
from mcap.writer import MCAP0_MAGIC

from egostream.errors import EgostreamError
from egostream.record.layout import ENDING

#: A record's opcode and length stand before it. A chunk's fields stand before its data.
HEAD, CHUNK_HEAD = struct.Struct("<BQ"), struct.Struct("<QQQII")


class AppendedFile:
    """A new file that is appended to. It remembers up to where it is whole.

    Raises EgostreamError when it exists or cannot be made, and OSError when a write fails.
    """

    def __init__(self, path: Path):
        self.path, self.size, self.whole = path, 0, 0
        try:
            self.handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o644)
        except FileExistsError:
            raise EgostreamError(f"{path} exists, and a recording replaces nothing. Choose another name") from None
        except OSError as error:
            raise EgostreamError(f"cannot write {path}: {error.strerror}. Choose another place") from None

    def write(self, data: bytes) -> int:
        """Append all of ``data``."""
        rest = memoryview(data)
        while rest:
            written = os.write(self.handle, rest)
            self.size += written
            rest = rest[written:]
        return len(data)

    def tell(self) -> int:
        """How many bytes there are."""
        return self.size

    def flush(self) -> None:
        """Do nothing: what is written is the kernel's, and outlives this process."""

    def keep(self) -> None:
        """All that is there now is whole."""
        self.whole = self.size

    def cut(self, size: int) -> None:
        """Take away what lies behind ``size``."""
        os.ftruncate(self.handle, size)
        os.lseek(self.handle, size, os.SEEK_SET)
        self.size = self.whole = size

    def read(self, start: int, length: int) -> bytes:
        """Bytes from ``start`` on, fewer at the end."""
        os.lseek(self.handle, start, os.SEEK_SET)
        return os.read(self.handle, length)

    def close(self) -> None:
        """Close the file."""
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1


@dataclass
class Contents:
    """What a file holds between its header and its end."""

    chunks: list[ChunkIndex] = field(default_factory=list)
    messages: list[Counter[int]] = field(default_factory=list)  # of each chunk, by channel
    others: list[AttachmentIndex | MetadataIndex] = field(default_factory=list)

    def drop_chunk(self) -> int:
        """Leave the last chunk off. Returns where it began; all that comes behind it goes with it."""
        start = self.chunks.pop().chunk_start_offset
        self.messages.pop()
        self.others = [one for one in self.others if one.offset < start]
        return start


def close_whole(
    file: AppendedFile, schemas: Sequence[Schema], channels: Sequence[Channel], ending: Mapping[str, str]
) -> tuple[int, int]:
    """Give a file its end, over as many of its last chunks as must give way.

    Returns how many poses and pictures are left. Raises EgostreamError where there is no room even so.
    """
    file.cut(file.whole)
    found = contents(file)
    while True:
        counts = poses_and_pictures(found, channels)
        try:
            file.write(end_of_file(file.size, found, schemas, channels, ending, counts))
            return counts
        except OSError as error:
            if not found.chunks:
                raise EgostreamError(
                    f"{file.path} could not be closed: {error.strerror}. What is in it can be read all the same"
                ) from None
            file.cut(found.drop_chunk())


def contents(file: AppendedFile) -> Contents:
    """What a file holds, by the heads of its records."""
    found, at = Contents(), len(MCAP0_MAGIC)
    while at < file.size:
        opcode, length = HEAD.unpack(file.read(at, HEAD.size))
        end = at + HEAD.size + length
        if opcode == Opcode.CHUNK:
            found.chunks.append(chunk_index(file, at, length))
            found.messages.append(Counter())
        elif opcode == Opcode.MESSAGE_INDEX:
            index = MessageIndex.read(body(file, at, length))
            found.messages[-1][index.channel_id] += len(index.records)
            found.chunks[-1].message_index_offsets[index.channel_id] = at
            found.chunks[-1].message_index_length += HEAD.size + length
        elif opcode == Opcode.METADATA:
            found.others.append(MetadataIndex(at, HEAD.size + length, Metadata.read(body(file, at, length)).name))
        elif opcode == Opcode.ATTACHMENT:
            found.others.append(attachment_index(file, at, length))
        at = end
    return found


def body(file: AppendedFile, at: int, length: int) -> ReadDataStream:
    """The bytes of the record whose head is at ``at``."""
    return ReadDataStream(BytesIO(file.read(at + HEAD.size, length)))


def chunk_index(file: AppendedFile, at: int, length: int) -> ChunkIndex:
    """The index of a chunk without compression; its messages' are added later."""
    first_ns, last_ns, size, _, _ = CHUNK_HEAD.unpack(file.read(at + HEAD.size, CHUNK_HEAD.size))
    return ChunkIndex(HEAD.size + length, at, "", size, last_ns, 0, {}, first_ns, size)


def attachment_index(file: AppendedFile, at: int, length: int) -> AttachmentIndex:
    """The index of an attachment."""
    stream = body(file, at, length)
    log_time, create_time = stream.read8(), stream.read8()
    name, media_type = stream.read_prefixed_string(), stream.read_prefixed_string()
    return AttachmentIndex(at, HEAD.size + length, log_time, create_time, stream.read8(), name, media_type)


def poses_and_pictures(found: Contents, channels: Iterable[Channel]) -> tuple[int, int]:
    """How many of each the chunks hold."""
    topics = {channel.id: channel.topic for channel in channels}
    poses = pictures = 0
    for messages in found.messages:
        for channel, count in messages.items():
            poses += count * topics[channel].startswith("pose/")
            pictures += count * topics[channel].startswith("frame/")
    return poses, pictures


def end_of_file(
    start: int,
    found: Contents,
    schemas: Sequence[Schema],
    channels: Sequence[Channel],
    ending: Mapping[str, str],
    counts: tuple[int, int],
) -> bytes:
    """The bytes from ``start`` to the end of the file."""
    text = {"poses": str(counts[0]), "pictures": str(counts[1]), **ending}
    data, metadata = RecordBuilder(), Metadata(ENDING, text)
    metadata.write(data)
    noted = MetadataIndex(start, data.count, ENDING)
    DataEnd(0).write(data)
    summary_start = start + data.count
    others = [*found.others, noted]
    attachments = [one for one in others if isinstance(one, AttachmentIndex)]
    notes = [one for one in others if isinstance(one, MetadataIndex)]
    statistics = statistics_of(found, schemas, channels, len(attachments), len(notes))
    records: list[McapRecord] = [*schemas, *channels, statistics, *found.chunks, *attachments, *notes]
    for record in records:
        record.write(data)
    Footer(summary_start, 0, 0).write(data)
    return data.end() + MCAP0_MAGIC


def statistics_of(
    found: Contents, schemas: Sequence[Schema], channels: Sequence[Channel], attachments: int, notes: int
) -> Statistics:
    """The file's counts."""
    messages = sum(found.messages, Counter())
    return Statistics(
        attachment_count=attachments,
        channel_count=len(channels),
        channel_message_counts=dict(messages),
        chunk_count=len(found.chunks),
        message_count=messages.total(),
        message_start_time=min((chunk.message_start_time for chunk in found.chunks), default=0),
        message_end_time=max((chunk.message_end_time for chunk in found.chunks), default=0),
        metadata_count=notes,
        schema_count=len(schemas),
    )
