"""What a video file is, as FFmpeg sees it: its stream of pictures, whether it tells times, how many frames it has."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from egostream.capture.avi import open_jpeg_avi
from egostream.capture.jpeg_header import jpeg_size
from egostream.capture.picture_size import MOST_PIXELS
from egostream.errors import EgostreamError

if TYPE_CHECKING:
    import av

#: Files up to this size are counted through, bytes; reading one takes a second or two from a slow disk (200 MB/s).
COUNTED_SIZE = 400_000_000
#: Longest that opening a file, and each reading from it, may take, seconds. Chosen by hand, for disks that slept: less
#: than a capture process may go without a beat, which would be killed without a word of the file.
PATIENCE_S = 10.0
#: Beginnings of text files that name recordings, and are none. FFmpeg would go and look for what they name.
PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"<?xml", b"<MPD", b"v=0\r\n", b"v=0\n", b"[playlist]")
#: Threads that decode one file. Two halve the time of H.264 (848x480: 2.4 ms a frame after 4.8 ms with one, on two
#: cores); more would take the processor from the network, and memory.
DECODE_THREADS = 2
#: What decoders look for beside what they stumble over: checksums, and data that the format forbids. It finds 96% of
#: the pictures that random damage spoils in MPEG-4, after 79%; whole files of 30 kinds have none.
FOUND_ERRORS = "crccheck+bitstream+buffer"
#: Decoders that report a rate only when the stream itself has one: in H.264's and H.265's timing information, which
#: may be left out, and in every MPEG-1 and MPEG-2 sequence header.
TELL_RATE = ("h264", "hevc", "mpeg1video", "mpeg2video")
#: An elementary stream's rate above this is the unit of its times: encoders write 1000 and 90000 where frames come at
#: varying times.
FASTEST_TOLD_FPS = 480
#: Formats that hold pictures without times, besides those that FFmpeg flags so.
UNTIMED = ("image2", "rawvideo", "obu")
#: Packets within which a stream's first headers come.
HEADER_PACKETS = 50
VP8_IS_SHOWN = 0x10  # bit of a VP8 frame's first byte (RFC 6386, section 9.1); the others are only referred to


def open_container(path: Path) -> av.container.InputContainer:
    """A video file, open. Raises EgostreamError when FFmpeg cannot read it."""
    import av

    if is_playlist(path):
        raise EgostreamError(f"{path} is a list of recordings, not one. Give one that it names")
    av.logging.set_level(None)  # what matters comes as errors and flags, and as our one line
    try:
        # "file:", or FFmpeg would take what stands before a colon in the name for a protocol.
        return av.open(
            f"file:{path}",
            metadata_errors="replace",
            timeout=PATIENCE_S,
            options={"protocol_whitelist": "file", "max_pixels": str(MOST_PIXELS)},
        )
    except (av.error.FFmpegError, ValueError, OSError):
        raise EgostreamError(
            f"video {path} cannot be read: {why_unreadable(path)}. Try: ffmpeg -i {path.name} -c:v mjpeg -q:v 3 out.avi"
        ) from None


def is_playlist(path: Path) -> bool:
    """Whether a file is a text that names recordings."""
    try:
        with open(path, "rb") as file:
            return file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(PLAYLISTS)
    except OSError:
        return False


def why_unreadable(path: Path) -> str:
    """What a file that cannot be opened lacks, for people."""
    try:
        with open(path, "rb") as file:
            head = file.read(16)
    except OSError as error:
        return str(error.strerror)
    if head[4:8] in (b"ftyp", b"mdat", b"wide", b"free"):
        return "its index (moov) is missing, as when recording was broken off, or damaged"
    return "damaged, or a format that FFmpeg lacks"


def picture_stream(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    """The stream of a file's pictures, with its decoder set up. Raises EgostreamError when it has none."""
    from av.codec.context import Flags
    from av.stream import Disposition

    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    best = container.streams.best("video")
    stream = best if best in streams else streams[0] if streams else None
    if stream is None or stream.codec_context is None:
        container.close()
        raise EgostreamError(f"video {path} cannot be read: it holds no pictures that FFmpeg can decode")
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = DECODE_THREADS
    stream.codec_context.options = {"err_detect": FOUND_ERRORS, "max_pixels": str(MOST_PIXELS)}
    stream.codec_context.flags |= Flags.output_corrupt  # flagged, so that they are counted; else they would be missing
    return stream


def has_own_times(container: av.container.InputContainer) -> bool:
    """Whether a container says when its frames were taken. Elementary streams and pictures do not."""
    from av.format import Flags

    name = container.format.name
    is_flagged = container.format.flags & int(Flags.no_timestamps.value)  # type: ignore[call-overload]
    return not (is_flagged or name.endswith("_pipe") or name in UNTIMED)


def known_packets(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.Packet]:
    """A stream's packets to the end. Raises av.error.FFmpegError and ValueError where a file cannot be read on."""
    while True:
        try:
            yield from container.demux(stream)
            return
        except IndexError:  # streams that appeared on the way: PyAV has no place for them when it comes to the end
            continue


def stream_packets(path: Path) -> Iterator[av.Packet]:
    """The packets of a file's pictures, read without decoding, apart from whoever plays it."""
    import av

    container = open_container(path)
    try:
        for packet in known_packets(container, picture_stream(container, path)):
            if packet.size and not packet.is_discard:
                yield packet
    except (av.error.FFmpegError, ValueError):
        return  # where a damaged file ends
    finally:
        container.close()


def rate_in_stream(path: Path) -> float:
    """Frames per second that an elementary stream tells by itself; 0 when it tells none, or a unit only."""
    import av

    decoder: av.VideoCodecContext | None = None
    for packet in islice(stream_packets(path), HEADER_PACKETS):
        context = packet.stream.codec_context
        if context.name not in TELL_RATE:
            return 0.0
        if decoder is None:  # a decoder of its own, since FFmpeg tells the file's one a rate of 25 by default
            decoder = av.CodecContext.create(context.name, "r")
        try:
            decoder.decode(packet)
        except av.error.FFmpegError:
            continue
        if decoder.framerate:
            return float(decoder.framerate) if decoder.framerate <= FASTEST_TOLD_FPS else 0.0
    return 0.0


def is_jpeg_stream(path: Path, stream: av.VideoStream) -> bool:
    """Whether a stream's packets are JPEGs of whole pictures. Interlaced ones hold a JPEG for each field."""
    if stream.codec_context.name != "mjpeg":
        return False
    first = next(stream_packets(path), None)
    return first is not None and jpeg_size(bytes(first)) == (stream.codec_context.width, stream.codec_context.height)


def count_frames(path: Path) -> int:
    """Frames of a video file, counted without decoding; 0 for one that takes long to count."""
    if path.stat().st_size > COUNTED_SIZE:
        return 0
    avi = open_jpeg_avi(path)
    return avi.count() if avi is not None else sum(is_shown(packet) for packet in stream_packets(path))


def is_shown(packet: av.Packet) -> bool:
    """Whether a packet holds a frame that is shown, not one that others refer to only."""
    return packet.stream.codec_context.name != "vp8" or bool(bytes(packet)[0] & VP8_IS_SHOWN)
