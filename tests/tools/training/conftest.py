"""Fixtures of the tests of training: seeds, and one tiny run of the commands for all."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("lightning", reason="training needs Lightning: pip install -e '.[train]'")

from drawn_people import make_dataset
from training_samples import heatmap_arguments

import tools.train_heatmap
import tools.train_pose
from egostream.graph.bind import shipped_topologies
from egostream.graph.ports import GRAPHS
from tools.training import write_weights


@pytest.fixture(autouse=True)
def seeded():
    """Random numbers that repeat, on one thread."""
    torch.manual_seed(0)
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def heatmap_run(dataset, tmp_path_factory):
    """The folder of a finished run of two steps. Tests that change it copy it first."""
    folder = tmp_path_factory.mktemp("runs") / "heatmap"
    tools.train_heatmap.main(heatmap_arguments(dataset, folder, "--steps", "2"))
    return folder


@pytest.fixture(scope="session")
def short_dataset(tmp_path_factory):
    """The small dataset with fewer frames in each recording, for what takes seconds a frame."""
    return make_dataset(tmp_path_factory.mktemp("short"), frames=8)


@pytest.fixture(scope="session")
def trained(short_dataset, heatmap_run):
    """The commands of the CPU recipe on the tiny set: the runs' folder."""
    runs = heatmap_run.parent
    shipped = shipped_topologies("paper", "window")
    machine = "--accelerator cpu --threads 1 --workers 0 --val-frames 2 --mirror 0".split()
    common = ["--data", str(short_dataset), *machine]
    with pytest.MonkeyPatch.context() as patch:
        # exporting takes half a minute and is tested elsewhere; the shipped topologies are of this very network
        patch.setattr(
            write_weights, "export_topologies", lambda _: {g: (shipped / f"{g}.onnx").read_bytes() for g in GRAPHS}
        )
        backbone = "--stage backbone --backbone scratch --backbone-size 128 --backbone-steps 2 --backbone-batch 2"
        tools.train_pose.main([*common, "--out", str(runs / "backbone"), *backbone.split()])
        sources = ["--heatmap", str(heatmap_run), "--backbone", str(runs / "backbone"), "--cache", str(runs / "cache")]
        pose = "--no-joint-identity --embedding-steps 2 --frames-per-window 4 --batch 2 --steps 3"
        tools.train_pose.main([*common, "--out", str(runs / "pose"), *sources, *pose.split()])
    return runs
