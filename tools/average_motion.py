#!/usr/bin/env python3
"""Average motion from the body over several runs: often better than each of them, and no slower.

    python tools/average_motion.py runs/a/motion.safetensors=0.4 runs/b/motion.safetensors=0.4 engines/default=0.2 \\
        --out runs/average --data data/held --split train

Runs have to have begun from the same weights, or their networks have nothing in common (model soups: Wortsman et al.,
ICML 2022). What is averaged are motion.safetensors of tools/train_motion.py, and weights folders without a backbone.
The error of each, and of their mean, is printed for --data; choose shares by it, never by what you will report on.
--out then holds motion.safetensors and weights/, as a run of tools/train_motion.py does. Sigma is scaled by --data.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

try:
    import torch
except ImportError:
    sys.exit("average_motion: PyTorch is needed. Install it: pip install -e '.[train]'")

from rich.console import Console

from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.graph.default_weights import resolve_weights
from tools.entry import run_tool
from tools.training.best_tensors import load_strictly, save_best
from tools.training.motion.begin import motion_to_begin_with, shape_of
from tools.training.motion.training import MOTION_FILE, Batch, BodyMotion, inputs_of
from tools.training.motion.validate import Looking, rendered_batches
from tools.training.motion.write import write_motion_weights


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command's options; ``runs`` as pairs of a path and a share."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN=SHARE", help="what to average; shares add up to 1")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--data", nargs="+", required=True, metavar="SPEC", help="rendered recordings to judge by")
    parser.add_argument("--split", choices=("train", "val", "test"), default="val", help="of --data (val)")
    parser.add_argument("--weights", default="", help="weights folder whose heatmaps they follow (the shipped one)")
    parser.add_argument("--description", default="motion from the body", help="what weights.json says of itself")
    options = parser.parse_args(arguments)
    options.runs = [share_of(text) for text in options.runs]
    if abs(sum(share for _, share in options.runs) - 1) > 1e-6:
        raise EgostreamError(f"shares add up to {sum(share for _, share in options.runs):g}: they have to make 1")
    return options


def share_of(text: str) -> tuple[Path, float]:
    """A run and its share out of RUN=SHARE. Raises EgostreamError."""
    path, _, share = text.rpartition("=")
    try:
        return Path(path), float(share)
    except ValueError:
        raise EgostreamError(f"{text}: name a run and its share, as runs/motion/motion.safetensors=0.5") from None


def mpjpe_mm(network: BodyMotion, held: list[Batch]) -> float:
    """Mean distance of all joints of held batches, as the network gives them, nothing told."""
    with torch.inference_mode():
        far = [(network(*inputs_of(batch))[0] - batch["joints"]).norm(dim=-1)[batch["valid"]] for batch in held]
    return torch.cat(far).mean().item() * 1000


def main(arguments: list[str] | None = None) -> None:
    """Average, judge, and write what comes of it."""
    options = parse(arguments)
    found = {path: motion_to_begin_with(path) for path, _ in options.runs}
    shape = shape_of(found[options.runs[0][0]])
    network = BodyMotion(**shape).eval()
    looking = Looking(options.weights, options.out, restart=False, console=Console(stderr=True, highlight=False))
    held = rendered_batches(options.data, options.split, looking)
    for path, share in options.runs:
        load_strictly(network, found[path], path)
        print(f"{share:5.2f}  {mpjpe_mm(network, held):6.2f} mm  {path}")
    mean = {key: sum(share * found[path][key] for path, share in options.runs) for key in network.state_dict()}
    load_strictly(network, mean, options.out)
    error = mpjpe_mm(network, held)
    options.out.mkdir(parents=True, exist_ok=True)
    save_best(options.out / MOTION_FILE, mean, shape | {"step": 0, "mpjpe": error})
    base = resolve_weights(RunConfig(weights=options.weights))
    saved = write_motion_weights(options.out / "weights", options.out / MOTION_FILE, base, options.description, held)
    print(f"       {error:6.2f} mm  their mean\nwrote {saved.folder}, weights {saved.id[:12]}")


if __name__ == "__main__":
    run_tool(main)
