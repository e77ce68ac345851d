#!/usr/bin/env python3
"""Measure how the heatmap network errs on rendered people, for the simulated motion of tools/train_motion.py.

    python tools/make_synthetic.py --out data/noise --body mpfb2 --motion mocap --fps 15 --frames 64 --train 60 \\
        --val 0 --test 0 --seed 501                              # people whom the heatmap network never saw
    python tools/fit_noise.py --data data/noise --out noise.json

The file holds numbers only: where errors last and where they flicker, by joint and confidence (``--help`` of the module
tools/training/motion/noise.py says how they are used).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from rich.console import Console
from rich.progress import track

from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.graph.default_weights import resolve_weights
from tools.data.datasets import read_data
from tools.entry import run_tool
from tools.training.motion.supply import add_supply_options, make_bank, supply_of


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder of make_synthetic.py, of people never trained on")
    parser.add_argument("--split", choices=("train", "val", "test"), default="train", help="of --data (train)")
    parser.add_argument("--weights", default="", help="weights folder whose heatmaps are measured (the shipped one)")
    parser.add_argument("--out", type=Path, required=True, help="file to write, such as noise.json")
    add_supply_options(parser, movements=200, people=50)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Fit the model and say in one line how large the errors are."""
    from tools.training.motion.noise import save_noise
    from tools.training.motion.noise_fit import fit_noise
    from tools.training.motion.seen import see
    from tools.training.motion.simulate import Simulator

    options, console = parse(arguments), Console(stderr=True, highlight=False)
    recordings = read_data(options.data, options.split)
    if not recordings:
        raise EgostreamError(f"--data {options.data} has no recordings of split {options.split}. Try another --split")
    weights = resolve_weights(RunConfig(weights=options.weights))
    shown = track(recordings, "looking at recordings", console=console)
    seen = see(weights, shown, lambda line: console.print(line, markup=False))
    clean = Simulator(*make_bank(supply_of(options, 0), console))(np.random.default_rng(0), 400, 16).keypoints
    model = fit_noise(seen, clean, f"{options.data} {options.split}, heatmaps of {weights.id[:12]}")
    save_noise(options.out, model)
    errors = np.concatenate([np.linalg.norm(one.keypoints - one.true_keypoints, axis=-1).ravel() for one in seen])
    print(f"{options.out}: {len(errors)} keypoints of {len(seen)} recordings, median error {np.median(errors):.1f} px")


if __name__ == "__main__":
    run_tool(main)
