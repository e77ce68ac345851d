#!/usr/bin/env python3
"""How far poses are from the truth, on any annotated recordings, through the streaming pipeline.

    python tools/evaluate.py --data sample
    python tools/evaluate.py --data my_synthetic --weights my_weights --plot joints.png
    python tools/evaluate.py --data sceneego:test_sceneego.txt --weights my_weights --json > report.json
    python tools/evaluate.py --data my_synthetic --ablation --ablation-runs runs -- --max-minutes 60 -- \\
        --cache features --backbone runs/backbone

--data: a folder made by tools/make_synthetic.py, egopw:LIST.txt, sceneego:LIST.txt (a list file of the dataset), or
sample. MPJPE is absolute, in the camera's frame; PA-MPJPE after rotating, moving and scaling each pose onto the truth.
With --ablation, arguments after a -- go to both training tools, those after a second -- to train_pose.py alone, and
joints are not turned to their keypoints' rays (a variant without heatmaps has none).
The paper (arXiv 2603.25175, trained on the same datasets): EgoPW PA-MPJPE 76.7 mm; SceneEgo 104.0 / 76.2 mm.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console

from egostream.config import FILTERS, MOTIONS, RunConfig
from egostream.engine.backends import PROCESSOR_BACKENDS
from egostream.errors import EgostreamError
from egostream.graph.default_weights import resolve_weights
from egostream.graph.weights import Weights
from egostream.infer.refine import make_refiner
from egostream.terminal.plot import check_plot
from tools.data.datasets import has_splits, read_data
from tools.data.inputs import InputReader
from tools.data.sequence import Sequence
from tools.entry import run_tool
from tools.evaluation.ablation import ablate, print_ablation
from tools.evaluation.figure import plot_joints
from tools.evaluation.predict import EnginePredictor, Predictor, TorchPredictor
from tools.evaluation.report import evaluate, print_report, without_nan
from tools.evaluation.truth_told import HEADSET_PARTS

SEPARATOR = "--"
#: Options that change a figure: an evaluation of other ones is not taken for an earlier one.
SETTINGS = ("split", "torch", "backend", "precision", "motion", "filter", "known_stature", "told", "fps", "limit")


@dataclass(frozen=True)
class EvaluationOptions:
    """What the command is told."""

    data: str  # a folder, list or "sample", see --help
    split: str  # "train", "val" or "test"
    weights: Path | None  # weights folder; None: what egostream run would take
    engine: bool  # as a user gets it: also without this flag, unless ``torch``
    torch: bool  # plain PyTorch in fp32
    backend: str  # a key of BACKENDS, or "auto"
    precision: str  # of the engine, or "auto"
    motion: str  # one of MOTIONS
    filter: str  # one of FILTERS: smoothing of the engine's joints
    no_rays: bool  # leave joints as the network gives them
    known_stature: bool  # tell the network each wearer's stature, or scale poses to it
    told: list[str]  # what the network is told of each camera, of HEADSET_PARTS
    fps: float  # rate of the recordings; 0: what the data says
    limit: int  # frames of each recording; 0: all
    json: bool  # print everything as JSON, not as tables
    plot: Path | None  # file of the per-joint figure; None: none
    ablation: bool  # train and compare the paper's variants
    ablation_runs: Path  # where these are kept


def parse_arguments(arguments: list[str]) -> tuple[EvaluationOptions, list[list[str]]]:
    """The options, and the groups of training arguments that follow each ``--``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="SPEC", help="what to evaluate on: see above")
    parser.add_argument("--split", default="test", choices=("train", "val", "test"), help="which part of it (test)")
    parser.add_argument("--weights", type=Path, help="weights folder (default: what egostream run would take)")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--engine", action="store_true", help="through the streaming estimator and a compiled engine (the default)"
    )
    how.add_argument(
        "--torch", action="store_true", help="plain PyTorch in fp32 over every frame's window, for reference"
    )
    add_engine_options(parser)
    parser.add_argument("--fps", type=float, default=0.0, help="rate of the recordings (default: what the data says)")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="only the first N frames of each recording")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write the per-joint figure to this PNG, PDF or SVG")
    parser.add_argument(
        "--ablation",
        action="store_true",
        help="train and compare the paper's variants on --data; resumes where it stopped",
    )
    parser.add_argument(
        "--ablation-runs",
        type=Path,
        default=Path("ablation"),
        metavar="FOLDER",
        help="where the variants are kept (ablation)",
    )
    own, groups = split_at(arguments, SEPARATOR)
    return EvaluationOptions(**vars(parser.parse_args(own))), groups


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """How the engine is chosen, and what is done to its joints."""
    parser.add_argument(
        "--backend", choices=("auto", *PROCESSOR_BACKENDS), default="auto", help="backend of the engine"
    )
    parser.add_argument(
        "--precision",
        default="auto",
        help="precision of the engine: auto (as egostream run chooses), int8, bf16, fp32, ...",
    )
    parser.add_argument(
        "--motion",
        choices=MOTIONS,
        default="auto",
        help="on every frame, or once per trained step (what egostream run does)",
    )
    parser.add_argument(
        "--filter", choices=FILTERS, default="auto", help="smoothing of the engine's joints (what egostream run does)"
    )
    parser.add_argument(
        "--no-rays",
        action="store_true",
        help="leave joints as the network gives them, not turned to their keypoints' rays",
    )
    parser.add_argument(
        "--known-stature",
        action="store_true",
        help="as egostream run --stature: scale poses to each wearer, or tell the network (synthetic data)",
    )
    parser.add_argument(
        "--told", nargs="+", default=[], choices=HEADSET_PARTS,
        help="what a headset tells of the camera, for networks without a backbone (synthetic data): "
        "gravity alone, as an IMU; gravity motion height, as a headset",
    )  # fmt: skip


def split_at(arguments: list[str], separator: str) -> tuple[list[str], list[list[str]]]:
    """What precedes the first separator, and the groups that follow each one."""
    groups: list[list[str]] = [[]]
    for argument in arguments:
        groups.append([]) if argument == separator else groups[-1].append(argument)
    return groups[0], groups[1:]


def check(options: EvaluationOptions, groups: list[list[str]]) -> None:
    """Raise EgostreamError for what no evaluation could use, before anything long starts."""
    check_ablation(options, groups)
    if options.torch and options.motion == "trained-step":
        raise EgostreamError("--torch computes every frame's motion: leave --motion out")
    if options.torch and options.known_stature:
        raise EgostreamError("--torch gives joints as the network does: leave --known-stature out")
    if options.torch and options.told:
        raise EgostreamError("--torch is of networks that are told nothing: leave --told out")
    if options.limit < 0:
        raise EgostreamError(f"--limit {options.limit}: it must be 0 (off) or positive")
    if options.fps and not 0.5 <= options.fps <= 1000:
        raise EgostreamError(f"--fps {options.fps:g}: 0.5 to 1000 frames per second")
    if options.plot:
        check_plot(options.plot)


def check_ablation(options: EvaluationOptions, groups: list[list[str]]) -> None:
    """Raise EgostreamError for groups of training arguments, or options, that an ablation cannot use or alone could."""
    if groups and not options.ablation:
        raise EgostreamError(
            "arguments after -- are for training the variants of --ablation: add --ablation, or leave them out"
        )
    if len(groups) > 2:
        raise EgostreamError(
            f"{len(groups)} groups of training arguments; at most two: -- for both tools, -- for train_pose.py"
        )
    if options.ablation and options.weights:
        raise EgostreamError("--ablation trains its own weights: leave --weights out")
    if options.ablation and options.plot:
        raise EgostreamError("--plot shows one set of weights: leave it out with --ablation, or give --weights instead")
    own_data = any(argument.startswith("--data") for argument in groups[0]) if groups else False
    if options.ablation and not has_splits(options.data) and not own_data:
        raise EgostreamError(
            f"--ablation would train on {options.data}, which it reports on: add -- --data TRAIN --val VAL"
        )


def read_recordings(options: EvaluationOptions) -> list[Sequence]:
    """The recordings to evaluate. Raises EgostreamError when there is none, or one lacks the stature asked for."""
    sequences = read_data(options.data, options.split)
    if not sequences:
        raise EgostreamError(f"--data {options.data} has no recordings of split {options.split}. Try another --split")
    if options.known_stature and (unknown := next((one.name for one in sequences if not one.stature_m), None)):
        raise EgostreamError(
            f"--known-stature: {options.data} does not say how tall the wearer of {unknown} is. Leave it out"
        )
    if options.told and (unknown := next((one.name for one in sequences if one.world_to_camera is None), None)):
        raise EgostreamError(f"--told: {options.data} does not say where the camera of {unknown} was. Leave it out")
    return sequences


def make_predictor(options: EvaluationOptions, weights: Weights, console: Console) -> Predictor:
    """What makes the poses: PyTorch, or the engine as a run has it."""
    if options.torch:
        return TorchPredictor(weights)
    has_rays = not (options.no_rays or options.ablation)
    return EnginePredictor(
        weights,
        options.backend,
        options.precision,
        lambda line: console.print(line, markup=False),
        make_refiner(RunConfig(filter=options.filter, rays=has_rays), weights),
        options.known_stature,
        # some variants know no other motion
        "every-frame" if options.ablation and options.motion == "auto" else options.motion,
        options.told,
    )


def main() -> None:
    """Evaluate one set of weights, or train and evaluate the paper's variants, and print what comes out."""
    options, groups = parse_arguments(sys.argv[1:])
    check(options, groups)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    stdout = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    weights = None if options.ablation else resolve_weights(RunConfig(weights=str(options.weights or "")))
    sequences = read_recordings(options)

    def run(weights: Weights) -> dict:
        """The report of one set of weights."""
        predictor, reader = make_predictor(options, weights, console), InputReader(weights.input)
        report = evaluate(weights, predictor, sequences, reader, options.fps, options.limit, console)
        return without_nan({"data": options.data, "split": options.split} | report)

    if weights is None:
        settings = {name: getattr(options, name) for name in SETTINGS}
        common, pose_only = (groups + [[], []])[:2]
        table = ablate(options.data, options.ablation_runs, common, pose_only, settings, run, console)
        print(json.dumps(table, indent=2)) if options.json else print_ablation(table, stdout)
        return
    report = run(weights)
    print(json.dumps(report, indent=2)) if options.json else print_report(report, stdout)
    if options.plot:
        plot_joints(options.plot, report)


if __name__ == "__main__":
    run_tool(main)
