"""A camera on a network that loses packets: the sample's pictures as MPEG-TS over UDP, over and over."""

from __future__ import annotations

import random
import socket
import tempfile
import threading
import time
from fractions import Fraction
from pathlib import Path

import av

from egostream.capture.sources import SAMPLE

#: What one datagram carries: seven packets of MPEG-TS, as all senders do.
PAYLOAD = 7 * 188
FPS, GROUP, PICTURES = 30, 15, 60
LOST_SHARE = 0.03  # of datagrams, while packets are lost
TICKS = 90_000  # a second, in MPEG-TS


class LossySender:
    """Sends in a thread, until closed. ``is_losing``: whether a share of the datagrams is lost on the way."""

    def __init__(self, port: int, seed: int):
        self.port, self.chance = port, random.Random(seed)
        self.is_losing, self.is_over = False, threading.Event()
        self.sent = self.lost = 0
        self.pictures = encoded_pictures()
        self.thread = threading.Thread(target=self.run, name="sender", daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        """Where it is received."""
        return f"udp://127.0.0.1:{self.port}"

    def run(self) -> None:
        """Send a picture's datagrams each time one is due."""
        due_s, number = time.monotonic(), 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            while not self.is_over.is_set():
                self.send(udp, self.pictures[number % len(self.pictures)])
                number, due_s = number + 1, due_s + 1 / FPS
                self.is_over.wait(max(0.0, due_s - time.monotonic()))

    def send(self, udp: socket.socket, picture: bytes) -> None:
        """Send a picture, all of it or with holes."""
        for at in range(0, len(picture), PAYLOAD):
            self.sent += 1
            if self.is_losing and self.chance.random() < LOST_SHARE:
                self.lost += 1
            else:
                udp.sendto(picture[at : at + PAYLOAD], ("127.0.0.1", self.port))

    def close(self) -> None:
        """Send no more."""
        self.is_over.set()
        self.thread.join()


def encoded_pictures() -> list[bytes]:
    """The packets of MPEG-TS that carry each picture of the sample's first two seconds, as H.264."""
    found, before = [], 0
    with tempfile.TemporaryDirectory() as folder, av.open(str(SAMPLE)) as clip:
        path = Path(folder) / "sample.ts"
        with av.open(str(path), "w", format="mpegts", options={"flush_packets": "1"}) as container:
            stream = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "tune": "zerolatency"})
            source = clip.streams.video[0].codec_context
            stream.width, stream.height, stream.pix_fmt = source.width, source.height, "yuv420p"
            stream.gop_size, stream.codec_context.time_base = GROUP, Fraction(1, FPS)
            for number, frame in enumerate(clip.decode(video=0)):
                if number == PICTURES:
                    break
                frame = frame.reformat(format="yuv420p")
                frame.pts, frame.time_base = number, Fraction(1, FPS)
                for packet in stream.encode(frame):
                    container.mux(packet)
                found.append(path.stat().st_size)
        data = path.read_bytes()
    ends = sorted({size for size in found if size} | {len(data)})
    pieces = [data[begin:end] for begin, end in zip([before, *ends], ends)]
    return [piece for piece in pieces if piece]
