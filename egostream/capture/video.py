"""Video files: FFmpeg reads them through PyAV, so that times, damage and interlacing are seen."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egostream.capture.avi import open_jpeg_avi
from egostream.capture.container import (
    count_frames,
    has_own_times,
    is_jpeg_stream,
    known_packets,
    open_container,
    picture_stream,
    rate_in_stream,
)
from egostream.capture.decode import BadFrame, DamagedFrame
from egostream.capture.held import Held
from egostream.capture.marks import Mark, packed, unpacked
from egostream.capture.poison import DecodeWatch, LeftOut
from egostream.capture.seek import packets_from
from egostream.capture.stamps import NS, Timeline, check_fps, even_ns
from egostream.capture.wholeness import missing_end
from egostream.errors import EgostreamError

if TYPE_CHECKING:
    import av

#: Frames that are kept ahead: the next one, and the one that says how long it lasts.
KEPT_AHEAD = 2


class Video:
    """A video file. Motion-JPEG frames stay encoded, so that they can be decoded at a reduced size.

    fps: the rate to play it at instead of the file's own times; 0: its own times.
    """

    def __init__(self, path: Path, fps: float = 0.0):
        self.path, self.wanted_fps = path, fps
        self.container: av.container.InputContainer | None = None
        self.source: Generator[Held] | None = None  # what is taken out of the file
        self.incoming: Iterator[av.Packet] = iter(())  # packets that FFmpeg takes out of it
        self.watch = DecodeWatch()  # what must not be decoded
        self.mode, self.note = "", ""
        self.is_raw = self.is_avi = False  # its frames are JPEGs; its times are places at the header's rate
        self.position = 0  # frames read or passed over
        self.reset()

    def reset(self) -> None:
        """Forget what was read."""
        self.position = self.part = self.cut = 0
        self.header_fps = self.even_fps = 0.0  # what the header says; the constant rate it is played at, 0: its times
        self.unplaced: deque[Held] = deque()  # taken out of the file, their time not yet known
        self.ahead: deque[Held] = deque()  # the next frames
        self.placed = 0  # frames that went into ``ahead``
        self.end_ns = self.last_ns = 0  # when the newest placed frame ends, and begins
        self.is_all = False  # whether the file has nothing more
        self.marked: Mark | None = None  # the last place passed at which reading can begin
        self.from_ticks: int | None = None  # frames before this time are of no use: reading began behind what they need
        self.trouble = ""  # why reading ended early; empty: it did not

    def open(self) -> None:
        """Go to the first frame.

        Raises EgostreamError when the file is missing, damaged, of an unknown codec, or tells no times.
        """
        self.close()
        self.reset()
        if not self.path.is_file():
            raise EgostreamError(f"video {self.path} does not exist")
        try:
            self.open_file()
        except EgostreamError:
            self.close()
            raise

    def open_file(self) -> None:
        """Open the container, decide how its frames are read and timed, and take the first ones out of it."""
        self.avi = avi = open_jpeg_avi(self.path)
        if avi is not None:
            self.is_raw = self.is_avi = True
            (width, height), time_base, self.header_fps = avi.size, avi.interval, float(1 / avi.interval)
            self.source = avi.packets()
        else:
            self.container = open_container(self.path)
            self.stream = picture_stream(self.container, self.path)
            if self.watch.is_careful:
                self.stream.codec_context.thread_count = 1
            self.is_raw, self.is_avi = is_jpeg_stream(self.path, self.stream), self.container.format.name == "avi"
            width, height = self.stream.codec_context.width, self.stream.codec_context.height
            time_base, self.header_fps = self.stream.time_base or Fraction(1, NS), float(self.stream.average_rate or 0)
            self.incoming = known_packets(self.container, self.stream)
            self.source = self.packets() if self.is_raw else self.pictures()
        self.settle_times()
        self.timeline = Timeline(time_base, round(NS / self.header_fps) if 1 <= self.header_fps <= 1000 else 0)
        self.mode = f"{self.path.name} {width}x{height} {self.rate_text()}{' raw MJPG' if self.is_raw else ''}"
        self.fill()

    def settle_times(self) -> None:
        """Decide whether the file's own times are used or a constant rate. Raises EgostreamError where it has none."""
        if self.wanted_fps:
            check_fps(self.wanted_fps, self.path)
            self.even_fps = self.wanted_fps
            self.note = f"{self.path.name} plays at {self.wanted_fps:g} fps as --fps says, not by its own times"
        elif self.is_avi:
            check_fps(self.header_fps, self.path)
        elif self.container is not None and not has_own_times(self.container):
            self.even_fps = rate_in_stream(self.path)
            if not self.even_fps:
                raise EgostreamError(f"{self.path} does not say when its frames were taken. Give its rate: --fps 30")
            self.note = f"{self.path.name} plays at {self.even_fps:g} fps, the only time in it; --fps gives another"

    def rate_text(self) -> str:
        """How fast it is played, for people."""
        if self.wanted_fps:
            return f"{self.wanted_fps:g} fps by --fps"
        # AVI has one rate; elsewhere the header only believes to know one.
        fps = self.even_fps or (self.header_fps if self.is_avi else 0)
        return f"{fps:g} fps" if fps else "by its own times"

    @property
    def fps(self) -> float:
        """Frames per second: of those read so far, on average; before the second one, what the header says."""
        if self.even_fps or self.placed < 2 or not self.last_ns:
            return self.even_fps or self.header_fps
        return (self.placed - 1) * NS / self.last_ns

    @property
    def count(self) -> int:
        """Frames in the file, counted in it; 0 where that would take long. Raises EgostreamError as ``open`` does."""
        return count_frames(self.path)

    @property
    def likely_count(self) -> int:
        """Frames of the open file as its header tells, without reading the file through; 0: it does not tell."""
        if self.container is None:
            return self.count
        seconds = (self.container.duration or 0) / 1e6
        return self.stream.frames or round(seconds * (self.even_fps or self.header_fps))

    def packets(self) -> Generator[Held]:
        """The JPEGs of the file, as they are."""
        for packet in self.demux():
            if packet is not None and packet.size:
                flaw = "the picture is cut short" if packet.is_corrupt else ""
                ticks = packet.pts if packet.pts is not None else packet.dts
                at = packet.pos if packet.is_keyframe and packet.pos is not None else -1
                yield Held(ticks, np.frombuffer(memoryview(packet), np.uint8), flaw, packet.duration or 0, at=at)

    def pictures(self) -> Generator[Held]:
        """The file's frames, decoded, interlaced ones made whole."""
        from egostream.capture.deinterlace import Deinterlacer

        deinterlacer: Deinterlacer | None = None
        for held in self.decoded():
            if deinterlacer is None and held.is_interlaced:
                deinterlacer = Deinterlacer()
                self.mode += ", deinterlaced"
            if deinterlacer is None:
                yield held
            else:
                held.at = -1  # its picture is made of its neighbours', too
                yield from deinterlacer.push(held)
        if deinterlacer is not None:
            yield from deinterlacer.flush()

    def decoded(self) -> Iterator[Held]:
        """The file's frames in the order in which they are shown. One that cannot be decoded has no content."""
        import av

        # AVI knows the order of packets only: the frames shown take the packets' places in that order.
        places: deque[int | None] | None = deque() if self.is_avi else None
        is_tainted = False  # whether a damaged frame came since the last one that stands by itself
        begins: dict[int, int] = {}  # where packets stand that can be begun with, by their times
        for packet in self.demux():
            if packet is not None and packet.is_keyframe and not self.is_avi:
                if packet.pts is not None and packet.pos is not None:
                    begins[packet.pts] = packet.pos
            if places is not None and packet is not None and packet.size:
                places.append(packet.dts)
            try:
                frames = self.watch.decode(self.stream, packet)
            except (av.error.FFmpegError, LeftOut) as error:
                if packet is not None and packet.size:
                    is_tainted, place = True, places.popleft() if places else None
                    if self.from_ticks is None:
                        yield Held(
                            place, None, str(error) if isinstance(error, LeftOut) else "the picture cannot be decoded"
                        )
                continue
            for frame in frames:
                ticks = frame.pts if frame.pts is not None else frame.dts
                if places is not None:
                    ticks = places.popleft() if places else None
                is_tainted = frame.is_corrupt or (is_tainted and not frame.key_frame)
                if self.from_ticks is not None and (ticks is None or ticks < self.from_ticks):
                    continue
                self.from_ticks = None
                at = begins.pop(ticks, -1) if ticks is not None and frame.key_frame else -1
                yield Held(ticks, frame, flaw_of(frame, is_tainted), frame.duration or 0, at=at)

    def demux(self) -> Iterator[av.Packet | None]:
        """The stream's packets, then an empty one or None, which asks the decoder for what it holds back."""
        import av

        try:
            yield from self.incoming
        except (av.error.FFmpegError, ValueError) as error:
            self.trouble = getattr(error, "strerror", "") or str(error)
            yield None

    def fill(self) -> None:
        """Take frames out of the file until the next ones have their times."""
        while len(self.ahead) < KEPT_AHEAD and (self.unplaced or not self.is_all):
            if not self.place() and not self.is_all:
                held = next(self.source, None) if self.source is not None else None
                if held is None:
                    self.is_all = True
                else:
                    self.unplaced.append(held)

    def place(self) -> bool:
        """Say when the first of the frames without a time happens; False when more of them must be known first."""
        if not self.unplaced:
            return False
        held = self.unplaced[0]
        part_before = self.part
        before = None if self.even_fps else self.timeline.state()
        if self.even_fps:
            held.t_ns = even_ns(self.placed, self.even_fps)
            self.end_ns = even_ns(self.placed + 1, self.even_fps)
        else:
            placed = self.timeline.place([frame.ticks for frame in self.unplaced], self.is_all)
            if placed is None:
                return False
            self.part += placed.is_new_part
            held.t_ns = placed.t_ns
            lasts_ns = self.timeline.container_ns(held.duration) if held.duration > 0 else self.timeline.interval_ns
            self.end_ns = held.t_ns + lasts_ns
        held.part, self.last_ns = self.part, held.t_ns
        if held.at >= 0 and held.ticks is not None and not held.flaw:
            held.mark = Mark(self.placed, held.ticks, held.at, part_before, before)
        self.placed += 1
        self.ahead.append(self.unplaced.popleft())
        return True

    def begins_ns(self) -> int:
        """When the next frame happens, ns from the first one on; behind the last one, when that ends."""
        return self.ahead[0].t_ns if self.ahead else self.end_ns

    def ends_ns(self) -> int:
        """When the frame after the next one happens, or the last one ends."""
        return self.ahead[1].t_ns if len(self.ahead) > 1 else self.end_ns

    def next_part(self) -> int:
        """Number of the stretch without a break in time that the next frame belongs to."""
        return self.ahead[0].part if self.ahead else self.part

    def read(self) -> np.ndarray | None:
        """The next frame, BGR [H, W, 3], or JPEG bytes [n] of a Motion-JPEG file; None at the end.

        Raises BadFrame for one that is damaged; the next call goes on behind it.
        """
        held = self.take()
        if held is None:
            return None
        if held.flaw or held.content is None:
            self.cut += self.is_raw
            raise DamagedFrame(held.flaw)
        return held.content if isinstance(held.content, np.ndarray) else self.to_bgr(held.content)

    def skip(self) -> bool:
        """Pass over one frame without converting it; False at the end."""
        return self.take() is not None

    def take(self) -> Held | None:
        """The next frame, passed over; None at the end."""
        if not self.ahead:
            return None
        held = self.ahead.popleft()
        self.marked = held.mark or self.marked
        self.position += 1
        self.fill()
        return held

    def mark(self) -> tuple[int, str]:
        """The last place passed at which reading can begin: how many frames lie before it, and its mark.

        The mark is empty where there is none.
        """
        return (self.marked.number, packed(self.marked)) if self.marked is not None else (0, "")

    def go_to_mark(self, text: str) -> bool:
        """Go to a place that ``mark`` told, just after ``open``; False where that cannot be: then open it again.

        What is read from there on is what reading from the beginning would give, numbers, times and pictures.
        """
        mark = unpacked(text)
        if mark is None or (mark.timeline is None) != bool(self.even_fps) or not self.begin_at(mark):
            return False
        self.placed = self.position = mark.number
        self.part, self.is_all, self.trouble = mark.part, False, ""
        if mark.timeline is not None:
            self.timeline.go_on_from(mark.timeline)
        self.unplaced.clear()
        self.ahead.clear()
        self.fill()
        return bool(self.ahead) and self.ahead[0].ticks == mark.ticks and not self.ahead[0].flaw

    def begin_at(self, mark: Mark) -> bool:
        """Take what comes from a mark's picture on out of the file; False where it is not found there."""
        import av

        if self.source is not None:
            self.source.close()
        if self.avi is not None:
            self.source = self.avi.packets(mark.ticks, mark.at)
            return True
        assert self.container is not None
        try:
            packets = packets_from(self.container, self.stream, mark)
        except (av.error.FFmpegError, ValueError):
            return False
        if packets is None:
            return False
        self.incoming, self.from_ticks = packets, mark.ticks
        self.source = self.packets() if self.is_raw else self.pictures()
        return True

    def to_bgr(self, frame: av.VideoFrame) -> np.ndarray:
        """A decoded frame's pixels, BGR [H, W, 3], by the colours and the range that it names. Raises BadFrame."""
        import av
        from av.video.reformatter import VideoReformatter

        if not hasattr(self, "reformatter"):
            self.reformatter = VideoReformatter()
        try:
            converted = self.reformatter.reformat(frame, format="bgr24", interpolation="BICUBIC", threads=1)
        except (av.error.FFmpegError, ValueError):
            raise BadFrame(f"its pixel format {frame.format.name} cannot be converted") from None
        plane = converted.planes[0]
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(converted.height, plane.line_size)
        return rows[:, : 3 * converted.width].reshape(converted.height, converted.width, 3)

    def ending(self) -> str:
        """What is odd about where the file ended, or about its times; empty when nothing is."""
        lacking = missing_end(self.path) or self.trouble or ("its last picture is cut short" if self.cut else "")
        if lacking:
            return f"video {self.path.name} ended at frame {self.position}, {lacking}: truncated or damaged"
        if not self.even_fps and self.timeline.repaired:
            return (
                f"video {self.path.name}: {self.timeline.repaired} of {self.position} frames had no usable time and "
                "were put between their neighbours"
            )
        return ""

    def close(self) -> None:
        """Let the file go. Closing one that is not open does nothing."""
        if self.source is not None:
            self.source.close()
            self.source = None
        self.ahead.clear()
        self.unplaced.clear()
        if self.container is not None:
            self.container.close()
            self.container = None


def flaw_of(frame: av.VideoFrame, is_tainted: bool) -> str:
    """Why a decoded frame must not be used; empty when it may.

    FFmpeg flags what it made up for lost data. Frames that are predicted from a flagged one carry its damage on, and
    are not flagged themselves: ``is_tainted`` says that there was one since the last key frame.
    """
    if frame.is_corrupt:
        return "the picture is damaged"
    return "the picture builds on a damaged one" if is_tainted else ""
