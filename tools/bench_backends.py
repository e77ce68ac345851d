#!/usr/bin/env python3
"""Every backend and precision that this machine runs, in one run: each graph, and one pose.

    python tools/bench_backends.py                                 # the shipped weights
    python tools/bench_backends.py --temporal window --plot backends.png --json

One pose is one step of the engine, all four graphs with what is kept of the past; "ahead": without waiting for its
motion, which is computed between poses (egostream run --motion trained-step). It is compared with plain PyTorch on
the same weights and frames: re-running the whole window, as the published code does for every pose, and with each
frame's features kept as the engines do, eager and compiled. All take turns, so that a noisy neighbour meets everyone;
medians, 99th percentiles and ratios to the first row are of one run.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

try:
    import torch
except ImportError:
    sys.exit("bench_backends: PyTorch is needed. Install it: pip install -e '.[train]'")
from rich.console import Console
from rich.progress import track
from rich.table import Table

from egostream.engine.backends import PROCESSOR_BACKENDS, backend
from egostream.engine.build import available_precisions, build_engines, cached_engine_folder, engine_name, wanted_fields
from egostream.engine.contract import DeviceGraphInstance
from egostream.engine.cuda import find_gpu
from egostream.engine.load import check_engine, load_engine
from egostream.errors import EgostreamError, first_line
from egostream.graph.default_weights import default_weights
from egostream.graph.ports import GRAPHS, POSE_GRAPH, STEP_GRAPH
from egostream.graph.weights import Weights, load_weights
from egostream.infer.gpu_plans import GpuPlans
from egostream.terminal.plot import COLOURS, check_plot, save_figure
from tools.data.frames import load_frames
from tools.engines.worker import load_worker, plans_of
from tools.entry import run_tool
from tools.network.build import load_network
from tools.network.export import export_module
from tools.network.reference import graph_inputs
from tools.network.spec import require_backbone

AHEAD = ", ahead"  # of its motion
WINDOW, KEPT, COMPILED = "PyTorch, whole window", "PyTorch, features kept", "PyTorch, compiled"
CONSOLE = Console(stderr=True, highlight=False)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="?", type=Path, help="weights folder (default: the shipped ones)")
    parser.add_argument(
        "--temporal",
        choices=("auto", "window", "causal"),
        default="auto",
        help="without weights: another form, untrained",
    )
    parser.add_argument("--precision", nargs="+", default=[], help="only these (default: all that this machine runs)")
    parser.add_argument("--rounds", type=int, default=5, help="turns (5); each takes one window of PyTorch")
    parser.add_argument("--steps", type=int, default=30, help="repetitions of everything else per round (30)")
    parser.add_argument(
        "--no-compile", action="store_true", help="leave out torch.compile, which takes a minute and a C++ compiler"
    )
    parser.add_argument("--plot", type=Path, help="write the figure to this file")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    if min(options.rounds, options.steps) < 1:
        raise EgostreamError(f"--rounds {options.rounds} --steps {options.steps}: at least 1 of each")
    if options.plot:
        check_plot(options.plot)
    return options


Contender = Callable[[], object]


def engines_of(weights: Weights, network, frames: np.ndarray, precisions: list[str]) -> dict[str, dict[str, Contender]]:
    """{graph: {"backend precision": one run}} of every backend installed. What is not cached is compiled first.

    precisions: the wanted ones; none for all.
    """
    inputs = {graph: graph_inputs(network, graph, frames[:2], 1)[0] for graph in (*GRAPHS, STEP_GRAPH, POSE_GRAPH)}
    found: dict[str, dict[str, Contender]] = {graph: {} for graph in inputs}
    for name in PROCESSOR_BACKENDS:
        try:
            runner = backend(name)
        except EgostreamError as error:
            CONSOLE.print(f"left out: {error}", markup=False)
            continue
        for precision in wanted(available_precisions(weights, runner), precisions):
            folder = cached_engine_folder(weights, inputs, runner, precision, 1)
            for graph in inputs:
                fields, path = (
                    wanted_fields(weights, graph, runner, precision, 1),
                    folder / engine_name(graph, runner, precision, 1),
                )
                try:
                    check_engine(path, fields)
                except EgostreamError:
                    CONSOLE.print(f"compiling {name} {precision} ...")
                    build_engines(weights, inputs, runner, precision, 1, folder)
                engine, manifest = load_engine(path, fields, 0)
                engine.bind({key: value for key, value in inputs[graph].items() if key in manifest.inputs})
                found[graph][f"{name} {precision}"] = engine.run
    return found


def wanted(available: list[str], precisions: list[str]) -> list[str]:
    """The precisions asked for, as far as they can be had; all when none is asked for."""
    return [precision for precision in available if not precisions or precision in precisions]


def gpu_engines_of(weights: Weights, precisions: list[str]) -> dict[str, dict[str, Contender]]:
    """{graph: {"tensorrt precision": one run}} on an NVIDIA GPU; nothing where there is none.

    The step is the worker's, upload and download included. The other graphs run alone.
    """
    found: dict[str, dict[str, Contender]] = {graph: {} for graph in (*GRAPHS, STEP_GRAPH)}
    try:
        cuda, runner = find_gpu(), backend("tensorrt")
        cuda.open()
    except EgostreamError as error:
        CONSOLE.print(f"left out: tensorrt: {error}", markup=False)
        return found
    for precision in wanted(available_precisions(weights, runner), precisions):
        try:
            worker = load_worker(cuda, weights, precision, 1, CONSOLE.print)
        except EgostreamError as error:
            CONSOLE.print(f"left out: tensorrt {precision}: {error}", markup=False)
            continue
        gpu = plans_of(worker)
        (plan,) = gpu
        found[STEP_GRAPH][f"tensorrt {precision}"] = plan.run
        for graph, step in plan.steps.items():
            found[graph][f"tensorrt {precision}"] = partial(run_alone, gpu, step)
    return found


def run_alone(gpu: GpuPlans, step: DeviceGraphInstance) -> None:
    """Run one graph on the GPU and wait for it."""
    step.enqueue(gpu.main.handle)
    gpu.wait()


def references(network, frames: np.ndarray, with_compile: bool) -> dict[str, Contender]:
    """One pose in plain PyTorch: the whole window again, and one step with what was kept."""
    window, valid = torch.from_numpy(frames)[None], torch.ones(1, len(frames), dtype=torch.bool)
    step = export_module(network, STEP_GRAPH).eval()
    inputs = [torch.from_numpy(value) for value in graph_inputs(network, STEP_GRAPH, frames[:2], 1)[0].values()]
    contenders: dict[str, Contender] = {WINDOW: lambda: network(window, valid), KEPT: lambda: step(*inputs)}
    if with_compile:
        compiled = torch.compile(step)
        try:
            CONSOLE.print("compiling with PyTorch ...")
            compiled(*inputs)
            contenders[COMPILED] = lambda: compiled(*inputs)
        except Exception as error:  # no C++ compiler, or a graph that the compiler does not take
            CONSOLE.print(f"left out: torch.compile: {first_line(error)}", markup=False)
    return contenders


def measure(contenders: Mapping[str, Contender], rounds: int, steps: int, label: str) -> dict[str, dict[str, float]]:
    """Milliseconds of each contender (median, 99th percentile, runs), taking turns."""
    spent: dict[str, list[float]] = {name: [] for name in contenders}
    for run in contenders.values():
        run()  # warm
    for _ in track(range(rounds), label, console=CONSOLE):
        for name, run in contenders.items():
            for _ in range(1 if name == WINDOW else steps):
                start = time.perf_counter()
                run()
                spent[name].append((time.perf_counter() - start) * 1e3)
    return {
        name: {"p50": float(np.median(ms)), "p99": float(np.percentile(ms, 99)), "runs": len(ms)}
        for name, ms in spent.items()
    }


def print_tables(result: dict) -> None:
    """One pose by every contender, and each graph alone."""
    console = Console()
    pose = result["pose"]
    table = Table("one pose", "p50 ms", "p99 ms", "times as fast as the window", title=result["about"])
    for name, row in pose.items():
        table.add_row(name, f"{row['p50']:.2f}", f"{row['p99']:.2f}", f"{pose[WINDOW]['p50'] / row['p50']:.1f}")
    console.print(table)
    names = list(next(iter(result["graphs"].values())))
    table = Table("graph, p50 ms", *names)
    for graph, rows in result["graphs"].items():
        table.add_row(graph, *(f"{rows[name]['p50']:.2f}" for name in names))
    console.print(table)


def plot(path: Path, result: dict) -> None:
    """Left: one pose, on a logarithmic scale. Right: where the time of each engine goes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with pyplot.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 3.4), layout="constrained", width_ratios=(1.2, 1))
        pose, graphs = result["pose"], result["graphs"]
        y = np.arange(len(pose))[::-1]
        left.barh(y, [row["p99"] for row in pose.values()], color="#DDDDDD", label="p99")
        left.barh(
            y,
            [row["p50"] for row in pose.values()],
            color=[COLOURS[0] if "PyTorch" in n else COLOURS[4] for n in pose],
            label="p50",
        )
        for place, row in zip(y, pose.values()):
            left.text(row["p99"] * 1.05, place, f"{row['p50']:.1f}", va="center", fontsize=8)
        left.set_yticks(y, list(pose))
        left.set_xscale("log")
        left.set_xlim(right=2.5 * max(row["p99"] for row in pose.values()))
        left.set_xlabel("ms for one pose (p99 in grey)")
        names = list(next(iter(graphs.values())))
        base = np.zeros(len(names))
        y = np.arange(len(names))[::-1]
        for (graph, rows), colour in zip(graphs.items(), COLOURS[1:]):
            values = np.array([rows[name]["p50"] for name in names])
            right.barh(y, values, left=base, color=colour, label=graph)
            base = base + values
        right.set_yticks(y, names)
        right.set_xlabel("ms, each graph alone")
        right.legend(frameon=False, fontsize=8, ncols=len(graphs), loc="lower center", bbox_to_anchor=(0.5, 1))
        figure.suptitle(result["about"], fontsize=10)
        save_figure(figure, path)


@torch.inference_mode()
def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    weights = load_weights(options.weights) if options.weights else default_weights(options.temporal)
    require_backbone(weights, "backends are compared graph by graph")
    network = load_network(weights)
    frames = load_frames(None, weights, weights.window)
    engines = engines_of(weights, network, frames, options.precision)
    for graph, contenders in gpu_engines_of(weights, options.precision).items():
        engines[graph] |= contenders
    contenders = references(network, frames, not options.no_compile) | engines.pop(STEP_GRAPH)
    contenders |= {f"{name}{AHEAD}": run for name, run in engines.pop(POSE_GRAPH).items()}
    form = f"{weights.variant} {weights.temporal} T={weights.window}"
    result = {
        "about": f"{form}, {backend('openvino').device()}, {torch.get_num_threads()} threads",
        "weights": weights.id,
        "torch": torch.__version__,
        "pose": measure(contenders, options.rounds, options.steps, "one pose"),
        "graphs": {graph: measure(engines[graph], options.rounds, options.steps, graph) for graph in GRAPHS},
    }
    print(json.dumps(result, indent=2)) if options.json else print_tables(result)
    if options.plot:
        plot(options.plot, result)


if __name__ == "__main__":
    run_tool(main)
