#!/usr/bin/env python3
"""What motion from the body is worth, part by part: one trained network, given less of the past and of what is told.

    python tools/ablate_motion.py --data data/fresh --split train
    python tools/ablate_motion.py --data data/mine --weights runs/motion/weights --json > ablation.json

--data: folders made by tools/make_synthetic.py at the trained step (--fps 15). Differences are paired by recording,
with 95% intervals (tools/compare_reports.py). Joints are those that the network gives: no rays, no filter.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

try:
    import torch  # noqa: F401
except ImportError:
    sys.exit("ablate_motion: PyTorch is needed. Install it: pip install -e '.[train]'")

from rich.console import Console

from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.graph.default_weights import resolve_weights
from tools.data.datasets import read_data
from tools.entry import run_tool
from tools.paced import Paced
from tools.training.motion.ablation import ablate_motion, as_table, check, summary
from tools.training.motion.seen import see


def main(arguments: list[str] | None = None) -> None:
    """See the recordings once, give the network less and less, and print what that costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="FOLDER", help="rendered recordings")
    parser.add_argument("--split", default="test", choices=("train", "val", "test"), help="which part of them (test)")
    parser.add_argument("--weights", default="", help="weights folder without a backbone (the shipped one)")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    options = parser.parse_args(arguments)
    weights, recordings = resolve_weights(RunConfig(weights=options.weights)), read_data(options.data, options.split)
    if not recordings:
        raise EgostreamError(f"--data {options.data} has no recordings of split {options.split}. Try another --split")
    check(weights, recordings)
    console, paced, total = Console(stderr=True, highlight=False), Paced(), sum(map(len, recordings))
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        paced.count("frames seen", done, total)

    seen = see(weights, recordings, lambda line: console.print(line, markup=False), tick)
    rows = summary(ablate_motion(weights, recordings, seen))
    title = f"weights {weights.id[:12]}, {total} frames of {len(recordings)} recordings of {options.data}"
    about = {"data": options.data, "split": options.split, "weights": weights.id, "recordings": len(recordings)}
    if options.json:
        print(json.dumps(about | {"variants": rows}, indent=2))
        return
    Console(highlight=False, width=None if sys.stdout.isatty() else 140).print(as_table(rows, title))


if __name__ == "__main__":
    run_tool(main)
