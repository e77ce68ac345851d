"""The per-joint error figure, as the paper's Fig. 4."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from egostream.terminal.plot import COLOURS, save_figure

ERROR, ALIGNED = COLOURS[4], COLOURS[1]


def plot_joints(path: Path, report: dict) -> None:
    """Draw MPJPE and PA-MPJPE of every joint as bars, and their means as lines, into the file ``path``.

    report: what ``evaluate`` returns. Raises EgostreamError when the file cannot be written.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    overall, weights, run, count = report["overall"], report["weights"], report["run"], report["counts"]
    names = list(overall["per_joint"])
    x = np.arange(len(names))
    style: Any = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    with pyplot.rc_context(style):
        figure, axes = pyplot.subplots(figsize=(9, 3.6), layout="constrained")
        for key, label, colour, shift in (
            ("mpjpe_mm", "MPJPE", ERROR, -0.2),
            ("pa_mpjpe_mm", "PA-MPJPE", ALIGNED, 0.2),
        ):
            values = [overall["per_joint"][name][key] for name in names]
            bars = axes.bar(x + shift, values, 0.4, color=colour, label=f"{label} {overall[key]:.1f} mm")
            axes.bar_label(bars, fmt="%.0f", fontsize=7)
            axes.axhline(overall[key], color=colour, linewidth=0.8, linestyle="--")
        axes.set_xticks(x, [name.replace("_", "\n") for name in names], fontsize=8)
        axes.set_ylabel("mm")
        axes.legend(frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))
        about = f"{count['frames']} frames of {count['sequences']} recordings · {run['backend']} {run['precision']}"
        figure.suptitle(f"{about} · weights {weights['id'][:12]}", fontsize=10)
        save_figure(figure, path)
