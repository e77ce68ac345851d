"""The ablation's bookkeeping, and its tables."""

from __future__ import annotations

import msgspec
import pytest
from evaluation_samples import (
    compared,
    predicted,
    recording,
)
from rich.console import Console

from egostream.errors import EgostreamError
from tools.evaluation import ablation
from tools.evaluation.compare import score
from tools.evaluation.report import without_nan


@pytest.fixture
def trainings(monkeypatch, weights_of):
    """Training replaced by making its output: its calls, and the runs that shall fail, or stop before their end."""
    calls, failing, stopping = [], set(), set()

    def run_training(arguments):
        out = ablation.Path(arguments[-1])
        calls.append(arguments)
        out.mkdir(exist_ok=True)
        if out.name in stopping:
            return 0
        product = out / ablation.PRODUCTS[arguments[0]]
        product.parent.mkdir(exist_ok=True)
        product.write_text("made")
        return 1 if out.name in failing else 0

    monkeypatch.setattr(ablation, "run_training", run_training)
    weights = weights_of("window")
    monkeypatch.setattr(ablation, "load_weights", lambda folder: msgspec.structs.replace(weights, folder=folder))
    return calls, failing, stopping


def some_report(weights):
    sequence = recording()
    overall = score([compared(sequence, predicted(sequence, (0.03, 0, 0)))])
    run = {"form": "engine", "backend": "openvino", "precision": "fp32"}
    return without_nan(
        {"weights": {"id": weights.id}, "run": run, "counts": {"frames": 8, "sequences": 1}, "overall": overall}
    )


def ablate(runs, evaluate=some_report, common=("--epochs", "1"), split="test"):
    return ablation.ablate(
        "made", runs, list(common), ["--cache", "c"], {"split": split}, evaluate, Console(quiet=True)
    )


def test_ablation_trains_every_variant_of_the_paper_and_prints_its_tables(tmp_path, trainings, capsys):
    calls, *_ = trainings
    result = ablate(tmp_path / "runs")
    heatmaps, poses = [c for c in calls if c[0] == "train_heatmap.py"], [c for c in calls if c[0] == "train_pose.py"]
    value = lambda call, flag: call[call.index(flag) + 1]
    assert sorted(value(c, "--loss") for c in heatmaps) == ["bce", "mse"]
    switches = {
        c[-1].rsplit("/", 1)[1]: (
            value(c, "--window"),
            value(c, "--heatmap").rsplit("-", 1)[1],
            *(f for f in c if f.startswith("--no-")),
        )
        for c in poses
    }
    assert switches == {
        "full": ("64", "bce"),
        "spatial": ("64", "bce", "--no-motion"),
        "motion": ("64", "bce", "--no-tokens"),
        "no-cross-attention": ("64", "bce", "--no-cross-attention"),
        "mse": ("64", "mse"),
        "window-32": ("32", "bce"),
        "window-128": ("128", "bce"),
    }
    assert all(value(c, "--epochs") == "1" for c in calls)
    assert all(("--cache" in c) == (c in poses) for c in calls)
    ablation.print_ablation(result, Console(width=140))
    text = capsys.readouterr().out
    assert "spatial only" in text and "113.2 / 80.8" in text and "T = 128" in text and "30.0" in text and "BCE" in text


def test_the_training_tools_take_what_the_ablation_gives_them(tmp_path, trainings):
    pytest.importorskip("lightning")
    from tools import train_heatmap, train_pose

    calls, *_ = trainings
    ablate(tmp_path / "runs")
    parsed = {
        call[-1].rsplit("/", 1)[1]: vars(
            {"train_heatmap.py": train_heatmap, "train_pose.py": train_pose}[call[0]].parse(call[1:])
        )
        for call in calls
    }
    assert parsed["heatmap-mse"]["loss"] == "mse" and parsed["mse"]["heatmap"] == parsed["heatmap-mse"]["out"]
    assert (
        parsed["spatial"]["no_motion"]
        and parsed["motion"]["no_tokens"]
        and parsed["no-cross-attention"]["no_cross_attention"]
    )
    assert [parsed[name]["window"] for name in ("window-32", "full", "window-128")] == [32, 64, 128]
    assert all(options["data"] == ["made"] and options["epochs"] == 1 for options in parsed.values())


def test_ablation_goes_on_where_it_stopped(tmp_path, trainings):
    calls, failing, stopping = trainings
    failing.add("motion")
    with pytest.raises(EgostreamError, match="training motion failed with status 1"):
        ablate(tmp_path / "runs")
    done = len(calls)
    failing.clear()
    stopping.add("motion")
    (tmp_path / "runs/motion/weights/weights.json").unlink()
    with pytest.raises(EgostreamError, match="training motion stopped before its end"):
        ablate(tmp_path / "runs")
    stopping.clear()
    done += 1
    evaluations = []
    count = lambda weights: evaluations.append(weights.folder.parent.name) or some_report(weights)
    ablate(tmp_path / "runs", count)
    assert [c[-1].rsplit("/", 1)[1] for c in calls[done:]] == [
        "motion",
        "no-cross-attention",
        "mse",
        "window-32",
        "window-128",
    ]
    assert evaluations == ["motion", "no-cross-attention", "mse", "window-32", "window-128"], "kept reports are used"
    ablate(tmp_path / "runs", count, split="val")
    assert len(evaluations) == 5 + 7 and len(calls) == done + 5, "another split: evaluated again, not trained again"
    with pytest.raises(EgostreamError, match="trained by other arguments"):
        ablate(tmp_path / "runs", common=["--epochs", "2"])


def test_a_record_that_was_not_written_whole_does_not_count(tmp_path, trainings):
    calls, *_ = trainings
    ablate(tmp_path / "runs")
    record = tmp_path / "runs" / "spatial.json"
    record.write_text(record.read_text()[:20])
    done = len(calls)
    ablate(tmp_path / "runs")
    assert [c[-1].rsplit("/", 1)[1] for c in calls[done:]] == ["spatial"]
