"""Network streams: RTSP, Motion-JPEG and other formats over HTTP, RTP, UDP, TCP, RTMP and SRT.

FFmpeg reads them through PyAV, since that tells of damage, hands out Motion-JPEG undecoded, ends a read that hangs, and
lets the socket go when it is told to. docs/sources.md has the comparison with OpenCV's reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import cv2
import numpy as np

from egostream.capture.camera import CameraLost
from egostream.capture.decode import BadFrame, DamagedFrame
from egostream.capture.live import FIRST_FRAME_S, WATCHDOG_S, LiveCamera
from egostream.capture.source_text import for_ffmpeg
from egostream.errors import EgostreamError
from egostream.redact import without_password

if TYPE_CHECKING:
    import av

#: What FFmpeg calls streams of JPEGs.
JPEG_CODECS = ("mjpeg", "mjpegb")
#: FFmpeg's options for every stream: what an SDP file may name. "nobuffer" is not among them. It drops the packets by
#: which FFmpeg finds out what comes, and with them the first key frame.
OPTIONS = {
    "protocol_whitelist": "file,crypto,data,http,https,httpproxy,tcp,tls,udp,udplite,rtp,srtp,rtmp,rtmps,rtsp,srt",
}
#: The end of an RTSP URL that says how the pictures travel. FFmpeg reads it; a preference of ours would win over it.
RTSP_TRANSPORT = re.compile(r"^rtsps?:.*[?&](udp|tcp|multicast)$", re.IGNORECASE)


class NetworkCamera(LiveCamera):
    """A stream by URL, or by the SDP file of an RTP session."""

    reads_ahead = True  # FFmpeg does, to find out what comes

    def open_capture(self) -> StreamCapture:
        """Connect, and say what comes. Raises EgostreamError when nothing does within FIRST_FRAME_S."""
        shown = without_password(self.config.source)
        capture = StreamCapture(for_ffmpeg(self.config.source))
        self.is_raw = self.shows_noise = capture.is_jpeg
        self.mode = f"{shown} {capture.width}x{capture.height} {capture.codec}{', raw JPEG' if self.is_raw else ''}"
        return capture


class StreamCapture:
    """A stream's pictures, read as ``live.Capture`` asks. Raises EgostreamError when it cannot be opened.

    A picture after a damaged one builds on it, so that all up to the next key frame are damaged, too.
    """

    def __init__(self, url: str):
        import av  # for network streams only: it takes 40 ms and 5 MB
        from av.video.reformatter import VideoReformatter

        self.av, shown = av, without_password(url)
        container = None
        try:
            container = av.open(url, options=options_of(url), timeout=(FIRST_FRAME_S, WATCHDOG_S))
            self.stream = container.streams.video[0]
            if self.stream.codec_context is None:
                raise ValueError("no decoder")
        except (av.FFmpegError, IndexError, ValueError) as error:
            if container is not None:
                container.close()
            raise EgostreamError(f"stream {shown} cannot be opened: {explain(error)}") from None
        self.container: av.container.InputContainer | None = container
        self.decoder = self.stream.codec_context
        self.codec, self.width, self.height = self.decoder.name, self.decoder.width, self.decoder.height
        self.is_jpeg = self.codec in JPEG_CODECS
        self.decoder.thread_type = "SLICE"  # threads for whole frames would hold back one frame each
        self.decoder.thread_count = 1
        self.reformatter = VideoReformatter()
        self.packets: Iterator[av.Packet] = container.demux(self.stream)
        self.packet: av.Packet | None = None
        self.is_damaged = False  # since the last key frame

    def grab(self) -> bool:
        """Wait for the next packet. Raises CameraLost at the stream's end, and when none comes for WATCHDOG_S."""
        try:
            self.packet = next(self.packets, None)
        except self.av.FFmpegError as error:
            raise CameraLost(explain(error)) from None
        if self.packet is None or not self.packet.size:  # an empty packet says that there will be no more
            raise CameraLost("the stream ended")
        return True

    def retrieve(self) -> tuple[bool, np.ndarray | None]:
        """What came: JPEG bytes [n] or BGR [H, W, 3]; no picture where none is complete yet. Raises BadFrame."""
        assert self.packet is not None, "grab first"
        if self.is_jpeg:
            return True, np.frombuffer(bytes(self.packet), np.uint8)
        try:
            frames = self.decoder.decode(self.packet)
        except self.av.FFmpegError as error:
            self.is_damaged = True
            raise DamagedFrame(f"the image is broken: {explain(error)}") from None
        if not frames:
            return False, None
        self.check(frames[-1])
        try:
            image = self.reformatter.reformat(frames[-1], format="bgr24", threads=1).to_ndarray()
        except (self.av.FFmpegError, ValueError):
            raise BadFrame(f"its pixel format {frames[-1].format.name} cannot be converted") from None
        return True, one_field(image) if frames[-1].interlaced_frame else image

    def check(self, frame: av.VideoFrame) -> None:
        """Raise DamagedFrame for a decoded picture with a hole that was filled in, or that builds on such a one."""
        has_hole = frame.is_corrupt or (self.packet is not None and self.packet.is_corrupt)
        self.is_damaged = has_hole or (self.is_damaged and not frame.key_frame)
        if has_hole:
            raise DamagedFrame("the image is broken: part of it did not arrive")
        if self.is_damaged:
            raise DamagedFrame("the image is broken: one that it builds on did not arrive whole")

    def get(self, prop: int) -> float:
        """No property: a stream's stamps are of the sender's clock."""
        return 0.0

    def release(self) -> None:
        """Close the connection."""
        self.packet, self.packets = None, iter(())
        if self.container is not None:
            self.container.close()
            self.container = None


def one_field(image: np.ndarray) -> np.ndarray:
    """An interlaced picture [H, W, 3] from its first lines alone, at full size.

    Its two fields were taken at two times. A filter that mends moving parts needs the next picture, and live there is
    no time to wait for it. Half of the lines stay, and the picture lies half a line too low.
    """
    height, width = image.shape[:2]
    return cv2.resize(image[::2], (width, height), interpolation=cv2.INTER_LINEAR)


def options_of(url: str) -> dict[str, str]:
    """FFmpeg's options for a URL. RTSP goes by TCP, which loses nothing, where server and URL do not want another."""
    return OPTIONS if RTSP_TRANSPORT.match(url) else {**OPTIONS, "rtsp_flags": "prefer_tcp"}


def explain(error: Exception) -> str:
    """FFmpeg's error in words, without the URL that it repeats."""
    text = getattr(error, "strerror", "") or "there is no video in it that FFmpeg can decode"
    return {
        "Immediate exit requested": "nothing came in time",
        "Protocol not found": "this FFmpeg has no such protocol",
        "Invalid data found when processing input": "what comes is no video that FFmpeg knows",
        "End of file": "the stream ended",
        "Input/output error": "the connection broke",
    }.get(text, text)
