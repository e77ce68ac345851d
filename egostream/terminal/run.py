"""What ``egostream run`` shows in a terminal."""

from __future__ import annotations

import os
import signal
import sys
import time
from functools import partial

from rich.console import Console
from rich.live import Live
from rich.text import Text

from egostream.config import PRESETS, RunConfig, filter_name
from egostream.errors import EgostreamError
from egostream.graph.scales import has_quantization
from egostream.graph.weights import Weights
from egostream.handover.board import CameraState, StreamBoard
from egostream.publish.endpoints import local_endpoint
from egostream.redact import without_password
from egostream.run_setup import RunSetup, StreamSetup
from egostream.supervise.prepare import prepare_run
from egostream.supervise.supervisor import Supervisor
from egostream.terminal.companions import companions_of
from egostream.terminal.printer import Printer

REFRESH_S = 0.25
PLAIN_PERIOD_S = 10.0  # where there is no terminal to redraw: one line this often


def run_with_status_line(config: RunConfig) -> None:
    """Run until told to stop, with one live line on a terminal. Ends the process with status 1 where it cannot."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    # Until the supervisor takes over, a polite kill unwinds and removes half-made files.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    printer, status = Printer(console), 0
    try:
        supervise(config, printer)
    except EgostreamError as error:
        printer.say(f"egostream: {error}")
        status = 1
    finally:
        has_ended = printer.close()
    if not has_ended:
        os._exit(status)  # everything is cleaned up but the thread that waits for a reader
    if status:
        sys.exit(status)


def supervise(config: RunConfig, printer: Printer) -> None:
    """Run until told to stop. Raises EgostreamError where it cannot."""
    companions = companions_of(config)
    setup = prepare_run(config, printer.say)
    printer.do(lambda: announce(printer.console, setup))
    say = lambda note: printer.say(f"{time.strftime('%H:%M:%S')} {note}")
    supervisor = Supervisor(setup, say, companions)
    with StatusLine(printer) as line:
        supervisor.run(line.update)
    for name, summary in supervisor.summaries.items():
        printer.say(named(name, setup, ending(summary)))


def named(stream: str, setup: RunSetup, text: str) -> str:
    """``text``, after the stream's name where there are several."""
    return f"stream {stream}: {text}" if len(setup.streams) > 1 else text


def ending(summary: dict) -> str:
    """The last line of a stream: what was done, and how well where the truth is known."""
    line = f"{summary['poses']} poses, {summary['dropped']} frames dropped"
    if bad := summary["bad_frames"]:
        line += f" ({', '.join(f'{count} {reason}' for reason, count in bad.items())})"
    known = summary["truth_frames"]
    return line + (f", error {summary['mpjpe_mm']:.1f} mm over {known} frames of the clip (MPJPE)" if known else "")


def wearer(config: RunConfig) -> str:
    """What is known of who wears the camera."""
    return f"wearer {config.stature:g} m tall" if config.stature else "wearer's stature unknown (--stature METRES)"


def announce(console: Console, setup: RunSetup) -> None:
    """Say what was chosen, before it starts."""
    for stream in setup.streams:
        console.print(named(stream.config.stream, setup, stream_text(stream)), markup=False)
    console.print(engine_text(setup), markup=False)
    names = ", ".join(f"pose/{stream.config.stream}" for stream in setup.streams)
    topics = f"topic {names}" if len(setup.streams) == 1 else f"topics {names}"
    flags = echo_flags(setup.streams[0].config)
    console.print(
        f"poses on {setup.config.publish}, {topics}. In another terminal: egostream echo{flags}", markup=False
    )
    warn(console, setup)


def stream_text(stream: StreamSetup) -> str:
    """One camera of a run in a line."""
    (width, height), source = stream.camera.size, without_password(stream.config.source)
    return f"source {source}, calibration {stream.camera.name} {width}x{height}, {wearer(stream.config)}"


def engine_text(setup: RunSetup) -> str:
    """A run's engines and weights in a line."""
    weights = setup.weights
    motion = "every frame" if setup.motion == "every-frame" else f"every {weights.step_ms:.0f} ms"
    return (
        f"{setup.backend} {setup.precision}, {weights.variant} {weights.temporal} T={weights.window}, "
        f"motion {motion}, weights {weights.id[:12]}{validated(weights)}, filter {filter_name(setup.config)}"
    )


def validated(weights: Weights) -> str:
    """How far weights are off where they were validated, behind their id; empty where that is not known."""
    return f" ({weights.validation_mm:.0f} mm off where validated)" if weights.trained and weights.validation_mm else ""


def warn(console: Console, setup: RunSetup) -> None:
    """Say what is wrong with the weights, or would be better."""
    weights = setup.weights
    if not weights.trained:
        warning = f"WARNING: these weights are untrained; the poses mean nothing ({weights.description})"
        console.print(warning, style="bold yellow", markup=False)
    elif weights.has_failed:
        warning = (
            f"WARNING: these weights have learnt nothing: they are {weights.validation_mm:.0f} mm off where they were "
            "validated, no better than a pose that never moves. Train them for longer, or on more recordings"
        )
        console.print(warning, style="bold yellow", markup=False)
    elif lacks_int8(setup):
        console.print(
            "int8 would be faster on a processor; these weights have no scales for it yet: "
            f"python tools/quantize.py {weights.folder}",
            markup=False,
        )


def lacks_int8(setup: RunSetup) -> bool:
    """Whether the preset would run int8, had the weights scales for it."""
    config = setup.config
    wants_int8 = config.precision == "auto" and "int8" in PRESETS[config.preset].precisions
    return setup.backend == "openvino" and wants_int8 and not has_quantization(setup.weights)


def echo_flags(config: RunConfig) -> str:
    """The flags with which ``echo`` reaches this run, where the defaults do not."""
    defaults = RunConfig()
    endpoint = local_endpoint(config.publish)
    flags = f" --endpoint {endpoint}" if endpoint != defaults.publish else ""
    flags += f" --stream {config.stream}" if config.stream != defaults.stream else ""
    flags += f" --server-key {config.server_key.removesuffix('_secret')}" if config.server_key else ""
    return flags + (" --client-key YOURS.key_secret" if config.client_keys else "")


class StatusLine:
    """A line of figures for each stream: redrawn on a terminal, printed now and then elsewhere."""

    def __init__(self, printer: Printer):
        self.printer, console = printer, printer.console
        self.live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self.next_s = time.monotonic() + (0 if self.live else PLAIN_PERIOD_S)

    def __enter__(self) -> StatusLine:
        if self.live:
            self.printer.do(self.live.start)
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.printer.do(self.live.stop)

    def update(self, supervisor: Supervisor) -> None:
        """Show the figures of now, if it is time to."""
        now = time.monotonic()
        if now < self.next_s:
            return
        self.next_s = now + (REFRESH_S if self.live else PLAIN_PERIOD_S)
        is_loading = not supervisor.run_board["infer_ready"]
        texts = [status_text(link.board, is_loading) for link in supervisor.links]
        lines = [named(name, supervisor.setup, text) for name, text in zip(supervisor.names, texts)]
        if self.live:
            text = Text("\n".join(lines), no_wrap=True, overflow="ellipsis")
            self.printer.do(partial(self.live.update, text, refresh=True))
        else:
            self.printer.say("\n".join(lines))


def status_text(board: StreamBoard, is_loading: bool) -> str:
    """A stream's figures in a line."""
    state = CameraState(int(board["capture_state"])).name.lower()
    if is_loading:
        return f"camera {state} · loading the network ..."
    error = f"error {board['infer_error_mm']:.0f} mm (clip {board['infer_mpjpe_mm']:.0f})"
    parts = [
        f"{board['infer_fps']:5.1f} poses/s",
        f"latency p50 {board['infer_p50_ms']:.1f} p99 {board['infer_p99_ms']:.1f} ms",
        f"{int(board['infer_dropped'])} dropped",
        *([error] if board["infer_truth_frames"] else []),
        f"confidence {board['infer_confidence']:.2f}",
        f"camera {state} {board['capture_fps']:.1f} fps",
    ]
    return " · ".join(parts)
