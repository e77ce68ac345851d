#!/usr/bin/env python3
"""Whether one set of weights is better than another: the same recordings, paired, with intervals.

    python tools/evaluate.py --data data/fresh --weights engines/default --json > before.json
    python tools/evaluate.py --data data/fresh --weights runs/motion/weights --json > after.json
    python tools/compare_reports.py before.json after.json

Recordings differ far more than weights do, and frames of one recording are alike. So differences are taken recording by
recording. Their mean's interval is found by drawing recordings anew, with replacement (the bootstrap's percentiles).
An interval without 0 is a difference; any other is none that these recordings can show.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from rich.console import Console
from rich.table import Table

from egostream.errors import EgostreamError
from tools.entry import run_tool

#: Figure of a recording in a report -> heading.
FIGURES = {
    "mpjpe_mm": "MPJPE, mm",
    "pa_mpjpe_mm": "PA-MPJPE, mm",
    "acceleration_error_m_s2": "acceleration error, m/s²",
}
DRAWS, SEED = 10_000, 0


def read_report(path: Path) -> dict[str, dict[str, Any]]:
    """The recordings of a report by name. Raises EgostreamError when the file is no report of evaluate.py."""
    try:
        return {one["name"]: one for one in json.loads(path.read_text())["sequences"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EgostreamError(f"{path} is no report ({error!r}). Make one: python tools/evaluate.py --json") from None


def paired(before: np.ndarray, after: np.ndarray, frames: np.ndarray) -> tuple[float, float, float, float, float]:
    """Means before and after, and their difference with its 95% interval: mean, lower end, upper end.

    before, after [R] figures of the same recordings; frames [R] of each, by which they count.
    """
    drawn = np.random.default_rng(SEED).integers(0, len(frames), (DRAWS, len(frames)))
    difference = (after - before) * frames
    means = difference[drawn].sum(1) / frames[drawn].sum(1)
    low, high = np.percentile(means, (2.5, 97.5))
    mean = lambda values: float((values * frames).sum() / frames.sum())
    return mean(before), mean(after), mean(after - before), float(low), float(high)


def compare_reports(before: dict[str, dict], after: dict[str, dict]) -> dict[str, tuple[float, ...]]:
    """``paired`` of every figure. Raises EgostreamError when the reports are not of the same frames."""
    names = sorted(before)
    if names != sorted(after) or any(before[name]["frames"] != after[name]["frames"] for name in names):
        raise EgostreamError("the reports are not of the same recordings and frames. Evaluate both on the same data")
    frames = np.array([before[name]["frames"] for name in names], float)
    found: dict[str, tuple[float, ...]] = {}
    for figure in FIGURES:
        sides = [[report[name][figure] for name in names] for report in (before, after)]
        if None not in sides[0] + sides[1]:  # too short for an acceleration
            found[figure] = paired(np.array(sides[0]), np.array(sides[1]), frames)
    return found


def main(arguments: list[str] | None = None) -> None:
    """Compare two reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="report of evaluate.py --json")
    parser.add_argument("after", type=Path, help="another, of the same recordings")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args(arguments)
    before, after = read_report(options.before), read_report(options.after)
    found = compare_reports(before, after)
    if options.json:
        keys = ("before", "after", "difference", "low", "high")
        print(json.dumps({figure: dict(zip(keys, values)) for figure, values in found.items()}, indent=2))
        return
    table = Table("", "before", "after", "difference", "95% interval", title=f"{len(before)} recordings, paired")
    for figure, (one, other, difference, low, high) in found.items():
        table.add_row(FIGURES[figure], f"{one:.1f}", f"{other:.1f}", f"{difference:+.1f}", f"{low:+.1f} to {high:+.1f}")
    Console().print(table)


if __name__ == "__main__":
    run_tool(main)
