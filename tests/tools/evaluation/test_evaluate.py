"""The command tools/evaluate.py."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from conftest import ROOT
from evaluation_samples import (
    recording,
)
from sample_clip import sample_images
from thin_networks import thin_network

from egostream.errors import EgostreamError
from egostream.files import asset
from tools import evaluate as command
from tools.evaluation.predict import (
    UNREADABLE,
)


def test_ablation_remembers_all_that_changes_a_figure(monkeypatch, capsys):
    """A report that is kept must not be taken for one of other settings."""
    given = []
    monkeypatch.setattr(command, "ablate", lambda data, runs, common, pose, settings, *_: given.append(settings) or {})
    monkeypatch.setattr(command, "read_data", lambda *_: [replace(recording(), stature_m=1.7)])
    for flags in (
        [],
        ["--filter", "off"],
        ["--split", "val"],
        ["--precision", "fp32"],
        ["--limit", "3"],
        ["--torch"],
        ["--known-stature"],
    ):
        monkeypatch.setattr(sys, "argv", ["evaluate.py", "--data", "made", "--ablation", "--json", *flags])
        command.main()
    assert all(one != other for i, one in enumerate(given) for other in given[:i])


def run_command(*arguments):
    return subprocess.run(
        [sys.executable, "tools/evaluate.py", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def run_here(monkeypatch, capsys):
    """Run the command in this process, which has its imports already: what it prints, out and err."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["evaluate.py", *map(str, arguments)])
        capsys.readouterr()
        command.main()
        return capsys.readouterr()

    return run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere"], "nowhere"),
        (["--data", "egopw:nowhere.txt"], "nowhere.txt"),
        (["--data", "sample", "--weights", "nowhere"], "nowhere is not a weights folder"),
        (["--data", "sample", "--limit", "-1"], "--limit -1"),
        (["--data", "sample", "--fps", "nan"], "--fps nan"),
        (["--data", "sample", "--plot", "nowhere/a.png"], "--plot nowhere/a.png"),
        (["--data", "sample", "--known-stature"], "does not say how tall the wearer"),
        (["--data", "sample", "--known-stature", "--torch"], "leave --known-stature out"),
        (["--data", "sample", "--", "--epochs", "3"], "--ablation"),
        (["--data", "sample", "--ablation", "--weights", "w"], "leave --weights out"),
        (["--data", "sample", "--ablation", "--", "a", "--", "b", "--", "c"], "3 groups"),
    ],
)
def test_bad_input_is_refused_by_name(monkeypatch, arguments, message):
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *arguments])
    with pytest.raises(EgostreamError) as error:
        command.main()
    assert message in str(error.value) and "\n" not in str(error.value)


def test_bad_input_ends_in_one_line():
    done = run_command("--data", "nowhere")
    assert done.returncode == 1 and not done.stdout
    assert done.stderr.startswith("evaluate: no data nowhere") and done.stderr.count("\n") == 1


@pytest.fixture(scope="module")
def egopw(tmp_path_factory):
    """A look-alike of EgoPW with five frames of the sample, one of them damaged, one without a pose."""
    folder = tmp_path_factory.mktemp("egopw")
    (folder / "seq" / "imgs").mkdir(parents=True)
    (folder / "list.txt").write_text("seq\n")
    joints, records = recording(5).joints, []
    joints[3, 0] = np.nan
    for n, image in enumerate(sample_images()[::18]):
        name = f"img_{n:06d}.jpg"
        (folder / "seq" / "imgs" / name).write_bytes(b"broken" if n == 1 else image.tobytes())
        records.append({"image_name": name, "optimized_local_pose": joints[n], "joints_2d": np.full((15, 2), 500.0)})
    (folder / "seq" / "pseudo_gt.pkl").write_bytes(pickle.dumps(records))
    return f"egopw:{folder / 'list.txt'}"


def test_the_command_evaluates_a_dataset(thin_weights_of, egopw, tmp_path, run_here, monkeypatch):
    monkeypatch.setattr("tools.network.build.load_network", thin_network)
    weights = thin_weights_of("window")
    flags = ["--data", egopw, "--weights", weights.folder, "--precision", "fp32"]
    plain = ["--motion", "every-frame", "--filter", "off", "--no-rays"]
    engine = run_command(*flags, "--json", *plain, "--plot", tmp_path / "joints.png")
    assert engine.returncode == 0, engine.stderr
    assert "skipped images: picture" in engine.stderr and "img_000001.jpg" in engine.stderr
    reports = [json.loads(text) for text in (engine.stdout, run_here(*flags, "--json", "--torch").out)]
    for report, form in zip(reports, ("engine", "torch")):
        assert report["run"]["form"] == form and report["weights"]["id"] == weights.id
        assert report["counts"] == {
            "sequences": 1,
            "unusable_sequences": 0,
            "frames": 3,
            "left_out": {"with NaN": 1, UNREADABLE: 1},
        }
        assert report["overall"]["mpjpe_mm"] > 100, "random weights against random joints"
    assert reports[0]["overall"]["mpjpe_mm"] == pytest.approx(reports[1]["overall"]["mpjpe_mm"], abs=1)
    assert reports[0]["overall"]["mpjpe_mm"] != reports[1]["overall"]["mpjpe_mm"]
    assert (tmp_path / "joints.png").is_file()
    shown = run_here(*flags, "--limit", 1, "--motion", "every-frame").out
    assert "seq" in shown and "left_foot" in shown and "3 beyond --limit" in shown
    assert "untrained" in shown


def test_run_and_evaluate_agree_on_the_sample(pipeline, run_here):
    """The live error that ``run`` ends with is the MPJPE that ``evaluate`` prints, to 1 mm."""
    run = pipeline(source=str(asset("sample", "sample.avi")), assume_canonical=True, pace="every-frame")
    assert run.wait(180) == 0, run.output()
    said = re.search(r"error ([\d.]+) mm over (\d+) frames", run.output())
    assert said, run.output()
    scores = json.loads(run_here("--data", "sample", "--json").out)["overall"]
    assert int(said[2]) == scores["frames"] and float(said[1]) == pytest.approx(scores["mpjpe_mm"], abs=1.0)
