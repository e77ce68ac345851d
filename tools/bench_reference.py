#!/usr/bin/env python3
"""How much the stream saves: one pose by re-running a whole window in plain PyTorch, against one step of the engine.

    python tools/bench_reference.py --temporal window --repeats 5

Both run the same weights on the same frames of the sample, in turn, in one process; medians and the ratio of the
medians are printed. The window form's T frames each pass the heatmap network and the backbone again, as the
published code does for every pose.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

try:
    import torch
except ImportError:
    sys.exit("bench_reference: PyTorch is needed. Install it: pip install -e '.[train]'")
from rich.console import Console
from rich.progress import track

from egostream.build import check_precision, ensure_step_engine
from egostream.engine import choose_backend, load_engine
from egostream.errors import EgostreamError
from egostream.setup import default_weights
from egostream.weights import load_weights
from tools.build_engine import load_frames
from tools.network.reference import graph_inputs
from tools.network.spec import load_network

STEPS_PER_REPEAT = 30


def time_window(network, frames: torch.Tensor) -> float:
    """Milliseconds for one pose by the whole-window network."""
    valid = torch.ones(1, len(frames), dtype=torch.bool)
    start = time.perf_counter()
    with torch.no_grad():
        network(frames[None], valid)
    return (time.perf_counter() - start) * 1e3


def time_steps(engine) -> list[float]:
    """Milliseconds of each of a run of engine steps."""
    spent = []
    for _ in range(STEPS_PER_REPEAT):
        start = time.perf_counter()
        engine.run()
        spent.append((time.perf_counter() - start) * 1e3)
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="?", type=Path, help="weights folder (default: the shipped ones)")
    parser.add_argument(
        "--temporal",
        choices=("auto", "window", "causal"),
        default="auto",
        help="without weights: another form than the shipped one, untrained",
    )
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    weights = load_weights(options.weights) if options.weights else default_weights(options.temporal)
    runner = choose_backend(options.backend)
    precision = check_precision(runner, options.precision)
    engine, _ = load_engine(ensure_step_engine(weights, runner, precision, 1, lambda line: print(line, file=sys.stderr)), {}, threads=0)
    network = load_network(weights)
    frames = load_frames(None, weights, weights.window)
    engine.bind(graph_inputs(network, "step", frames[:2], 1)[0])
    frames = torch.from_numpy(frames)
    time_window(network, frames[:2]), time_steps(engine)  # warm-up
    windows, steps = [], []
    for _ in track(range(options.repeats), "measuring", console=Console(stderr=True)):
        windows.append(time_window(network, frames))
        steps += time_steps(engine)
    result = {
        "pytorch_window_ms": float(np.median(windows)), "engine_step_ms": float(np.median(steps)), "engine_step_p99_ms": float(np.percentile(steps, 99)),
        "ratio": float(np.median(windows) / np.median(steps)), "window": weights.window, "temporal": weights.temporal,
        "backend": runner.name, "precision": precision, "device": runner.device(), "torch": torch.__version__, "threads": torch.get_num_threads(),
    }  # fmt: skip
    if options.json:
        print(json.dumps(result, indent=2))
        return
    print(f"one pose on {result['device']}, {result['threads']} threads, {weights.variant} {weights.temporal} T={weights.window}")
    print(f"  PyTorch fp32, whole window   {result['pytorch_window_ms']:9.1f} ms")
    print(f"  {runner.name} {precision}, one step    {result['engine_step_ms']:9.1f} ms (p99 {result['engine_step_p99_ms']:.1f})")
    print(f"  ratio                        {result['ratio']:9.0f}")


if __name__ == "__main__":
    try:
        main()
    except EgostreamError as error:
        sys.exit(f"bench_reference: {error}")
