#!/usr/bin/env python3
"""A step on the NVIDIA GPU of this machine, upload and download included, for 1 to 32 streams.

    python tools/bench_gpu.py
    python tools/bench_gpu.py my_weights --precision fp16 int8 --streams 1 32 --json

Compiles what is not cached, then runs every number of streams in turn. ``step`` is what the worker waits for: from handing
over the frames to having the poses, by the host's clock. ``gpu`` is the captured step by the GPU's own events; ``idle`` is the
part of it that its parts, each captured and timed alone, do not account for:
1 - (copies + max(heatmap, backbone + temporal) + decoder) / gpu. Below zero, the parts beside each other gain more than that.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from egostream.build import available_precisions, ensure_engines
from egostream.cuda import Cuda, find_gpu
from egostream.engine import backend, load_engine
from egostream.errors import EgostreamError
from egostream.gpu import GpuEstimator, Plan, plan_sizes, record
from egostream.graphs import MAX_BATCH
from egostream.rectify import Rectifier
from egostream.setup import default_weights
from egostream.weights import GRAPHS, Weights, load_weights
from tools.entry import run_tool

CONSOLE = Console(stderr=True, highlight=False)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="?", type=Path, help="weights folder (default: the shipped ones)")
    parser.add_argument("--precision", nargs="+", help="precisions (default: all that the weights have)")
    parser.add_argument("--streams", nargs="+", type=int, default=[1, 2, 4, 8, 16, 32], help=f"numbers of streams, up to {MAX_BATCH}")
    parser.add_argument("--steps", type=int, default=300, help="repetitions of each (300)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    if not all(1 <= count <= MAX_BATCH for count in options.streams):
        raise EgostreamError(f"--streams {' '.join(map(str, options.streams))}: 1 to {MAX_BATCH}")
    if options.steps < 2:
        raise EgostreamError(f"--steps {options.steps}: at least 2")
    return options


def load_worker(cuda: Cuda, weights: Weights, precision: str, streams: int) -> GpuEstimator:
    """The worker of ``egostream run --backend tensorrt``, for that many streams."""
    runner = backend("tensorrt")
    runner.aim_here()
    files = ensure_engines(weights, runner.runs, runner, precision, plan_sizes(streams)[-1], CONSOLE.print)
    graphs = {file.fields["graph"]: load_engine(file.path, file.fields, 0)[0] for file in files}
    return GpuEstimator(cuda, graphs, weights.step_ns, [Rectifier(weights.input)] * streams)


def measure(worker: GpuEstimator, plan: Plan, steps: int, label: str) -> dict:
    """Milliseconds of one plan: of the host, of the GPU, and of each part alone."""
    cuda, start, end = worker.cuda, worker.cuda.event(timed=True), worker.cuda.event(timed=True)
    parts = {name: record(cuda, worker.main, partial(step.enqueue, worker.main.handle)) for name, step in plan.steps.items()}
    parts["copies"] = record(cuda, worker.main, plan.copies)

    def timed(graph) -> float:
        cuda.record(start, worker.main)
        cuda.launch(graph, worker.main)
        cuda.record(end, worker.main)
        cuda.synchronize(end)
        return cuda.elapsed_ms(start, end)

    plan.uploaded.arrays["frame"][:] = np.random.default_rng(0).integers(0, 256, plan.uploaded.arrays["frame"].shape)
    host, gpu, alone = [], [], {name: [] for name in parts}
    for _ in track(range(steps), label, console=CONSOLE):
        began = time.perf_counter()
        plan.run()
        host.append((time.perf_counter() - began) * 1e3)
        gpu.append(timed(plan.graph))
        for name, graph in parts.items():
            alone[name].append(timed(graph))
    ms = {name: float(np.median(values)) for name, values in alone.items()}
    path = ms["copies"] + max(ms["heatmap"], ms["backbone"] + ms["temporal"]) + ms["decoder"]
    figures = {name: {"p50": float(np.median(ms)), "p99": float(np.percentile(ms, 99))} for name, ms in (("step", host), ("gpu", gpu))}
    return figures | {"parts": ms, "idle": 1 - path / figures["gpu"]["p50"]}


def measure_alone(weights: Weights, precision: str, streams: int, steps: int) -> dict:
    """``measure`` in a process of its own, which gives all its GPU memory back."""
    cuda = find_gpu()
    cuda.open()
    worker = load_worker(cuda, weights, precision, streams)
    return measure(worker, worker.plans[-1], steps, f"{precision}, {streams} streams")


def print_table(result: dict) -> None:
    table = Table(
        "precision",
        "streams",
        "step p50 ms",
        "p99",
        "gpu p50",
        "heatmap",
        "backbone",
        "temporal",
        "decoder",
        "copies",
        "idle",
        title=result["about"],
    )
    for precision, rows in result["precisions"].items():
        for streams, row in rows.items():
            figures = (row["step"]["p50"], row["step"]["p99"], row["gpu"]["p50"], *(row["parts"][name] for name in (*GRAPHS, "copies")))
            table.add_row(precision, str(streams), *(f"{ms:.2f}" for ms in figures), f"{100 * row['idle']:.0f}%")
    Console().print(table)


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    weights = load_weights(options.weights) if options.weights else default_weights()
    cuda, runner = find_gpu(), backend("tensorrt")
    (name, capability), driver = cuda.device(), cuda.driver_version()
    precisions = {}
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as processes:
        for precision in options.precision or available_precisions(weights, runner):
            rows = precisions[precision] = {}
            for streams in options.streams:
                rows[streams] = processes.submit(measure_alone, weights, precision, streams, options.steps).result()
    about = f"{name}, compute capability {capability[0]}.{capability[1]}, driver for CUDA {driver[0]}.{driver[1]}, {runner.version()}"
    result = {"about": about, "weights": weights.id, "temporal": weights.temporal, "window": weights.window, "precisions": precisions}
    print(json.dumps(result, indent=2)) if options.json else print_table(result)


if __name__ == "__main__":
    run_tool(main)
