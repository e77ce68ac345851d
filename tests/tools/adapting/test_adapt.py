"""tools/adapt.py: its commands are those that the tools take, parts resume, and what would fail is refused."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from rendered_people import KANNALA_BRANDT
from safetensors.torch import save_file

from egostream.errors import EgostreamError
from egostream.graph.default_weights import default_weights
from egostream.graph.weights import load_tensors, load_weights, save_weights
from tools import adapt
from tools.adapting import refuse
from tools.adapting.options import parse_options
from tools.adapting.plan import Rates, make_plan
from tools.adapting.steps import Kitchen, Step
from tools.adapting.work import python
from tools.network.spec import NetworkSpec

RATES = Rates(has_gpu=False, start_s=5, people=14.0, clips=17.0, learn=6.0, see=20.0, estimate=50.0)


@pytest.fixture
def headset(tmp_path):
    """A calibration file."""
    path = tmp_path / "headset.json"
    path.write_text(json.dumps(KANNALA_BRANDT))
    return path


def parsed(command: list[str], monkeypatch):
    """What the tool of a command makes of its arguments, by its own parser."""
    module = importlib.import_module("tools." + os.path.basename(command[2]).removesuffix(".py"))
    arguments = command[3:]
    for name in ("parse", "parse_arguments"):
        if parse := getattr(module, name, None):
            monkeypatch.setattr(sys, "argv", command[2:])
            return parse() if name == "parse_arguments" and not parse.__code__.co_argcount else parse(arguments)
    return None  # parsed in its main


def test_every_tool_takes_its_command(tmp_path, headset, thin_weights_of, monkeypatch):
    weights = thin_weights_of("two seconds")
    for has_gpu in (False, True):
        options = parse_options(
            ["--calibration", str(headset), "--out", str(tmp_path / "o"), "--clip", str(headset), "--rig", "brim"], ""
        )
        kitchen = Kitchen(options, weights)
        steps = {
            one.name: one for one in kitchen.steps(make_plan(3, RATES, kitchen.clip_frames, True), has_gpu=has_gpu)
        }
        found = {name: parsed(step.command, monkeypatch) for name, step in steps.items()}
        assert found["judged"].calibration == headset and found["clips"].test == found["judged"].test >= 8
        assert (found["clips"].seed, found["clips"].fps) == (found["judged"].seed, found["judged"].fps)
        assert found["people"].seed != found["clips"].seed and found["people"].rig == "brim"
        assert found["heatmaps"].init == weights.folder and found["heatmaps"].data == [str(kitchen.at.people)]
        pose = found["pose"]
        assert (pose.temporal, pose.window, pose.cache) == (weights.temporal, 32, kitchen.at.cache)
        assert pose.heatmap == found["heatmaps"].out and found["after"][0].weights == kitchen.at.weights
        assert found["quantize"].weights == kitchen.at.weights == found["engines"].weights
        assert steps["pack"].command[3:] == [str(pose.out / "weights"), "--out", str(kitchen.at.weights)]


def test_motion_from_the_body_stays_as_it_is(tmp_path, headset, monkeypatch):
    """The shipped weights have no backbone: new heatmaps are joined with their motion, by a command that can start."""
    options = parse_options(["--calibration", str(headset), "--out", str(tmp_path / "o")], "")
    kitchen = Kitchen(options, default_weights())
    steps = {one.name: one for one in kitchen.steps(make_plan(3, RATES, kitchen.clip_frames, False), has_gpu=False)}
    command = steps["pose"].command
    assert command[2] == "-m" and importlib.import_module(command[3]).main
    assert command[4] == str(default_weights().folder)
    assert parsed(steps["heatmaps"].command, monkeypatch).out == Path(command[5])
    assert steps["pack"].command[3] == command[6]


class Quick:
    """Stands in for measuring and for the parts' commands: quick programs that make the same files.

    failing: parts that fail. change: by how many mm the new weights differ.
    """

    def __init__(self, monkeypatch, change: float = -3.0):
        self.failing: set[str] = set()
        self.change, self.measured = change, 0
        real = Kitchen.steps
        monkeypatch.setattr(Kitchen, "steps", lambda *a: [self.quick(one) for one in real(*a)])
        monkeypatch.setattr(adapt, "measure", self.measure)

    def measure(self, kitchen, teller, lock):
        self.measured += 1
        return RATES

    def quick(self, step: Step) -> Step:
        if step.name in self.failing:
            broken = python("-c", "import sys; sys.exit('tool: it broke')")
            return Step(step.name, step.title, broken, step.product, step.output)
        error = 80 + (self.change if step.name == "after" else 0)
        row = {"frames": 64, "pa_mpjpe_mm": 50, "acceleration_error_m_s2": 7}
        report = json.dumps({"sequences": [row | {"name": str(k), "mpjpe_mm": error + k} for k in range(9)]})
        made = "import pathlib, sys; p = pathlib.Path(sys.argv[1]); p.parent.mkdir(parents=True, exist_ok=True)"
        made += f"; print({report!r})" if step.output else f"; p.write_text({step.name!r})"
        return Step(step.name, step.title, python("-c", made, step.product), step.product, step.output, step.made)


def run(headset, out, *more):
    """The command, in this process."""
    adapt.main(["--calibration", str(headset), "--out", str(out), "--hours", "2", *more])


def test_parts_are_done_once_and_go_on_where_they_failed(tmp_path, headset, monkeypatch, capfd):
    quick, out = Quick(monkeypatch), tmp_path / "out"
    quick.failing = {"pose"}
    with pytest.raises(
        EgostreamError, match="joining heatmaps and motion failed: tool: it broke .*pose.log.*same command goes on"
    ):
        run(headset, out)
    first = capfd.readouterr().err
    assert "about" in first and "part 5 of 9: joining" in first and "part 6" not in first
    assert json.loads((out / "adapt.json").read_text())["done"][-1] == "heatmaps"

    quick.failing = set()
    run(headset, out)
    told = capfd.readouterr()
    assert "part 4 of 9" not in told.err and "part 5 of 9" in told.err and quick.measured == 1
    assert "BETTER" in told.err and "difference -3.0, 95% interval -3.0 to -3.0" in told.err
    assert told.out.strip().endswith(f"--calibration {os.path.relpath(headset)}")
    assert f"--weights {os.path.relpath(out / 'weights')}" in told.out

    run(headset, out)
    assert "part" not in capfd.readouterr().err.replace("adapt", "")


def test_worse_weights_are_kept_and_not_recommended(tmp_path, headset, monkeypatch, capfd):
    Quick(monkeypatch, change=+3.0)
    run(headset, tmp_path / "out")
    told = capfd.readouterr()
    assert "WORSE" in told.err and "BETTER" not in told.err and (tmp_path / "out/weights").exists()
    assert told.out == f"egostream run --camera 0 --calibration {os.path.relpath(headset)}\n"


def test_a_folder_of_other_options_is_refused(tmp_path, headset, monkeypatch):
    quick, out = Quick(monkeypatch), tmp_path / "out"
    quick.failing = {"judged"}
    with pytest.raises(EgostreamError):
        run(headset, out)
    other = tmp_path / "other.json"
    other.write_text(json.dumps(KANNALA_BRANDT | {"focal": [215.0, 214.0]}))
    with pytest.raises(EgostreamError, match="was begun with another calibration"):
        run(other, out)
    other.write_text(json.dumps(KANNALA_BRANDT | {"name": "the same lens by another name"}))
    with pytest.raises(EgostreamError, match="it broke"):
        run(other, out)
    with pytest.raises(EgostreamError, match="another rig .mix, now brim"):
        run(headset, out, "--rig", "brim")
    with refuse.claimed(out), pytest.raises(EgostreamError, match="another adapt.py is at work"):
        run(headset, out)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/letter.txt").write_text("mine")
    with pytest.raises(EgostreamError, match="holds other things"):
        run(headset, tmp_path / "full")
    assert quick.measured == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hours", "0"], "--hours 0: above 0"),
        (["--hours", "0.01"], "--hours 0.01 is too short"),
        (["--weights", "no-such"], "no-such is not a weights folder"),
        (["--clip", "no-such.mp4"], "no-such.mp4 is not there"),
        (["--body", "no-such"], "--body .*no-such is not there"),
        (["--calibration", "no-such.json"], "no-such.json"),
        (["--out", "/dev/null/x"], "cannot write|holds other things"),
    ],
)
def test_what_would_fail_is_refused_first(tmp_path, headset, monkeypatch, arguments, message):
    Quick(monkeypatch)
    with pytest.raises((EgostreamError, OSError), match=message) as error:
        adapt.main(["--calibration", str(headset), "--out", str(tmp_path / "out"), *arguments])
    assert "\n" not in str(error.value) and not (tmp_path / "out/weights").exists()


def test_a_missing_package_and_a_full_disk_are_refused(tmp_path, headset, monkeypatch):
    Quick(monkeypatch)
    usage = shutil.disk_usage(tmp_path)._replace(free=10**8)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: usage)
        with pytest.raises(EgostreamError, match="2.0 GiB are needed, 0.1 GiB are free"):
            run(headset, tmp_path / "out")
    monkeypatch.setattr(refuse, "PACKAGES", ("torch", "no_such_package"))
    with pytest.raises(EgostreamError, match=r"no_such_package: not installed.*pip install -e '.\[train"):
        run(headset, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_new_heatmaps_leave_all_else(tmp_path):
    """In weights without a backbone, of which no graph is run here."""
    from tools.adapting.new_heatmaps import with_heatmaps
    from tools.network.vision import HeatmapNetwork
    from tools.training.best_tensors import HEATMAP_FILE

    state = {f"network.{key}": value for key, value in HeatmapNetwork().state_dict().items()}
    state = {key: value for key, value in state.items() if "num_batches" not in key}
    save_file(state, tmp_path / HEATMAP_FILE)
    tensors = {"heatmap": {key: 0 * value.numpy() + 5 for key, value in state.items()}}
    tensors |= {graph: {"weight": np.arange(6.0, dtype=np.float32)} for graph in ("temporal", "decoder")}
    record = msgspec.structs.replace(
        default_weights(), network=NetworkSpec(temporal="causal", backbone="none").as_dict()
    )
    base = save_weights(tmp_path / "base", record, tensors, dict.fromkeys(tensors, b"topology"))
    made = with_heatmaps(base, tmp_path, tmp_path / "made")
    for graph in base.graphs:
        before, after = load_tensors(base, graph), load_tensors(load_weights(tmp_path / "made"), graph)
        assert before.keys() == after.keys()
        changed = {key for key in before if not (before[key] == after[key]).all()}
        assert all(key.startswith("network.") for key in changed) and bool(changed) == (graph == "heatmap")
    assert made.network == base.network and made.id != base.id
