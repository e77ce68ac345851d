"""Video files that the tests make: pictures whose times are known, in any container and codec."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from egostream.capture.clips import Video
from egostream.capture.decode import BadFrame

SIZE = 96, 64  # width, height
MS = Fraction(1, 1000)


def picture(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A picture, BGR [H, W, 3], with soft shapes at places that ``number`` decides; all differ."""
    width, height = size
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    grey = np.sin((x + 3 * number) / 9) + np.cos((y + 5 * number) / 11)
    tint = np.sin((x + y) / 20)
    return np.stack([128 + 50 * grey + weight * tint for weight in (15, 0, -15)], -1).astype(np.uint8)


def write_video(
    path: Path, times: Sequence[int], codec: str = "libx264", time_base: Fraction = MS, bframes: int = 0,
    options: dict[str, str] | None = None, muxer: dict[str, str] | None = None, format: str | None = None,
    shift: int = 0, pixels: str = "yuv420p", size: tuple[int, int] = SIZE, gop: int = 12,
    rate: int = 30,
) -> Path:  # fmt: skip
    """A video of a picture for each of ``times``, in units of ``time_base``. shift: added to all when they are packed.

    options: the encoder's. muxer: the container's.
    """
    with usual_scheduling(), av.open(str(path), "w", format=format, options=muxer or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height = size
        stream.pix_fmt = pixels
        stream.gop_size = gop
        stream.time_base = stream.codec_context.time_base = time_base
        if codec not in ("mjpeg", "gif", "ffv1", "png", "prores_ks"):
            stream.codec_context.max_b_frames = bframes
        for number, t in enumerate(times):
            frame = av.VideoFrame.from_ndarray(picture(number, size), "bgr24").reformat(format=pixels)
            frame.pts, frame.time_base = t, time_base
            mux(container, stream.encode(frame), shift * time_base)
        mux(container, stream.encode(None), shift * time_base)
    return path


@contextlib.contextmanager
def usual_scheduling() -> Iterator[None]:
    """Undo what encoders do to the thread that calls them.

    SVT-AV1 gives it, where the system lets it, the highest real-time priority. All that the tests start afterwards
    would inherit that, and a browser that is busy then stops everything else on the machine.
    """
    has_it = hasattr(os, "sched_getscheduler")
    before = (os.sched_getscheduler(0), os.sched_getparam(0)) if has_it else None
    try:
        yield
    finally:
        if before is not None:
            os.sched_setscheduler(0, *before)


def mux(container: av.container.OutputContainer, packets: Sequence[av.Packet], shift_s: Fraction) -> None:
    """Pack packets, ``shift_s`` seconds later."""
    for packet in packets:
        ticks = round(shift_s / packet.time_base)
        packet.pts += ticks
        packet.dts += ticks
        container.mux(packet)


def relative_ns(times: Sequence[int], time_base: Fraction = MS) -> list[int]:
    """Times from the first on, ns, exactly."""
    return [round((t - times[0]) * time_base * 10**9) for t in times]


def read_stamped(video: Video) -> list[tuple[int, np.ndarray | str]]:
    """A video's next frames with their times, ns; of those that cannot be used, why."""
    frames: list[tuple[int, np.ndarray | str]] = []
    while True:
        t_ns = video.begins_ns()
        try:
            data = video.read()
        except BadFrame as bad:
            frames.append((t_ns, str(bad)))
            continue
        if data is None:
            return frames
        frames.append((t_ns, data))
