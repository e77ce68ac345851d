"""A tiny training of motion from the body (tools/train_motion.py), and the weights that come of it."""

from __future__ import annotations

from pathlib import Path

import pytest

TINY = ["--movements", "3", "--people", "2", "--batch", "4", "--frames", "6", "--window", "5", "--channels", "16"]
TINY += ["--depth", "2", "--threads", "1", "--accelerator", "cpu", "--val-every", "100", "--ema", "0"]


def train_tiny(folder: Path) -> Path:
    """A run that was stopped after two steps and went on to the fourth, in a new folder. Its weights are beneath."""
    from egostream.config import RunConfig
    from tools import train_motion

    with pytest.MonkeyPatch.context() as patch:  # exporting costs more than all steps, and once will do
        patch.setattr(train_motion, "write_motion_weights", lambda *_: train_motion.resolve_weights(RunConfig()))
        train_motion.main(["--out", str(folder), "--steps", "2", *TINY])
    train_motion.main(["--out", str(folder), "--steps", "4", *TINY])
    return folder
