#!/usr/bin/env python3
"""Train the heatmap network.

    python tools/train_heatmap.py --data data/synthetic --out runs/heatmap
    python tools/train_heatmap.py --data data/synthetic --out runs/heatmap-128 --size 128 --batch 16 --max-minutes 60
    python tools/train_heatmap.py --data data/synthetic --out runs/heatmap --init runs/heatmap-128 --max-minutes 60
    torchrun --nproc-per-node 4 tools/train_heatmap.py --data data/synthetic --out runs/heatmap

Killed or stopped by Ctrl-C, the same command goes on from its last checkpoint. Losses, epochs,
batch and schedule are the paper's; AdamW, the moving average of weights and the augmentation are ours. On a CPU,
train at --size 128 first: a frame costs a quarter, and the network carries over. The run folder then holds
heatmap.safetensors (best validation loss) for tools/train_pose.py, overlay.png, and curves: tensorboard --logdir runs
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

try:
    import lightning  # noqa: F401
    import torch  # noqa: F401
except ImportError:
    sys.exit("train_heatmap: PyTorch and Lightning are needed. Install them: pip install -e '.[train]'")

from tools.entry import run_tool
from tools.training.best_tensors import HEATMAP_FILE
from tools.training.frames import load_frame_set
from tools.training.heatmap import HeatmapTraining, load_heatmap
from tools.training.imagenet import load_imagenet
from tools.training.losses import HEATMAP_LOSSES
from tools.training.options import HeatmapOptions, add_run_options, check_options
from tools.training.run import count_steps, fit, prepare


def parse(arguments: list[str] | None) -> HeatmapOptions:
    """The command's options. Raises EgostreamError for values that could only fail later."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--size",
        type=int,
        choices=(128, 192, 256),
        default=256,
        help="input side in pixels; heatmaps are a quarter (256)",
    )
    parser.add_argument("--loss", choices=tuple(HEATMAP_LOSSES), default="bce", help="mse: the paper's ablation")
    parser.add_argument("--init", type=Path, help="start from this run folder, heatmap.safetensors or weights folder")
    parser.add_argument(
        "--encoder",
        default="scratch",
        help="what the ResNet-18 starts from without --init: imagenet (downloads torchvision's), scratch, or its state "
        "dict's path (scratch)",
    )
    add_run_options(parser, epochs=20, batch=8, lr=1e-3)
    options = HeatmapOptions(**vars(parser.parse_args(arguments)))
    check_options(options)
    return options


def main(arguments: list[str] | None = None) -> None:
    """Train the heatmap network, or go on with the run in --out."""
    options = parse(arguments)
    prepare(options)
    train, val = load_frame_set(options.data, "train"), load_frame_set(options.val or options.data, "val")
    steps = count_steps(options, len(train))
    module = HeatmapTraining(options, steps, train, val, options.out)
    if options.init:
        facts = load_heatmap(module.network, options.init)
        print(f"starting from {options.init} {facts or ''}", file=sys.stderr)
    elif options.encoder != "scratch":
        load_imagenet(module.network.encoder, "resnet18", options.encoder)
    module.average.restart(module.network)
    fit(module, options, steps, options.max_minutes, options.out)
    if module.global_rank == 0:
        print(f"wrote {options.out / HEATMAP_FILE}. Next: python tools/train_pose.py --heatmap {options.out} --help")


if __name__ == "__main__":
    run_tool(main)
