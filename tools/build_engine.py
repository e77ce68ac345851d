#!/usr/bin/env python3
"""Compile a weights folder: the ONNX graphs, an engine per graph, manifests, and a parity table against PyTorch.

    python tools/build_engine.py                                        # the default weights
    python tools/build_engine.py my_weights --backend onnxruntime -o engines/built/mine
    egostream run --source sample --weights engines/built/default       # these engines, and the weights they are of

    # for NVIDIA GPUs, on a machine without one: pip install tensorrt-rtx
    python tools/build_engine.py --backend tensorrt --target ampere+

Each engine runs on the frames given (--frames, default: the bundled sample). Its outputs are compared with the PyTorch
network's in fp32: largest and mean absolute difference of each. PyTorch is needed for that and nothing else.
TensorRT needs a GPU to run. Without --verify, the graphs that it compiled are compared, their rounding emulated on the
CPU; with --verify, the engines themselves are, on the GPU. Of weights without a backbone, what the processor runs
beside the GPU is compiled for this processor, and compared on it.
int8 needs the scales that tools/quantize.py writes; the shipped weights have them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import onnx
from rich.console import Console
from rich.progress import Progress, TaskID, TimeElapsedColumn
from rich.table import Table

from egostream.engine.backend_tensorrt import TARGETS, TensorRTBackend
from egostream.engine.backends import ALL_BACKENDS, backend
from egostream.engine.batch_sizes import processor_batch_sizes
from egostream.engine.build import ENGINE_SUFFIXES, available_precisions, build_engine, graph_precision
from egostream.engine.contract import TENSORRT_MODULES, Backend
from egostream.errors import EgostreamError
from egostream.files import write_folder
from egostream.graph.bind import bind_graph
from egostream.graph.built import Built, seen_from, write_built
from egostream.graph.default_weights import default_weights
from egostream.graph.ports import MAX_BATCH
from egostream.graph.weights import Weights, load_weights
from tools.data.frames import load_frames
from tools.engines.parity import (
    Run,
    backend_of,
    graphs_of,
    measure_parity,
    way_to_run_on_gpu,
    way_to_run_on_processor,
)
from tools.entry import run_tool


def parse_arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="?", type=Path, help="weights folder (default: the shipped ones)")
    parser.add_argument(
        "-o", "--output", type=Path, help="folder to write (default: engines/built/NAME; NAME of runs/NAME/weights)"
    )
    parser.add_argument("--backend", choices=ALL_BACKENDS, default="openvino")
    parser.add_argument(
        "--precision", nargs="+", default=["all"], help="precisions to build (default: all that this machine runs)"
    )
    parser.add_argument(
        "--temporal",
        choices=("auto", "window", "causal"),
        default="auto",
        help="without weights: another form than the shipped one, untrained",
    )
    parser.add_argument("--batch", type=int, default=1, help=f"streams per engine, 1 to {MAX_BATCH} (default 1)")
    parser.add_argument(
        "--frames", type=Path, help="video or image folder of the canonical camera, for parity (default: the sample)"
    )
    parser.add_argument(
        "--target", choices=TARGETS, default="ampere+", help="TensorRT: GPUs to compile for (ampere+: 8.0 and later)"
    )
    parser.add_argument("--module", choices=TENSORRT_MODULES, help="TensorRT: which one (tensorrt_rtx, else tensorrt)")
    parser.add_argument("--count", type=int, default=8, help="frames to compare (8)")
    parser.add_argument(
        "--verify", action="store_true", help="TensorRT: compare on the GPU of this machine, not by emulation"
    )
    parser.add_argument("--no-parity", action="store_true", help="do not compare with PyTorch")
    parser.add_argument("--json", action="store_true", help="print the parity figures as JSON")
    return parser.parse_args()


def build_folder(weights: Weights, runner: Backend, precisions: list[str], batch_size: int, folder: Path) -> None:
    """Write the ONNX graphs with their tensors inside, and an engine of each per precision. Raises EgostreamError."""

    def fill(staging: Path) -> None:
        models: dict[str, onnx.ModelProto] = {}  # the graph at work
        jobs = jobs_of(weights, runner, precisions, batch_size)
        with Progress(console=Console(stderr=True)) as progress:
            bar = progress.add_task("", total=len(jobs))
            for graph, compiler, precision, size in jobs:
                label = f"compiling {graph} {precision}"
                if isinstance(compiler, TensorRTBackend):
                    compiler = replace(compiler, progress=partial(show_phase, progress, bar, label))
                progress.update(bar, description=label)
                if graph not in models:
                    models.clear()
                    models[graph] = bind_graph(weights, graph)
                    (staging / f"{graph}.onnx").write_bytes(models[graph].SerializeToString())
                build_engine(weights, graph, compiler, precision, size, staging, models[graph])
                progress.advance(bar)
        write_built(
            staging,
            Built(
                weights_id=weights.id,
                weights=seen_from(folder, weights.path("")),
                backend=runner.name,
                precisions=tuple(precisions),
                batch=batch_size,
            ),
        )

    write_folder(folder, ENGINE_SUFFIXES, fill)


def name_of(weights: Weights) -> str:
    """What a folder of engines is called after its weights: ``runs/mine/weights`` are ``mine``."""
    folder = weights.path("").resolve()
    return folder.parent.name if folder.name == "weights" else folder.name


def jobs_of(
    weights: Weights, runner: Backend, precisions: list[str], batch_size: int
) -> list[tuple[str, Backend, str, int]]:
    """What there is to compile: graph, by which backend, precision and batch size. Raises EgostreamError.

    A GPU's engines take any batch. One that the processor runs beside it takes its own, so that a run needs several.
    """
    jobs = []
    for graph in graphs_of(weights, runner):
        compiler = backend_of(graph, runner)
        sizes = [batch_size] if compiler is runner else sorted({*processor_batch_sizes(batch_size), batch_size})
        jobs += [
            (graph, compiler, precision, size)
            for precision in dict.fromkeys(graph_precision(graph, precision) for precision in precisions)
            for size in sizes
        ]
    return jobs


def show_phase(progress: Progress, bar: TaskID, label: str, phase: str, step: int, steps: int) -> bool:
    """Show what TensorRT is at. Returns True: go on."""
    progress.update(bar, description=f"{label}: {phase.lower()} {step}/{steps}")
    return True


def choose_compiler(options: argparse.Namespace) -> Backend:
    """The backend asked for; --target and --module set up TensorRT. Raises EgostreamError when it is not installed."""
    runner = backend(options.backend)
    if not isinstance(runner, TensorRTBackend):
        return runner
    name = options.module or ""
    runner = TensorRTBackend(module=name, target=options.target)
    try:
        runner.version()
    except ImportError as error:
        raise EgostreamError(
            f"--module {name} is not installed ({error}). Install it: pip install {name.replace('_', '-')}"
        ) from None
    return runner


@contextmanager
def comparing(total: int) -> Iterator[Callable[[str], None]]:
    """Context with a bar of so many comparisons, each of which may take minutes. Yields what is called before each."""
    console = Console(stderr=True)
    with Progress(*Progress.get_default_columns(), TimeElapsedColumn(), console=console) as progress:
        bar, done = progress.add_task("comparing with PyTorch", total=total), count()

        def say(what: str) -> None:
            progress.update(bar, description=f"comparing {what}", completed=next(done))
            if not console.is_terminal:  # where the bar is drawn at its end only
                print(f"comparing {what} with PyTorch ...", file=sys.stderr, flush=True)

        yield say
        progress.update(bar, completed=total)


def print_parity(parity: dict[str, dict[str, dict[str, list[float]]]], count: int) -> None:
    """Print a table of what ``measure_parity`` returns. count: frames that were compared."""
    table = Table(
        "graph", "precision", "output", "largest |difference|", "mean", title=f"against PyTorch fp32, {count} frames"
    )
    for graph, precisions in parity.items():
        for precision, figures in precisions.items():
            for output, (largest, mean) in figures.items():
                unit = " (" + f"{largest * 1000:.2f} mm)" if output == "joints" else ""
                table.add_row(graph, precision, output, f"{largest:.2e}{unit}", f"{mean:.2e}")
    Console().print(table)


def main() -> None:
    """Build the engines that the command line asks for, and compare them."""
    options = parse_arguments()
    if not 1 <= options.batch <= MAX_BATCH:
        raise EgostreamError(f"--batch {options.batch}: 1 to {MAX_BATCH}")
    weights = load_weights(options.weights) if options.weights else default_weights(options.temporal)
    runner = choose_compiler(options)
    precisions = available_precisions(weights, runner) if options.precision == ["all"] else options.precision
    for precision in precisions:
        if precision not in runner.precisions():
            raise EgostreamError(
                f"{runner.name} cannot run {precision} here; choose from {', '.join(runner.precisions())}"
            )
    folder = options.output or Path(__file__).resolve().parents[1] / "engines/built" / name_of(weights)
    build_folder(weights, runner, precisions, options.batch, folder)
    print(f"wrote {folder}. Try: egostream run --source sample --weights {folder}", file=sys.stderr)
    if options.no_parity:
        return
    frames = load_frames(options.frames, weights, max(options.count, options.batch))
    run: Run = (
        way_to_run_on_gpu(weights, runner, options.verify)
        if isinstance(runner, TensorRTBackend)
        else way_to_run_on_processor(weights)
    )
    try:
        with comparing(len(graphs_of(weights, runner)) * len(precisions)) as say:
            parity = measure_parity(weights, runner, precisions, options.batch, folder, frames, run, say)
    except ImportError as error:
        raise EgostreamError(
            f"{error}. The parity table needs PyTorch: pip install -e '.[train]' (or say --no-parity)"
        ) from None
    print(json.dumps(parity, indent=2)) if options.json else print_parity(parity, len(frames))


if __name__ == "__main__":
    run_tool(main)
