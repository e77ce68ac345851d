"""Evaluating all recordings, and the result as tables and as JSON."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from egostream import __version__
from egostream.errors import EgostreamError
from egostream.graph.weights import Weights
from tools.data.inputs import InputReader
from tools.data.sequence import Sequence
from tools.evaluation.compare import Comparison, compare, score
from tools.evaluation.metrics import PCK_SHARES
from tools.evaluation.predict import Frames, Predictor
from tools.paced import Paced


def evaluate(
    weights: Weights,
    predictor: Predictor,
    sequences: list[Sequence],
    reader: InputReader,
    fps: float = 0.0,
    limit: int = 0,
    console: Console | None = None,
) -> dict:
    """The report of some recordings: what was run, figures overall and per recording, and what was left out and why.

    fps: the recordings' rate, 0: their own. limit: frames of each, 0: all. console: where progress is shown.
    Raises EgostreamError when not one frame could be evaluated, or the frames were made for another input.
    """
    check_geometry(weights, sequences)
    compared, unusable = compare_all(
        predictor, sequences, reader, fps, limit, console or Console(stderr=True, quiet=True)
    )
    if not compared:
        first = f"; {unusable[0]['name']}: {unusable[0]['reason']}" if unusable else ""
        raise EgostreamError(f"none of {len(sequences)} recordings has a frame to evaluate{first}. Look at --data")
    return {
        "weights": about_weights(weights),
        "run": predictor.about | {"egostream": __version__, "fps": fps or "of the data", "limit": limit},
        "counts": counts(compared, unusable),
        "overall": score(compared),
        "sequences": [about_recording(one) | score([one]) for one in compared],
        "unusable": unusable,
    }


def about_weights(weights: Weights) -> dict:
    """Which weights a report is of."""
    return {
        "id": weights.id,
        "folder": str(weights.folder),
        "trained": weights.trained,
        "description": weights.description,
        "network": weights.network,
        "step_ms": weights.step_ms,
    }


def about_recording(one: Comparison) -> dict:
    """A recording's name, and how many of its frames are not in its figures, by reason."""
    return {"name": one.name, "left_out": dict(one.left_out), "skipped": dict(one.skipped)}


def compare_all(
    predictor: Predictor, sequences: list[Sequence], reader: InputReader, fps: float, limit: int, console: Console
) -> tuple[list[Comparison], list[dict]]:
    """Every recording's errors, and what is known of those that have no frame to evaluate."""
    compared: list[Comparison] = []
    unusable: list[dict] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        total, paced, done = sum(min(len(s), limit or len(s)) for s in sequences), Paced(), 0
        task = progress.add_task("estimating", total=total)

        def tick() -> None:
            nonlocal done
            done += 1
            progress.advance(task)
            paced.count("frames estimated", done, total)

        for sequence in sequences:
            progress.update(task, description=sequence.name)
            rate = fps or sequence.fps
            prediction = predictor.predict(Frames(sequence, reader, rate, limit, tick))
            if prediction.problem:
                console.print(f"{sequence.name}: skipped images: {prediction.problem}", markup=False)
            if not prediction.rows:
                skipped = dict(sequence.left_out + prediction.skipped)
                reason = prediction.problem or "it has no usable frame"
                unusable.append({"name": sequence.name, "skipped": skipped, "reason": reason})
                continue
            compared.append(compare(sequence, reader.keypoints(sequence), prediction, rate, predictor.view.mapping))
    return compared, unusable


def check_geometry(weights: Weights, sequences: list[Sequence]) -> None:
    """Raise EgostreamError for frames that already are a network's input, of another network than these weights'."""
    for sequence in sequences:
        if sequence.camera is None and sequence.geometry != weights.input:
            wanted, found = (f"{g.calibration} {g.mapping}" for g in (weights.input, sequence.geometry))
            raise EgostreamError(
                f"{sequence.name} holds {found} frames, these weights see {wanted}. "
                "Make the data again for them, or with full frames"
            )


def counts(compared: list[Comparison], unusable: list[dict]) -> dict:
    """How many recordings and frames the figures rest on, and how many they lack, by reason."""
    left_out = sum((c.left_out + c.skipped for c in compared), Counter())
    left_out += sum((Counter(entry["skipped"]) for entry in unusable), Counter())
    return {
        "sequences": len(compared),
        "unusable_sequences": len(unusable),
        "frames": sum(len(c.errors) for c in compared),
        "left_out": dict(sorted(left_out.items())),
    }


def without_nan(value: Any) -> Any:
    """A report for JSON, which knows no NaN: None instead, everywhere inside."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def shown(value: float | None, digits: int = 1, scale: float = 1.0, unit: str = "") -> str:
    """A figure in a table; a dash where there is none."""
    return "-" if value is None or not math.isfinite(value) else f"{value * scale:.{digits}f}{unit}"


def figure_table(first: str, *others: str, title: str | None = None) -> Table:
    """A table of figures that fits 80 columns."""
    table = Table(first, box=SIMPLE, padding=(0, 1, 0, 0), title=title, title_justify="left")
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def figures(result: dict) -> list[str]:
    """One row of the table: a recording's or the pooled score."""
    return [
        str(result["frames"]),
        shown(result["mpjpe_mm"]),
        shown(result["pa_mpjpe_mm"]),
        shown(result["visible"]["mpjpe_mm"]),
        shown(result["hidden"]["mpjpe_mm"]),
        *(shown(result["pck"][f"{share:.2f}"], 1, 100) for share in PCK_SHARES),
        shown(result["acceleration_error_m_s2"], 2),
    ]


def print_report(report: dict, console: Console) -> None:
    """Print the paper's table for these recordings, the joints, and what was left out."""
    weights, run, overall = report["weights"], report["run"], report["overall"]
    network = weights["network"]
    console.print(
        f"weights {weights['id'][:12]} ({network['variant']} {network['temporal']} T={network['window']}), "
        f"{run['form']}: {run['backend']} {run['precision']}",
        markup=False,
    )
    console.print(recordings_table(report))
    console.print(
        "mm, % of visible keypoints (in view where the data does not say), acceleration error in m/s²; jitter ", end=""
    )
    console.print(f"{shown(overall['jitter_m_s3'], 0)} m/s³, of the truth {shown(overall['true_jitter_m_s3'], 0)}")
    console.print(joints_table(overall))
    print_counts(report, console)


def pck_columns() -> list[str]:
    """Headings of the PCK columns."""
    return [f"PCK@{share:.0%}" for share in PCK_SHARES]


def recordings_table(report: dict) -> Table:
    """The figures of every recording, and of all frames."""
    table = figure_table("sequence", "frames", "MPJPE", "PA-MPJPE", "visible", "hidden", *pck_columns(), "accel")
    for entry in report["sequences"]:
        table.add_row(entry["name"], *figures(entry))
    for entry in report["unusable"]:
        table.add_row(entry["name"], "0", *("-" for _ in range(len(table.columns) - 2)), style="yellow")
    table.add_section()
    table.add_row("all frames", *figures(report["overall"]), style="bold")
    return table


def joints_table(overall: dict) -> Table:
    """The figures of every joint."""
    table = figure_table("joint", "MPJPE", "PA-MPJPE", *pck_columns())
    for name, errors in overall["per_joint"].items():
        near = (shown(share, 1, 100) for share in overall["per_joint_pck"][name].values())
        table.add_row(name, shown(errors["mpjpe_mm"]), shown(errors["pa_mpjpe_mm"]), *near)
    return table


def print_counts(report: dict, console: Console) -> None:
    """Print how many frames the figures rest on, and what was left out and why."""
    count = report["counts"]
    reasons = ", ".join(f"{n} {why}" for why, n in count["left_out"].items())
    console.print(
        f"{count['frames']} frames of {count['sequences']} recordings" + (f"; left out: {reasons}" if reasons else ""),
        markup=False,
    )
    for entry in report["unusable"]:
        console.print(f"{entry['name']} was not evaluated: {entry['reason']}", style="yellow", markup=False)
    if not report["weights"]["trained"]:
        console.print("WARNING: these weights are untrained; the figures mean nothing", style="bold yellow")
