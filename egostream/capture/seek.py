"""Going to a marked picture of a video file by its container's own means."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from egostream.capture.container import known_packets
from egostream.capture.marks import Mark

if TYPE_CHECKING:
    import av

#: Packets that are looked at behind the place where a seek ended. Containers end up to a few groups of pictures early.
MOST_LOOKED_AT = 2000
#: Where a seek is tried, seconds before the wanted picture: containers that find places by the time of decoding, or
#: that have few of them, come out behind it.
SEEK_EARLIER_S = 0.0, 1.0, 10.0


def packets_from(
    container: av.container.InputContainer, stream: av.VideoStream, mark: Mark
) -> Iterator[av.Packet] | None:
    """A stream's packets from the marked one on; None where the container does not find it.

    It is the one if it has the same time and stands at the same place of the file. Raises av.error.FFmpegError and
    ValueError where the file cannot be read.
    """
    for earlier_s in SEEK_EARLIER_S:
        container.seek(max(mark.ticks - round(earlier_s / (stream.time_base or 1)), 0), stream=stream)
        packets = known_packets(container, stream)
        for count, packet in enumerate(packets):
            if is_marked(packet, mark):
                return chain([packet], packets)
            if count == MOST_LOOKED_AT or (packet.is_keyframe and (packet.pts or 0) > mark.ticks):
                break
    return None


def is_marked(packet: av.Packet, mark: Mark) -> bool:
    """Whether a packet is the one that was marked."""
    return packet.is_keyframe and packet.pos == mark.at and mark.ticks in (packet.pts, packet.dts)
