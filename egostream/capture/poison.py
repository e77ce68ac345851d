"""Packets of a video file that end the process which decodes them: told before, and left out after two deaths.

A decoder reads ahead, so the frame that is asked for is not the one that kills. What is told is therefore the packet
that a decoder is given, by its place in the file; the process after this one finds it on the stream's board:

    capture_at_packet   the packet that is in the decoder; empty: none is
    capture_died_at     at which the process before ended; capture_packet_deaths: how many did so in a row
    capture_careful     whether the newest process decodes in one thread; with several, one of them may be elsewhere
    capture_spared      packets that are left out for the rest of the run
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from egostream.handover.board import StreamBoard

if TYPE_CHECKING:
    import av

#: Processes that may end in the decoder at one packet before it is left out. Two, since one may be killed by somebody
#: just then.
POISONOUS = 2
WHOLE_GROUP = "*"


class LeftOut(Exception):
    """A packet is not given to the decoder."""


class PacketName(NamedTuple):
    """A packet of a file, by places that do not change from one reading to the next."""

    group: str  # where the key frame before it stands; empty before the first one
    place: str  # where it stands itself
    seconds: float  # its time by the container, for people

    def text(self) -> str:
        """As boards keep it."""
        return f"{self.group}:{self.place}:{self.seconds:.2f}"


class DecodeWatch:
    """What a decoder must not be given, and where it is told what it is given.

    board: the stream's, or None where nobody starts another process. is_careful: decode in one thread.
    """

    def __init__(self, board: StreamBoard | None = None, is_careful: bool = False):
        self.board, self.is_careful = board, is_careful
        self.group = ""  # where the last key frame's packet stands
        self.spared = set(board.text("capture_spared").split()) if board is not None else set()

    def decode(self, stream: av.VideoStream, packet: av.Packet | None) -> list[av.VideoFrame]:
        """The frames that a packet makes whole. None asks the decoder for what it holds back.

        Raises av.error.FFmpegError where it cannot be decoded, and LeftOut where it must not be.
        """
        name = self.name_of(packet)
        if self.leaves_out(name):
            raise LeftOut("its decoding ended the capture process")
        self.begin(name)
        try:
            return hand_over(stream, packet)
        finally:
            self.end()

    def name_of(self, packet: av.Packet | None) -> PacketName:
        """What a packet is called in notes that outlive this process. Key frames begin a group."""
        if packet is None or not packet.size:
            return PacketName(self.group, "end", 0.0)
        place = str(packet.pos) if packet.pos is not None else f"at{packet.dts}"
        self.group = place if packet.is_keyframe else self.group
        return PacketName(self.group, place, float((packet.pts or packet.dts or 0) * packet.time_base))

    def leaves_out(self, name: PacketName) -> bool:
        """Whether a packet must not be decoded: it ended two processes, or others of its group did."""
        return bool(self.spared) and not self.spared.isdisjoint((spared(name.group, name.place), whole(name.group)))

    def begin(self, name: PacketName) -> None:
        """Tell that a packet goes into the decoder now."""
        if self.board is not None:
            self.board.say("capture_at_packet", name.text())

    def end(self) -> None:
        """Tell that the decoder is through with it."""
        if self.board is not None:
            self.board.say("capture_at_packet", "")


def hand_over(stream: av.VideoStream, packet: av.Packet | None) -> list[av.VideoFrame]:
    """What the decoder makes of a packet: the call that may not come back."""
    return stream.decode(packet)


def spared(group: str, place: str) -> str:
    """A packet that is left out, as ``capture_spared`` has it."""
    return f"{group}:{place}"


def whole(group: str) -> str:
    """A group of pictures that is left out, as ``capture_spared`` has it."""
    return spared(group, WHOLE_GROUP)


def watch_after(board: StreamBoard, next_seq: int, say: Callable[[str], None]) -> DecodeWatch:
    """The watch of a process that goes on with frame ``next_seq``, after what the one before ended at.

    A packet at which POISONOUS processes ended, the last of them in one thread, is left out from now on. Where that did
    not help and another of its group does the same, the group is left out: up to the next key frame.
    """
    at, was_careful = board.text("capture_at_packet"), bool(board["capture_careful"])
    is_same = bool(at) and at == board.text("capture_died_at")
    board["capture_packet_deaths"] = int(board["capture_packet_deaths"]) + 1 if is_same else int(bool(at))
    board.say("capture_died_at", at)
    board.say("capture_at_packet", "")
    if was_careful and board["capture_packet_deaths"] >= POISONOUS:
        leave_out(board, at, say)
    is_careful = bool(at) or bool(board["capture_at_seq"] == next_seq + 1)
    board["capture_careful"] = is_careful
    return DecodeWatch(board, is_careful)


def leave_out(board: StreamBoard, at: str, say: Callable[[str], None]) -> None:
    """Leave a packet out from now on, or its group where that has one already, and say so."""
    group, place, seconds = [*at.split(":"), "", ""][:3]
    known = board.text("capture_spared").split()
    is_second = any(one.startswith(f"{group}:") for one in known)
    entry = whole(group) if is_second else spared(group, place)
    board.say("capture_spared", " ".join([entry, *(one for one in known if one != entry)]))  # the oldest are cut off
    board["capture_packet_deaths"] = 0
    what = "all pictures up to the next key frame are left out" if is_second else "it is left out"
    say(f"the picture at {seconds} s (byte {place}) ended the capture process {POISONOUS} times in its decoder: {what}")
