"""The paper's Tables 4 to 7 on any data: its network variants, each trained by the training tools and evaluated alike.

A folder of runs holds one run of the training tools per heatmap loss and per variant, and beside each, as
``NAME.json``, the arguments that made it, written when it was finished. What is finished is not made again; what was
interrupted goes on as the training tools resume.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from egostream.errors import EgostreamError
from egostream.files import write_whole
from egostream.graph.weights import Weights, load_weights
from tools.evaluation.report import figure_table, shown

TOOLS = Path(__file__).resolve().parents[1]
WINDOW = 64  # the paper's T
STOP_S = 60.0  # for a training that we stop to write its last checkpoint
#: What each tool leaves in its run folder when it has come to its end.
PRODUCTS = {"train_heatmap.py": Path("heatmap.safetensors"), "train_pose.py": Path("weights", "weights.json")}


@dataclass(frozen=True)
class Variant:
    """One row of the tables."""

    label: str
    loss: str = "bce"  # of its heatmaps
    window: int = WINDOW
    flags: tuple[str, ...] = ()  # of train_pose.py
    paper_mm: tuple[float, float] | None = None  # SceneEgo MPJPE and PA-MPJPE, as published


VARIANTS = {
    "full": Variant("full model", paper_mm=(104.0, 76.2)),
    "spatial": Variant("spatial only", flags=("--no-motion",), paper_mm=(113.2, 80.8)),
    "motion": Variant("motion only", flags=("--no-tokens",), paper_mm=(108.1, 79.6)),
    "no-cross-attention": Variant("no cross-attention", flags=("--no-cross-attention",), paper_mm=(114.3, 81.6)),
    "mse": Variant("heatmaps trained with MSE", loss="mse", paper_mm=(108.2, 80.3)),
    "window-32": Variant("T = 32", window=32),
    "window-128": Variant("T = 128", window=128),
}
#: Title -> the variants compared, the full model under the name it has there.
TABLES = {
    "branches and cross-attention": {"spatial": "", "motion": "", "no-cross-attention": "", "full": ""},
    "heatmap loss": {"mse": "MSE", "full": "BCE"},
    "window": {"window-32": "", "full": f"T = {WINDOW}", "window-128": ""},
}


def ablate(
    data: str,
    runs: Path,
    common: list[str],
    pose_only: list[str],
    settings: dict,
    evaluate: Callable[[Weights], dict],
    console: Console,
) -> dict:
    """Train what is not yet trained, evaluate what is not yet evaluated, and return the figures of every variant.

    common: arguments for both training tools; pose_only: for train_pose.py alone. settings: of the evaluation, to know
    an earlier one again. evaluate: the report of a weights folder. Raises EgostreamError when a training fails, or when
    ``runs`` holds a variant made by other arguments.
    """
    make_folder(runs)
    for loss in sorted({variant.loss for variant in VARIANTS.values()}):
        train(runs, f"heatmap-{loss}", ["train_heatmap.py", "--data", data, *common, "--loss", loss], console)
    rows = {}
    for name, variant in VARIANTS.items():
        # What differs comes last, so that no argument of the user's can make two variants alike.
        own = ["--heatmap", str(runs / f"heatmap-{variant.loss}"), "--window", str(variant.window), *variant.flags]
        train(runs, name, ["train_pose.py", "--data", data, *common, *pose_only, *own], console)
        report = evaluated(runs, name, load_weights(runs / name / "weights"), {"data": data, **settings}, evaluate)
        rows[name] = {"label": variant.label, "paper_mm": variant.paper_mm, "weights": report["weights"]["id"]}
        rows[name] |= {key: report[key] for key in ("run", "counts", "overall")}
        console.print(f"{variant.label}: MPJPE {shown(report['overall']['mpjpe_mm'])} mm", markup=False)
    return {
        "data": data,
        "split": settings["split"],
        "runs": str(runs),
        "training": [common, pose_only],
        "variants": rows,
    }


def make_folder(runs: Path) -> None:
    """Make the folder of all runs. Raises EgostreamError when it cannot be made."""
    try:
        runs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EgostreamError(
            f"--ablation-runs {runs} cannot be made: {error.strerror}. Choose another folder"
        ) from None


def train(runs: Path, name: str, arguments: list[str], console: Console) -> None:
    """Run a training tool into ``runs/name`` unless it has finished there before with the same arguments.

    Raises EgostreamError when it fails, stops early, or has run there with other arguments.
    """
    arguments = [*arguments, "--out", str(runs / name)]
    record, product = runs / f"{name}.json", runs / name / PRODUCTS[arguments[0]]
    earlier = read_record(record)
    if earlier and earlier.get("arguments") != arguments:
        raise EgostreamError(
            f"{runs / name} was trained by other arguments (see {record}). Give them again, or another --ablation-runs"
        )
    if earlier.get("seconds") is not None and product.is_file():
        console.print(f"{name}: trained before", markup=False)
        return
    write_record(record, {"arguments": arguments, "seconds": None})  # begun
    console.print(f"{name}: python tools/{' '.join(arguments)}", markup=False)
    start = time.time()
    if status := run_training(arguments):
        raise EgostreamError(
            f"training {name} failed with status {status}, see above. The same command goes on from there"
        )
    if not product.is_file():
        raise EgostreamError(
            f"training {name} stopped before its end: there is no {product}. The same command goes on from there"
        )
    write_record(record, {"arguments": arguments, "seconds": round(time.time() - start)})


def run_training(arguments: list[str]) -> int:
    """Run a training tool to its end; return its exit status. Stopped with us, it writes its last checkpoint.

    Its output goes to stderr: standard output is kept for the table.
    """
    process = subprocess.Popen(
        [sys.executable, str(TOOLS / arguments[0]), *arguments[1:]], stdin=subprocess.DEVNULL, stdout=sys.stderr
    )
    try:
        return process.wait()
    except BaseException:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
        raise


def evaluated(runs: Path, name: str, weights: Weights, settings: dict, evaluate: Callable[[Weights], dict]) -> dict:
    """The report of a variant: the one kept beside it when it is of these weights and settings, else a new one."""
    record, key = runs / f"{name}.evaluation.json", {"weights": weights.id, **settings}
    earlier = read_record(record)
    if earlier.get("key") == key:
        return earlier["report"]
    report = evaluate(weights)
    write_record(record, {"key": key, "report": report})
    return report


def read_record(path: Path) -> dict:
    """A record that ``write_record`` wrote; empty when there is none, or none that was written whole."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def write_record(path: Path, record: dict) -> None:
    """Write a record whole or not at all. Raises EgostreamError when the disk is full."""
    text = json.dumps(record, indent=2) + "\n"
    write_whole(path, text.encode(), "Free some space; finished variants are kept")


def print_ablation(result: dict, console: Console) -> None:
    """The paper's tables, with its own figures for SceneEgo beside ours."""
    full = result["variants"]["full"]["overall"]
    for title, names in TABLES.items():
        table = figure_table("mm", "MPJPE", "PA-MPJPE", "to full", "visible", "hidden", "paper, SceneEgo", title=title)
        for name, label in names.items():
            row = result["variants"][name]
            overall, paper = row["overall"], row["paper_mm"]
            table.add_row(
                label or row["label"],
                shown(overall["mpjpe_mm"]),
                shown(overall["pa_mpjpe_mm"]),
                f"{overall['mpjpe_mm'] - full['mpjpe_mm']:+.1f}",
                shown(overall["visible"]["mpjpe_mm"]),
                shown(overall["hidden"]["mpjpe_mm"]),
                f"{paper[0]} / {paper[1]}" if paper else "-",
            )
        console.print(table)
    count, run = result["variants"]["full"]["counts"], result["variants"]["full"]["run"]
    console.print(
        f"{count['frames']} frames of {count['sequences']} recordings each, "
        f"{run['form']}: {run['backend']} {run['precision']}"
    )
