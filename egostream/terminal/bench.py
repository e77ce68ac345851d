"""``egostream bench``: the real pipeline, started as a user starts it, with a real subscriber in this process."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import psutil
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from egostream.config import RunConfig, StreamConfig, as_toml, check
from egostream.errors import EgostreamError
from egostream.publish.client import PoseSubscriber, TrackedPose
from egostream.publish.figures import percentiles_ms
from egostream.publish.message import StatusMessage
from egostream.redact import without_password
from egostream.supervise.prepare import prepare_run

START_S, START_EACH_S = 60.0, 4.0  # until the first poses: of a run, and more for each stream
COMPILE_S = 600.0  # and more at a GPU's first start, which compiles its kernels
SAMPLE_PERIOD_S = 0.5
#: Stages that are the network; all the others are what the pipeline adds to it.
NETWORK_STAGES = ("network",)


@dataclass
class Samples:
    """Everything measured, for the figure."""

    latency_ns: np.ndarray  # capture to subscriber, per pose
    t_s: np.ndarray  # when each pose arrived, from the start of the measurement
    stages_ns: dict[str, np.ndarray]
    rss_mib: np.ndarray  # all processes together, every half second


def with_streams(config: RunConfig, count: int) -> RunConfig:
    """The same source that many times over. Raises EgostreamError when there are too many."""
    if count == 1:
        return config
    config = msgspec.structs.replace(config, streams=(StreamConfig(source=config.source),) * count)
    check(config)
    return config


def parse_counts(text: str) -> list[int]:
    """Numbers of streams: "8", or "1,2,4". Raises EgostreamError."""
    parts = text.split(",")
    if not all(part.strip().isdecimal() and int(part) for part in parts):
        raise EgostreamError(f"--streams {text}: a number of streams, or several such as 1,2,4,8")
    return [int(part) for part in parts]


def bench_each(configs: list[RunConfig], seconds: float, warmup: float) -> list[tuple[dict, Samples]]:
    """``bench_pipeline`` of each in turn. One that fails ends it, and leaves what was measured before."""
    console, said, measured = Console(stderr=True, highlight=False, soft_wrap=True), set(), []

    def say(line: str) -> None:
        if line not in said:
            console.print(line, markup=False)
            said.add(line)

    for config in configs:
        try:
            measured.append(bench_pipeline(config, seconds, warmup, console, say))
        except EgostreamError as error:
            if not measured:
                raise
            say(f"{max(1, len(config.streams))} streams: {error}")
            break
    return measured


def bench_pipeline(config: RunConfig, seconds: float, warmup: float, console: Console, say) -> tuple[dict, Samples]:
    """Run the pipeline for ``seconds`` and return the report (see docs/bench.md) and the samples behind it."""
    setup = prepare_run(config, say)  # compiles outside the measured time
    with tempfile.TemporaryDirectory(prefix="egostream-bench-") as folder:
        config = msgspec.structs.replace(
            setup.config, publish=f"ipc://{folder}/poses" if os.name == "posix" else "tcp://127.0.0.1:5580", control=""
        )
        path = Path(folder) / "run.toml"
        path.write_text(as_toml(config))
        with running(path) as process, PoseSubscriber(config.publish, None, every=True) as poses:
            names = {stream.config.stream for stream in setup.streams}
            wait_first_poses(poses, process, names, COMPILE_S if setup.backend == "tensorrt" else 0.0)
            drain(poses, warmup)
            meter = ProcessMeter(process.pid)
            received, status = collect(poses, process, seconds, meter, console)
    if len(received) < 2:
        raise EgostreamError(
            f"only {len(received)} poses in {seconds:g} s: nothing to measure. Check the source: egostream run --source {config.source}"
        )
    return report(setup, seconds, received, status, meter)


class running:
    """``egostream run`` as a child process, stopped on the way out."""

    def __init__(self, config: Path):
        self.config = config

    def __enter__(self) -> subprocess.Popen:
        command = [sys.executable, "-m", "egostream", "run", "--config", str(self.config)]
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.process.log = self.log
        return self.process

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def wait_first_poses(poses: PoseSubscriber, process: subprocess.Popen, streams: set[str], more_s: float) -> None:
    """Until every stream has had one."""
    allowed_s = START_S + START_EACH_S * len(streams) + more_s
    deadline = time.monotonic() + allowed_s
    while time.monotonic() < deadline:
        if (pose := poses.newest(0.2)) is not None:
            streams = streams - {pose.stream}
        if not streams:
            return
        check_running(process)
    raise EgostreamError(
        f"no pose of stream {', '.join(sorted(streams))} within {allowed_s:g} s. Check the installation: egostream doctor"
    )


def check_running(process: subprocess.Popen) -> None:
    """Raise with its last words when the pipeline has ended."""
    if process.poll() is not None:
        process.log.seek(0)
        lines = process.log.read().strip().splitlines() or ["it said nothing"]
        raise EgostreamError(f"the pipeline ended during the measurement: {lines[-1]}")


def drain(poses: PoseSubscriber, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        poses.newest(left)
    while poses.newest(0) is not None:
        pass


def collect(poses, process, seconds, meter, console) -> tuple[list[TrackedPose], StatusMessage | None]:
    """Receive every pose for ``seconds``, sampling CPU and memory on the way."""
    received, start = [], time.monotonic()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("measuring", total=seconds)
        while (elapsed := time.monotonic() - start) < seconds:
            check_running(process)
            pose = poses.newest(min(0.2, seconds - elapsed))
            if pose is not None:
                received.append(pose)
            meter.sample()
            progress.update(task, completed=elapsed)
    meter.stop()
    return received, poses.status(1.5)


class ProcessMeter:
    """CPU time and memory of a process and its descendants."""

    def __init__(self, pid: int):
        self.root = psutil.Process(pid)
        self.rss: list[int] = []
        self.start_s, self.start_cpu = time.monotonic(), self.cpu_seconds()
        self.next_s = 0.0

    def read(self, figure) -> Iterator[float]:
        """A figure of every process of the tree; one that ends meanwhile has none."""
        for process in (self.root, *self.root.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                yield figure(process)

    def cpu_seconds(self) -> float:
        return sum(self.read(lambda process: sum(process.cpu_times()[:2])))

    def sample(self) -> None:
        now = time.monotonic()
        if now < self.next_s:
            return
        self.next_s = now + SAMPLE_PERIOD_S
        self.rss.append(sum(self.read(lambda process: process.memory_info().rss)))

    def cpu_percent(self) -> float:
        """100: one core busy."""
        return 100 * (self.last_cpu - self.start_cpu) / (self.last_s - self.start_s)

    def stop(self) -> None:
        self.last_s, self.last_cpu = time.monotonic(), self.cpu_seconds()


def report(setup, seconds, received: list[TrackedPose], status, meter) -> tuple[dict, Samples]:
    """Figures of a measurement: the JSON of ``bench --json``."""
    first = received[0]
    latency = np.array([p.t_receive_ns - p.t_capture_ns for p in received])
    stages = {name: np.array([p.message.stages_ns[name] for p in received]) for name in first.message.stages_ns}
    stages["transport"] = np.array([p.t_receive_ns - p.message.t_publish_ns for p in received])
    around = sum(values for name, values in stages.items() if name not in NETWORK_STAGES)
    # A frame waits, ready, for the network to be free (of the frame before, of motion between poses): the network's time, not the pipeline's.
    own = around - stages["handover"]
    samples = Samples(
        latency,
        np.array([p.t_receive_ns - first.t_receive_ns for p in received]) / 1e9,
        stages,
        np.array(meter.rss) / 2**20,
    )
    half = len(latency) // 2
    config = setup.config
    streams = {stream.config.stream: stream_figures(received, stream.config.stream) for stream in setup.streams}
    rates = [figures["poses_per_second"] for figures in streams.values()]
    result = {
        "poses_per_second": sum(rates),
        "latency_ms": percentiles_ms(latency),
        "latency_growth_ms": float(np.median(latency[half:]) - np.median(latency[:half])) / 1e6,
        "stages_ms": {name: percentiles_ms(values) for name, values in stages.items()},
        "outside_network_ms": percentiles_ms(around),
        "outside_network_without_handover_ms": percentiles_ms(own),
        "dropped_frames": sum(figures["dropped_frames"] for figures in streams.values()),
        "fairness": min(rates) * len(rates) / sum(rates),
        "streams": streams,
        "rss_mib": float(samples.rss_mib.max()),
        "rss_growth_percent": growth_percent(samples.rss_mib),
        "cpu_percent": meter.cpu_percent(),
        "poses": len(received),
        "seconds": seconds,
        "source": without_password(config.source),
        "pace": config.pace,
        "backend": status.engine.backend
        if status
        else setup.backend,  # what ran: a GPU may have been left for the processor
        "precision": status.engine.precision if status else setup.precision,
        "temporal": setup.weights.temporal,
        "motion": status.engine.motion if status else setup.motion,
        "variant": setup.weights.variant,
        "weights": setup.weights.id,
        "trained": setup.weights.trained,
        "camera_mode": status.camera.mode if status else "",
        "machine": machine(),
    }
    return result, samples


def stream_figures(received: list[TrackedPose], stream: str) -> dict:
    """One stream's part. Raises EgostreamError when it had too few poses to tell."""
    own = [pose for pose in received if pose.stream == stream]
    if len(own) < 2:
        raise EgostreamError(f"stream {stream} had {len(own)} poses: nothing to measure. Measure for longer: --seconds")
    span = (own[-1].t_receive_ns - own[0].t_receive_ns) / 1e9
    return {
        "poses_per_second": (len(own) - 1) / span,
        "latency_ms": percentiles_ms([pose.t_receive_ns - pose.t_capture_ns for pose in own]),
        "dropped_frames": own[-1].message.dropped_frames - own[0].message.dropped_frames,
    }


def growth_percent(values: np.ndarray) -> float:
    """Median of the last quarter against that of the first."""
    quarter = max(1, len(values) // 4)
    return 100 * float(np.median(values[-quarter:]) / np.median(values[:quarter]) - 1)


def machine() -> dict:
    from egostream import __version__
    from egostream.engine.backend_openvino import BACKEND

    try:
        processor = BACKEND.device()
    except ImportError:
        processor = platform.processor() or platform.machine()
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "egostream": __version__,
    }


def print_tables(results: list[dict]) -> None:
    """Everything of one measurement, or a row for each of several."""
    console = Console(highlight=False)
    if len(results) == 1:
        print_table(console, results[0])
        return
    console.print(f"{headline(results[0])}, {results[0]['seconds']:g} s each")
    console.print(streams_table(results))


def headline(result: dict) -> str:
    return (
        f"{result['source']} ({result['pace']}), {result['backend']} {result['precision']}, "
        f"{result['variant']} {result['temporal']}, motion {result['motion']}, {result['machine']['processor']}, {result['machine']['cores']} cores"
    )


def print_table(console: Console, result: dict) -> None:
    console.print(f"{result['poses_per_second']:.1f} poses/s from {headline(result)}")
    table = Table("milliseconds", "p50", "p95", "p99", "worst")
    rows = (
        {"capture to subscriber": result["latency_ms"]}
        | result["stages_ms"]
        | {"all but the network": result["outside_network_ms"]}
    )
    for name, values in rows.items():
        table.add_row(name, *(f"{values[key]:.2f}" for key in ("p50", "p95", "p99", "worst")))
    console.print(table)
    if len(result["streams"]) > 1:
        console.print(streams_table([result]))
    console.print(
        f"{result['dropped_frames']} frames dropped, CPU {result['cpu_percent']:.0f}% of one core, memory {result['rss_mib']:.0f} MiB "
        f"({result['rss_growth_percent']:+.1f}% over the run), latency growth {result['latency_growth_ms']:+.2f} ms"
    )
    if not result["trained"]:
        console.print("untrained weights: the speed is real, the poses mean nothing")


def streams_table(results: list[dict]) -> Table:
    """How each stream fared in one measurement, or in several with growing numbers of streams, one row each."""
    if len(results) == 1:
        table = Table("stream", "poses/s", "p50 ms", "p99 ms", "dropped")
        for name, figures in results[0]["streams"].items():
            table.add_row(
                name, f"{figures['poses_per_second']:.1f}", *latency_cells([figures]), str(figures["dropped_frames"])
            )
        table.caption = f"fairness {results[0]['fairness']:.2f}: the slowest stream's rate to the mean"
        return table
    table = Table(
        "streams",
        "poses/s",
        "slowest",
        "p50 ms",
        "p99 ms",
        "dropped",
        "fairness",
        "CPU %",
        "MiB",
        box=box.SIMPLE,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for result in results:
        streams = list(result["streams"].values())
        rates = [figures["poses_per_second"] for figures in streams]
        table.add_row(
            str(len(streams)), f"{sum(rates):.1f}", f"{min(rates):.1f}", *latency_cells(streams), str(result["dropped_frames"]),
            f"{result['fairness']:.2f}", f"{result['cpu_percent']:.0f}", f"{result['rss_mib']:.0f}",
        )  # fmt: skip
    table.caption = "slowest: the stream with the lowest rate, and its rate to the mean as fairness; latency: of the stream where it is worst"
    return table


def latency_cells(streams: list[dict]) -> list[str]:
    """Of the stream that has it worst."""
    return [f"{max(figures['latency_ms'][key] for figures in streams):.1f}" for key in ("p50", "p99")]
