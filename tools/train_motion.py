#!/usr/bin/env python3
"""Train motion from the body: the network of ``backbone: none``, on simulated people without pictures.

    python tools/train_motion.py --out runs/motion                                        # invented movement
    python tools/train_motion.py --out runs/motion --motion clips/ mocap/ --body mpfb2 --max-minutes 60
    python tools/train_motion.py --out runs/motion --motion clips/ --recordings data/people --data data/mine

A causal transformer learns where joints are, and how sure that is, from the keypoints of the last two seconds.
Bodies of all sizes move as captured or invented, a camera on their heads sees their joints, and keypoints err as
tools/fit_noise.py measured it. --recordings are rendered people to learn from beside them: a hidden leg's error hangs
on the pose, and no model of errors knows how. --data are rendered recordings to validate on. Both go through the
heatmaps of --weights.
Killed or stopped by Ctrl-C, the same command goes on from its last checkpoint. The run folder then holds
motion.safetensors (best validation), and weights/, which egostream runs: the heatmaps of --weights and this motion.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

try:
    import lightning  # noqa: F401
    import torch  # noqa: F401
except ImportError:
    sys.exit("train_motion: PyTorch and Lightning are needed. Install them: pip install -e '.[train]'")

from rich.console import Console

from egostream.config import RunConfig
from egostream.graph.default_weights import resolve_weights
from tools.entry import run_tool
from tools.training.best_tensors import load_strictly
from tools.training.motion.begin import motion_to_begin_with
from tools.training.motion.noise import load_noise
from tools.training.motion.options import MotionOptions, parse_options
from tools.training.motion.recorded import RecordedNoise
from tools.training.motion.simulate import Simulator
from tools.training.motion.supply import load_bank
from tools.training.motion.training import MOTION_FILE, MotionTraining, People, held_batches
from tools.training.motion.validate import Looking, recorded_people, rendered_batches
from tools.training.motion.write import write_motion_weights
from tools.training.options import UNLIMITED_STEPS
from tools.training.run import fit, prepare


def people_of(options: MotionOptions, looking: Looking) -> People:
    """Simulated people, and recorded ones where there are recordings."""
    model = load_noise(options.noise)
    simulator = Simulator(*load_bank(options.supply, options.out, looking.console), options.rig)
    if not options.recordings:
        return People(simulator, model)
    recorded = recorded_people(options.recordings, options.frames, looking)
    return People(simulator, RecordedNoise(model, recorded), recorded)


def main(arguments: list[str] | None = None) -> None:
    """Train, or go on with the run in --out."""
    options, console = parse_options(arguments, __doc__), Console(stderr=True, highlight=False)
    prepare(options)
    looking = Looking(options.weights, options.out, options.restart, console)
    people = people_of(options, looking)
    held = rendered_batches(options.data, options.split, looking) if options.data else held_batches(people, options)
    module = MotionTraining(options, people, held)
    if options.init:
        load_strictly(module.network, motion_to_begin_with(options.init), options.init)
    module.average.restart(module.network)
    steps = "" if module.steps == UNLIMITED_STEPS else f" or {module.steps} steps"
    console.print(f"training ends after {options.max_minutes:g} minutes{steps}")
    fit(module, options, module.steps, options.max_minutes, options.out)
    if module.global_rank == 0:
        base = resolve_weights(RunConfig(weights=options.weights))
        saved = write_motion_weights(
            options.out / "weights", options.out / MOTION_FILE, base, options.description, held
        )
        print(f"wrote {saved.folder}, weights {saved.id[:12]}. Try: egostream run --weights {saved.folder}")


if __name__ == "__main__":
    run_tool(main)
