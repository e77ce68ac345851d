"""A run's learning rate, budget and checkpoint."""

from __future__ import annotations

import signal
from types import SimpleNamespace

import pytest
import torch

from egostream.errors import EgostreamError
from tools.training.keeper import SIGNALS, RunKeeper, schedule


def test_schedule():
    assert (
        schedule(0, 1000, 10, 0.1) == 1
        and schedule(1, 1000, 10, 0.1) == pytest.approx(0.1)
        and schedule(2, 1000, 10, 0) == pytest.approx(0)
    )
    assert schedule(0.5, 1000, 10, 0.1) == pytest.approx(0.55) and schedule(0, 0, 10, 0) == pytest.approx(0.1)


def test_a_checkpoint_that_does_not_fit_on_the_disk_leaves_the_last_one(tmp_path):
    class Trainer:
        global_step, is_global_zero = 7, True

        def save_checkpoint(self, path):
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")

    (tmp_path / "last.ckpt").write_bytes(b"whole")
    keeper = RunKeeper(tmp_path, steps=10, minutes=None, checkpoint_minutes=1, warmup=1, final=0.1)
    with pytest.raises(EgostreamError, match="last.ckpt .*No space left.*Free some space"):
        keeper.save(Trainer())
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"] and (
        tmp_path / "last.ckpt"
    ).read_bytes() == b"whole"


def test_time_ends_a_run_with_a_low_rate(tmp_path):
    keeper = RunKeeper(tmp_path, steps=10**6, minutes=2, checkpoint_minutes=1, warmup=1, final=0.1)
    trainer = type("Trainer", (), {"global_step": 500, "world_size": 1})()
    keeper.elapsed_s = 114.0
    assert keeper.fraction(trainer) == pytest.approx(0.95)
    keeper.load_state_dict({"elapsed_s": 60.0})
    assert keeper.fraction(trainer) == pytest.approx(0.5)


def test_a_resumed_run_takes_the_rate_of_its_command(tmp_path):
    """The optimiser comes back with the checkpoint's rate; --lr of the command that resumes counts."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    module = SimpleNamespace(configure_optimizers=lambda: torch.optim.AdamW([parameter], lr=5e-4))
    resumed = torch.optim.AdamW([parameter], lr=1e-3)
    trainer = SimpleNamespace(global_step=500, world_size=1, optimizers=[resumed])
    keeper = RunKeeper(tmp_path, steps=1000, minutes=None, checkpoint_minutes=1, warmup=10, final=0.1)
    handlers = [signal.getsignal(number) for number in SIGNALS]
    try:
        keeper.on_train_start(trainer, module)
    finally:
        for number, handler in zip(SIGNALS, handlers):
            signal.signal(number, handler)
    keeper.on_train_batch_start(trainer, module, None, 0)
    assert resumed.param_groups[0]["lr"] == pytest.approx(5e-4 * schedule(0.5, 500, 10, 0.1))
