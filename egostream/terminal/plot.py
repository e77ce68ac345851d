"""The figure of ``egostream bench --plot``."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egostream.errors import EgostreamError
from egostream.terminal.bench import Samples

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Colour-blind safe (Okabe and Ito), in the order of the stages.
COLOURS = ("#999999", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#E69F00", "#000000")


def check_plot(path: Path) -> None:
    """Raise EgostreamError when the figure could not be drawn or written."""
    if importlib.util.find_spec("matplotlib") is None:
        raise EgostreamError("--plot needs matplotlib. Install it: pip install matplotlib")
    if not path.resolve().parent.is_dir() or path.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise EgostreamError(f"--plot {path}: a .png, .pdf or .svg in an existing folder is needed")


def plot_latency(path: Path, result: dict, samples: Samples) -> None:
    """Where a frame's time goes, how latency is distributed, and whether it or memory grows."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure, (left, middle, right) = pyplot.subplots(
        1, 3, figsize=(11, 3.2), layout="constrained", width_ratios=(1.1, 1, 1.2)
    )
    draw_stages(left, samples)
    draw_distribution(middle, result, samples)
    draw_growth(right, samples)
    figure.suptitle(
        f"{result['poses_per_second']:.1f} poses/s · {result['variant']} {result['temporal']} · "
        f"{result['backend']} {result['precision']} · "
        f"{result['machine']['processor']}, {result['machine']['cores']} cores · {result['pace']}",
        fontsize=10,
    )
    save_figure(figure, path)


def save_figure(figure: Figure, path: Path) -> None:
    """Write and close a figure. Raises EgostreamError when it cannot be written."""
    from matplotlib import pyplot

    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise EgostreamError(f"cannot write the figure {path}: {error}") from None
    finally:
        pyplot.close(figure)


def draw_stages(axes: Axes, samples: Samples) -> None:
    """Median and 99th percentile of each stage, in data-flow order."""
    names = list(samples.stages_ns)
    medians = [np.median(samples.stages_ns[name]) / 1e6 for name in names]
    tails = [np.percentile(samples.stages_ns[name], 99) / 1e6 for name in names]
    y = np.arange(len(names))[::-1]
    axes.barh(y, tails, color="#DDDDDD", height=0.7, label="p99")
    axes.barh(y, medians, color=[COLOURS[i % len(COLOURS)] for i in range(len(names))], height=0.7)
    for place, median, tail in zip(y, medians, tails):
        axes.text(tail + 0.01 * max(tails), place, f" {median:.2f}", va="center", fontsize=8)
    axes.set_yticks(y, names)
    axes.set_xlim(0, 1.15 * max(tails))
    axes.set_xlabel("ms per frame: median (colour, number), p99 (grey)")


def draw_distribution(axes: Axes, result: dict, samples: Samples) -> None:
    """Share of poses that were at most so old."""
    latency = np.sort(samples.latency_ns) / 1e6
    axes.plot(latency, np.arange(1, len(latency) + 1) / len(latency) * 100, color="#0072B2")
    for name in ("p50", "p99"):
        value = result["latency_ms"][name]
        axes.axvline(value, color="#D55E00", linewidth=0.8, linestyle="--")
        axes.text(value, 4, f" {name} {value:.1f} ms", rotation=90, va="bottom", fontsize=8)
    axes.set_xlabel("capture to subscriber, ms")
    axes.set_ylabel("% of poses")
    axes.set_ylim(0, 100)


def draw_growth(axes: Axes, samples: Samples) -> None:
    """Latency and memory over the run."""
    axes.plot(samples.t_s, samples.latency_ns / 1e6, ",", color="#0072B2", alpha=0.6)
    axes.set_ylim(0, np.percentile(samples.latency_ns, 99.5) / 1e6 * 1.3)
    axes.set_xlabel("seconds")
    axes.set_ylabel("latency, ms", color="#0072B2")
    memory = axes.twinx()
    memory.plot(np.linspace(0, samples.t_s[-1], len(samples.rss_mib)), samples.rss_mib, color="#D55E00", linewidth=1)
    memory.set_ylim(0, samples.rss_mib.max() * 1.3)
    memory.set_ylabel("memory, MiB", color="#D55E00")
    memory.spines["right"].set_visible(True)
