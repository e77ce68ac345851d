"""``egostream bench``: the real pipeline, started as a user starts it, with a real subscriber in this process."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import psutil
from rich.console import Console
from rich.progress import Progress

from egostream import __version__
from egostream.config import RunConfig, StreamConfig, as_toml, check
from egostream.engine.backends import backend
from egostream.errors import EgostreamError
from egostream.publish.client import PoseSubscriber, TrackedPose
from egostream.publish.figures import percentiles_ms
from egostream.publish.message import StatusMessage
from egostream.redact import without_password
from egostream.run_setup import RunSetup
from egostream.supervise.prepare import prepare_run
from egostream.types import Stage

START_S, START_EACH_S = 60.0, 4.0  # until the first poses: of a run, and more for each stream
COMPILE_S = 600.0  # and more at a GPU's first start, which compiles its kernels
SAMPLE_PERIOD_S = 0.5
#: Stages that are the network; all the others are what the pipeline adds to it.
NETWORK_STAGES = (Stage.NETWORK,)


@dataclass
class Samples:
    """Everything measured, for the figure."""

    latency_ns: np.ndarray  # capture to subscriber, per pose
    t_s: np.ndarray  # when each pose arrived, from the start of the measurement
    stages_ns: dict[str, np.ndarray]
    rss_mib: np.ndarray  # all processes together, every half second

    @classmethod
    def of(cls, received: list[TrackedPose], meter: ProcessMeter) -> Samples:
        """What was received and metered."""
        stages = {name: durations(received, name) for name in received[0].message.stages_ns}
        stages[Stage.TRANSPORT] = np.array([pose.t_receive_ns - pose.message.t_publish_ns for pose in received])
        latency = np.array([pose.t_receive_ns - pose.t_capture_ns for pose in received])
        arrival_s = np.array([pose.t_receive_ns - received[0].t_receive_ns for pose in received]) / 1e9
        return cls(latency, arrival_s, stages, np.array(meter.rss) / 2**20)


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
    if not all(re.fullmatch(r"\s*0*[1-9][0-9]{0,3}\s*", part) for part in parts):
        raise EgostreamError(f"--streams {text[:80]}: a number of streams, or several such as 1,2,4,8")
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


def bench_pipeline(
    config: RunConfig, seconds: float, warmup: float, console: Console, say: Callable[[str], None]
) -> tuple[dict, Samples]:
    """Run the pipeline for ``seconds`` and return the report (see docs/bench.md) and the samples behind it.

    Raises EgostreamError when it cannot run, ends, or gives too little to measure.
    """
    setup = prepare_run(config, say)  # compiles outside the measured time
    with tempfile.TemporaryDirectory(prefix="egostream-bench-") as folder:
        config = msgspec.structs.replace(
            setup.config, publish=f"ipc://{folder}/poses" if os.name == "posix" else "tcp://127.0.0.1:5580", control=""
        )
        path = Path(folder) / "run.toml"
        path.write_text(as_toml(config))
        with RunningPipeline(path) as run, PoseSubscriber(config.publish, None, every=True) as poses:
            names = {stream.config.stream for stream in setup.streams}
            wait_first_poses(poses, run, names, COMPILE_S if setup.backend == "tensorrt" else 0.0)
            drain(poses, warmup)
            meter = ProcessMeter(run.process.pid)
            received, status = collect(poses, run, seconds, meter, console)
    if len(received) < 2:
        raise EgostreamError(
            f"only {len(received)} poses in {seconds:g} s: nothing to measure. "
            f"Check the source: egostream run --source {without_password(config.source)}"
        )
    return report(setup, seconds, received, status, meter)


class RunningPipeline:
    """``egostream run`` as a child process, stopped on the way out."""

    def __init__(self, config: Path):
        command = [sys.executable, "-m", "egostream", "run", "--config", str(config)]
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def __enter__(self) -> RunningPipeline:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def check(self) -> None:
        """Raise EgostreamError with its last words when it has ended."""
        if self.process.poll() is not None:
            self.log.seek(0)
            lines = self.log.read().strip().splitlines() or ["it said nothing"]
            raise EgostreamError(f"the pipeline ended during the measurement: {lines[-1]}")


def wait_first_poses(poses: PoseSubscriber, run: RunningPipeline, streams: set[str], more_s: float) -> None:
    """Wait until every stream has had a pose. Raises EgostreamError when that takes too long."""
    allowed_s = START_S + START_EACH_S * len(streams) + more_s
    deadline = time.monotonic() + allowed_s
    while time.monotonic() < deadline:
        if (pose := poses.newest(0.2)) is not None:
            streams = streams - {pose.stream}
        if not streams:
            return
        run.check()
    raise EgostreamError(
        f"no pose of stream {', '.join(sorted(streams))} within {allowed_s:g} s. "
        "Check the installation: egostream doctor"
    )


def drain(poses: PoseSubscriber, seconds: float) -> None:
    """Receive for so long, and then whatever is left, without keeping anything."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        poses.newest(left)
    while poses.newest(0) is not None:
        pass


def collect(
    poses: PoseSubscriber, run: RunningPipeline, seconds: float, meter: ProcessMeter, console: Console
) -> tuple[list[TrackedPose], StatusMessage | None]:
    """Every pose that comes within ``seconds``, and the status then; CPU and memory are sampled on the way."""
    received: list[TrackedPose] = []
    start = time.monotonic()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("measuring", total=seconds)
        while (elapsed := time.monotonic() - start) < seconds:
            run.check()
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
        self.rss: list[float] = []
        self.start_s, self.start_cpu = time.monotonic(), self.cpu_seconds()
        self.next_s = 0.0

    def read(self, figure: Callable[[psutil.Process], float]) -> Iterator[float]:
        """A figure of every process of the tree; one that ends meanwhile has none."""
        for process in (self.root, *self.root.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                yield figure(process)

    def cpu_seconds(self) -> float:
        """CPU time of all of them so far."""
        return sum(self.read(lambda process: sum(process.cpu_times()[:2])))

    def sample(self) -> None:
        """Note their memory, if the last time was long enough ago."""
        now = time.monotonic()
        if now < self.next_s:
            return
        self.next_s = now + SAMPLE_PERIOD_S
        self.rss.append(sum(self.read(lambda process: process.memory_info().rss)))

    def cpu_percent(self) -> float:
        """CPU time over the time measured; 100: one core busy."""
        return 100 * (self.last_cpu - self.start_cpu) / (self.last_s - self.start_s)

    def stop(self) -> None:
        """The measurement is over."""
        self.last_s, self.last_cpu = time.monotonic(), self.cpu_seconds()


def report(
    setup: RunSetup,
    seconds: float,
    received: list[TrackedPose],
    status: StatusMessage | None,
    meter: ProcessMeter,
) -> tuple[dict, Samples]:
    """Figures of a measurement, which are the JSON of ``bench --json``, and the samples behind them."""
    samples = Samples.of(received, meter)
    streams = {stream.config.stream: stream_figures(received, stream.config.stream) for stream in setup.streams}
    rates = [figures["poses_per_second"] for figures in streams.values()]
    result = {
        "poses_per_second": sum(rates),
        **latency_figures(samples),
        "dropped_frames": sum(figures["dropped_frames"] for figures in streams.values()),
        "fairness": min(rates) * len(rates) / sum(rates),
        "streams": streams,
        "rss_mib": float(samples.rss_mib.max()),
        "rss_growth_percent": growth_percent(samples.rss_mib),
        "cpu_percent": meter.cpu_percent(),
        "poses": len(received),
        "seconds": seconds,
        **what_ran(setup, status),
        "machine": machine(),
    }
    return result, samples


def latency_figures(samples: Samples) -> dict:
    """Latency as a whole, by stage, and outside the network."""
    latency, stages, half = samples.latency_ns, samples.stages_ns, len(samples.latency_ns) // 2
    around = np.sum([values for name, values in stages.items() if name not in NETWORK_STAGES], axis=0)
    # A frame waits, ready, for the network to be free: of the frame before, of motion between poses. That is the
    # network's time, not the pipeline's.
    own = around - stages[Stage.HANDOVER]
    return {
        "latency_ms": percentiles_ms(latency),
        "latency_growth_ms": float(np.median(latency[half:]) - np.median(latency[:half])) / 1e6,
        "stages_ms": {name: percentiles_ms(values) for name, values in stages.items()},
        "outside_network_ms": percentiles_ms(around),
        "outside_network_without_handover_ms": percentiles_ms(own),
    }


def what_ran(setup: RunSetup, status: StatusMessage | None) -> dict:
    """Source, engines and weights. The status knows better than the plan: a GPU may have been left alone."""
    return {
        "source": without_password(setup.config.source),
        "pace": setup.config.pace,
        "backend": status.engine.backend if status else setup.backend,
        "precision": status.engine.precision if status else setup.precision,
        "temporal": setup.weights.temporal,
        "motion": status.engine.motion if status else setup.motion,
        "variant": setup.weights.variant,
        "weights": setup.weights.id,
        "trained": setup.weights.trained,
        "camera_mode": status.camera.mode if status else "",
    }


def durations(received: list[TrackedPose], stage: str) -> np.ndarray:
    """How long one stage took of each pose, in ns."""
    return np.array([pose.message.stages_ns[stage] for pose in received])


def stream_figures(received: list[TrackedPose], stream: str) -> dict:
    """Rate, latency and drops of one stream. Raises EgostreamError when it had too few poses to tell."""
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
    """How much larger the median of the last quarter is than that of the first, in percent."""
    quarter = max(1, len(values) // 4)
    return 100 * float(np.median(values[-quarter:]) / np.median(values[:quarter]) - 1)


def machine() -> dict:
    """What it was measured on."""
    try:
        processor = backend("openvino").device()
    except EgostreamError:
        processor = platform.processor() or platform.machine()
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "egostream": __version__,
    }
