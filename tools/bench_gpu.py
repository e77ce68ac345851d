#!/usr/bin/env python3
"""A step on the NVIDIA GPU of this machine, upload and download included, for 1 to 32 streams.

    python tools/bench_gpu.py
    python tools/bench_gpu.py my_weights --precision fp16 int8 --streams 1 32 --json

Compiles what is not cached, then runs every number of streams in turn, with full windows.

step      what a frame waits for: from handing over the frames to having the poses, by the host's clock. Without a
          backbone, it has what the processor does of it, too
gpu       the captured step, by the GPU's own events
in turn   the step's graphs one after the other, none beside another; then each part alone
idle      what lies between the parts: 1 - (sum of the parts) / in turn
overlap   what running two graphs beside each other saves: 1 - gpu / in turn

A few launches lie between two events, so that the time to launch does not count.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from egostream.calibration.view import INPUT_SIZE
from egostream.engine.backends import backend
from egostream.engine.build import available_precisions
from egostream.engine.cuda import find_gpu
from egostream.errors import EgostreamError
from egostream.graph.default_weights import default_weights
from egostream.graph.ports import MAX_BATCH
from egostream.graph.weights import Weights, load_weights
from egostream.infer.from_body import BodyEstimator
from egostream.infer.gpu_plans import GpuPlans, Plan, record
from egostream.infer.on_gpu import GpuEstimator
from egostream.types import NetworkInput
from tools.engines.worker import load_worker, plans_of
from tools.entry import run_tool

CONSOLE = Console(stderr=True, highlight=False)
LAUNCHES = 10  # between two events; chosen by hand, not measured
SETTLE = 20  # steps that do not count, once the window is full; chosen by hand, not measured


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="?", type=Path, help="weights folder (default: the shipped ones)")
    parser.add_argument("--precision", nargs="+", help="precisions (default: all that the weights have)")
    parser.add_argument(
        "--streams", nargs="+", type=int, default=[1, 2, 4, 8, 16, 32], help=f"numbers of streams, up to {MAX_BATCH}"
    )
    parser.add_argument("--steps", type=int, default=300, help="repetitions of each (300)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    if not all(1 <= count <= MAX_BATCH for count in options.streams):
        raise EgostreamError(f"--streams {' '.join(map(str, options.streams))}: 1 to {MAX_BATCH}")
    if options.steps < 2:
        raise EgostreamError(f"--steps {options.steps}: at least 2")
    return options


def measure(worker: GpuEstimator | BodyEstimator, step_ns: int, steps: int, warm: int, label: str) -> dict:
    """Milliseconds of a batch of all streams: of the host, of the GPU, and of each part alone.

    warm: steps before those that count.
    """
    gpu = plans_of(worker)
    (plan,) = gpu
    images = np.random.default_rng(0).integers(0, 256, (len(worker.streams), INPUT_SIZE, INPUT_SIZE, 3), np.uint8)
    host = []
    for number in track(range(warm + steps), label, console=CONSOLE):
        frames = {n: NetworkInput(number, 0, number * step_ns, image, {}, 0) for n, image in enumerate(images)}
        began = time.perf_counter()
        for _ in worker.poses(frames):
            pass
        host.append((time.perf_counter() - began) * 1e3)
    timed = {name: record(gpu.cuda, gpu.main, work) for name, work in works(gpu, plan).items()} | {"gpu": plan.graph}
    taken: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(max(2, steps // LAUNCHES)):
        for name, graph in timed.items():
            taken[name].append(launches_ms(gpu, graph))
    parts = {name: float(np.median(values)) for name, values in taken.items()}
    in_turn, whole = parts.pop("in turn"), parts.pop("gpu")
    figures = {
        name: {"p50": float(np.median(ms)), "p99": float(np.percentile(ms, 99))}
        for name, ms in (("step", host[warm:]), ("gpu", taken["gpu"]))
    }
    return figures | {
        "parts": parts,
        "in_turn": in_turn,
        "idle": 1 - sum(parts.values()) / in_turn,
        "overlap": 1 - whole / in_turn,
    }


def works(gpu: GpuPlans, plan: Plan) -> dict[str, Callable[[], None]]:
    """What is timed besides the step itself: all in turn, each graph, and the copies."""
    graphs = {name: partial(step.enqueue, gpu.main.handle) for name, step in plan.steps.items()}
    return {"in turn": plan.enqueue_in_turn, **graphs, "copies": plan.copies}


def launches_ms(gpu: GpuPlans, graph) -> float:
    """Milliseconds of one launch, as the mean of LAUNCHES in a row."""
    cuda, start, end = gpu.cuda, gpu.cuda.event(timed=True), gpu.cuda.event(timed=True)
    cuda.record(start, gpu.main)
    for _ in range(LAUNCHES):
        cuda.launch(graph, gpu.main)
    cuda.record(end, gpu.main)
    cuda.synchronize(end)
    return cuda.elapsed_ms(start, end) / LAUNCHES


def measure_alone(weights: Weights, precision: str, streams: int, steps: int) -> dict:
    """``measure`` in a process of its own, which gives all its GPU memory back."""
    cuda = find_gpu()
    cuda.open()
    worker = load_worker(cuda, weights, precision, streams, CONSOLE.print)
    return measure(worker, weights.step_ns, steps, weights.window + SETTLE, f"{precision}, {streams} streams")


def measured(weights: Weights, precision: str, streams: int, steps: int) -> dict | None:
    """The figures of one row; None, with a line that says why, where it cannot be had."""
    try:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            row = process.submit(measure_alone, weights, precision, streams, steps).result()
        CONSOLE.print(
            f"{precision}, {streams} streams: step {row['step']['p50']:.2f} ms", markup=False
        )  # should the rest be cut short
        return row
    except BrokenProcessPool:
        CONSOLE.print(f"left out: {precision}, {streams} streams: its process died", markup=False)
    except (EgostreamError, RuntimeError) as error:
        CONSOLE.print(f"left out: {precision}, {streams} streams: {error}", markup=False)
    return None


def print_tables(result: dict) -> None:
    """The step, and what it is made of."""
    rows = [
        (precision, streams, row) for precision, found in result["precisions"].items() for streams, row in found.items()
    ]
    step = Table("precision", "streams", "step", "p99", "gpu", "in turn", "idle", "overlap", title=result["about"])
    names = list(rows[0][2]["parts"])
    parts = Table("precision", "streams", *names, title="each part alone", caption="milliseconds")
    for precision, streams, row in rows:
        figures = row["step"]["p50"], row["step"]["p99"], row["gpu"]["p50"], row["in_turn"]
        step.add_row(
            precision,
            str(streams),
            *(f"{ms:.2f}" for ms in figures),
            *(f"{row[name]:.0%}" for name in ("idle", "overlap")),
        )
        parts.add_row(precision, str(streams), *(f"{row['parts'][name]:.2f}" for name in names))
    for table in (step, parts):
        Console().print(table)


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    weights = load_weights(options.weights) if options.weights else default_weights()
    cuda, runner = find_gpu(), backend("tensorrt")
    (name, capability), driver = cuda.device(), cuda.driver_version()
    precisions = {}
    for precision in options.precision or available_precisions(weights, runner):
        rows = {streams: measured(weights, precision, streams, options.steps) for streams in options.streams}
        precisions[precision] = {streams: row for streams, row in rows.items() if row}
    if not any(precisions.values()):
        raise EgostreamError("nothing could be measured, for the reasons above")
    about = (
        f"{name}, compute capability {capability[0]}.{capability[1]}, "
        f"driver for CUDA {driver[0]}.{driver[1]}, {runner.version()}"
    )
    result = {
        "about": about,
        "weights": weights.id,
        "temporal": weights.temporal,
        "window": weights.window,
        "precisions": precisions,
    }
    print(json.dumps(result, indent=2)) if options.json else print_tables(result)


if __name__ == "__main__":
    run_tool(main)
