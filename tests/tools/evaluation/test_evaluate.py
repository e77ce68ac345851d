"""tools/evaluate.py: errors of hand-built poses, the two ways of making poses, truth files, the ablation's bookkeeping, bad input."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from conftest import ROOT
from rich.console import Console
from sample_clip import sample_images

from egostream.calibration.file import canonical_calibration
from egostream.calibration.view import InputMapping
from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.files import asset
from egostream.graph.default_weights import default_weights
from egostream.infer.refine import STATURE_OF_BONES, Refiner
from egostream.skeleton import BONES, JOINTS
from egostream.supervise.prepare import truth_of
from egostream.truth import ClipError, Truth, load_truth, save_truth, truth_beside, truth_path
from tools import evaluate as command
from tools.data.datasets import read_data
from tools.data.frames import load_frames
from tools.data.inputs import InputReader
from tools.data.sequence import Sequence
from tools.evaluation import ablation
from tools.evaluation.compare import compare, consecutive, score
from tools.evaluation.figure import plot_joints
from tools.evaluation.predict import (
    BEYOND_LIMIT,
    UNREADABLE,
    EnginePredictor,
    Frames,
    Prediction,
    TorchPredictor,
    window_slots,
)
from tools.evaluation.report import evaluate, without_nan
from tools.network.build import load_network

CAMERA = canonical_calibration()
MAPPING = InputMapping("crop", CAMERA.size)
RNG = np.random.default_rng(0)


class Reader:
    """Network inputs from memory; ``broken`` frames cannot be read."""

    def __init__(self, images, broken=()):
        self.images, self.broken = images, set(broken)

    def read(self, sequence, index):
        if index in self.broken:
            raise EgostreamError(f"image {index} of {sequence.name} is broken")
        return self.images[index]

    def keypoints(self, sequence):
        return np.full((len(sequence), 15, 2), 32.0)


def recording(F=8, name="one", **changes):
    joints = (RNG.normal(size=(F, 15, 3)) * 0.3 + [0, 0.4, 0.8]).astype(np.float32)
    keypoints = np.zeros((F, 15, 2), np.float32)
    return replace(
        Sequence(name, [Path(f"{n}.jpg") for n in range(F)], np.arange(F), joints, keypoints, 30.0, camera=CAMERA),
        **changes,
    )


def predicted(sequence, offset=(0, 0, 0), keypoints=None, rows=None):
    rows = list(range(len(sequence))) if rows is None else rows
    at = MAPPING.canonical_from_heatmap(np.full((len(rows), 15, 2), 32.0)) if keypoints is None else keypoints
    return Prediction(rows, sequence.joints[rows].astype(np.float64) + offset, at)


def compared(sequence, prediction, heatmap_xy=None):
    truth = np.full((len(sequence), 15, 2), 32.0) if heatmap_xy is None else heatmap_xy
    return compare(sequence, truth, prediction, sequence.fps, MAPPING)


# -- errors ------------------------------------------------------------------------------------------------------


def test_a_known_offset_is_the_error_of_every_figure_but_the_aligned_one():
    sequence = recording()
    result = score([compared(sequence, predicted(sequence, (0.03, 0, 0.04)))])
    assert result["frames"] == 8
    assert result["mpjpe_mm"] == pytest.approx(50)
    assert result["pa_mpjpe_mm"] == pytest.approx(0, abs=1e-6)
    assert result["acceleration_error_m_s2"] == pytest.approx(0, abs=1e-9)
    assert result["jitter_m_s3"] == pytest.approx(result["true_jitter_m_s3"]) and result["jitter_m_s3"] > 0
    assert result["pck"] == {"0.05": 1.0, "0.10": 1.0}


def test_a_mirrored_pose_keeps_its_error():
    sequence = recording()
    mirrored = replace_joints(predicted(sequence), sequence.joints * np.float32([-1, 1, 1]))
    assert score([compared(sequence, mirrored)])["pa_mpjpe_mm"] > 50


def replace_joints(prediction, joints):
    return replace(prediction, joints=np.asarray(joints, np.float64))


def test_per_joint_and_per_visibility():
    visible = np.ones((8, 15), bool)
    visible[:, 3] = False  # right wrist always hidden, and 60 mm off; the others 10 mm
    sequence = recording(visible=visible)
    offset = np.tile([0.01, 0, 0], (8, 15, 1))
    offset[:, 3] = [0, 0.06, 0]
    result = score([compared(sequence, predicted(sequence, offset))])
    assert result["per_joint"]["right_wrist"]["mpjpe_mm"] == pytest.approx(60)
    assert result["per_joint"]["neck"]["mpjpe_mm"] == pytest.approx(10)
    assert list(result["per_joint"]) == list(JOINTS)
    assert (result["visible"]["joints"], result["hidden"]["joints"]) == (8 * 14, 8)
    assert result["visible"]["mpjpe_mm"] == pytest.approx(10) and result["hidden"]["mpjpe_mm"] == pytest.approx(60)
    assert result["mpjpe_mm"] == pytest.approx((14 * 10 + 60) / 15)
    assert result["keypoints"] == 8 * 14, "hidden keypoints do not count"


def test_without_visibility_the_split_is_empty_and_keypoints_in_view_count():
    sequence = recording()
    heatmap_xy = np.full((8, 15, 2), 32.0)
    heatmap_xy[:, 0] = [64.0, 10]  # the first column outside
    heatmap_xy[:, 1] = [0, 63.99]
    heatmap_xy[:, 2] = np.nan
    result = score([compared(sequence, predicted(sequence), heatmap_xy)])
    assert (result["visible"]["joints"], result["hidden"]["joints"]) == (0, 0)
    assert np.isnan(result["visible"]["mpjpe_mm"]) and without_nan(result)["visible"]["mpjpe_mm"] is None
    assert result["keypoints"] == 8 * 13
    assert json.dumps(without_nan(result), allow_nan=False)


def test_pck_thresholds_are_shares_of_the_width_that_the_network_sees():
    """The crop of the canonical frame is 1024 px wide: 5% is 51.2 px, 10% is 102.4 px."""
    sequence = recording(F=1)
    at = np.tile(MAPPING.canonical_from_heatmap([32.0, 32.0]), (1, 15, 1))
    away = np.array([0, 51.19, 51.21, 102.39, 102.41] * 3)
    result = score([compared(sequence, predicted(sequence, keypoints=at + np.stack([away, 0 * away], -1)))])
    assert result["pck"] == {"0.05": pytest.approx(6 / 15), "0.10": pytest.approx(12 / 15)}
    assert result["per_joint_pck"]["right_elbow"] == {"0.05": 0.0, "0.10": 1.0}


def test_frames_are_pooled_so_a_long_recording_counts_for_more():
    short, long = recording(F=2), recording(F=6)
    parts = [compared(short, predicted(short, (0.08, 0, 0))), compared(long, predicted(long))]
    assert score(parts)["mpjpe_mm"] == pytest.approx(20)


def test_no_acceleration_is_taken_across_a_missing_frame():
    """Steady motion with a hole: over the hole it would look like a jerk."""
    frames = np.array([0, 2, 4, 6, 8, 20, 22, 24, 26])
    joints = (np.zeros((9, 15, 3)) + frames[:, None, None] * 0.01).astype(np.float32)
    sequence = recording(9, "gap", joints=joints, frames=frames)
    assert consecutive(frames) == (2, [slice(0, 5), slice(5, 9)])
    still = replace_joints(predicted(sequence), np.zeros((9, 15, 3)))
    result = score([compared(sequence, still)])
    assert result["acceleration_error_m_s2"] == pytest.approx(0, abs=1e-3)
    falling = sequence.joints + (0.5 * 9.81 * (frames / 30.0) ** 2)[:, None, None] * [0, 0, 1]
    assert score([compared(sequence, replace_joints(still, falling))])["acceleration_error_m_s2"] == pytest.approx(
        9.81, rel=1e-3
    )
    every_second_and_one_odd = np.array([0, 2, 4, 5, 7, 9])
    assert consecutive(every_second_and_one_odd) == (2, [slice(0, 3), slice(3, 6)])
    assert consecutive(np.array([5])) == (1, [slice(0, 1)])


def test_a_pose_that_is_not_finite_is_an_error_not_a_figure():
    sequence = recording()
    prediction = predicted(sequence)
    prediction.joints[3, 2] = np.nan
    with pytest.raises(EgostreamError, match="one: 1 of 8 poses are not finite"):
        compared(sequence, prediction)


# -- poses -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clip(weights_of):
    """Twelve different frames, and a recording of them with a gap of one frame and one longer than a window."""
    images = load_frames(None, weights_of("window"), 12)
    frames = np.array([0, 1, 2, 3, 4, 6, 7, 8, 300, 301, 302, 303])
    return recording(12, "clip", frames=frames), Reader(images, broken=[2])


def reference_heatmaps(weights, image):
    """[15, 64, 64] of one network input."""
    with torch.no_grad():
        return load_network(weights).heatmap(torch.from_numpy(image)[None])[0][0].numpy()


@pytest.mark.parametrize("kind", ["window", "causal", "released"])
def test_the_engine_gives_the_poses_of_pytorch(weights_of, clip, kind):
    sequence, reader = clip
    weights = weights_of(kind)
    predictors = (
        EnginePredictor(weights, "auto", "fp32", lambda line: None, motion="every-frame"),
        TorchPredictor(weights),
    )
    streamed, reference = (predictor.predict(Frames(sequence, reader, 30.0)) for predictor in predictors)
    for one in (streamed, reference):
        assert one.rows == [0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11]
        assert one.skipped == {UNREADABLE: 1} and "image 2 of clip is broken" in one.problem
    assert np.ptp(reference.joints, axis=0).max() > 20e-3, "the poses hardly move: this comparison could not fail"
    assert np.linalg.norm(streamed.joints - reference.joints, axis=-1).max() < 1e-3
    moved = np.argwhere(np.abs(streamed.keypoints - reference.keypoints).max(-1) > 0.1)
    assert len(moved) < 0.1 * reference.keypoints[..., 0].size
    for (
        row,
        joint,
    ) in moved:  # random heatmaps may have a peak twice: either is right, if the reference's are equally high
        heatmap = reference_heatmaps(weights, reader.images[reference.rows[row]])[joint]
        x, y = np.round(MAPPING.heatmap_from_canonical(streamed.keypoints[row, joint])).astype(int)
        assert heatmap[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3].max() > heatmap.max() - 1e-5
    again = predictors[0].predict(Frames(sequence, reader, 30.0))
    np.testing.assert_array_equal(again.joints, streamed.joints)  # a fresh window: nothing is left of the run before


def test_known_statures_are_those_of_each_recording(weights_of, clip):
    sequence, reader = clip
    predictor = EnginePredictor(
        weights_of("causal"), "auto", "fp32", lambda line: None, Refiner(rays=True), known_stature=True
    )
    for stature in (1.6, 1.9):
        joints = predictor.predict(Frames(replace(sequence, stature_m=stature), reader, 30.0, limit=4)).joints
        bones = sum(np.linalg.norm(joints[:, child] - joints[:, parent], axis=-1) for child, parent in BONES)
        np.testing.assert_allclose(STATURE_OF_BONES * bones, stature, rtol=1e-4)


def test_rays_bring_the_sample_nearer_to_its_truth_and_its_joints_to_their_keypoints():
    """The shipped weights over the bundled clip, by the estimator of a run."""
    weights, (sequence,) = default_weights(), read_data("sample")
    lens, reader, errors, angles = canonical_calibration().lens, InputReader(weights.input), [], []
    for rays in (False, True):
        predictor = EnginePredictor(weights, "openvino", "auto", lambda line: None, Refiner(rays=rays))
        found = predictor.predict(Frames(sequence, reader, sequence.fps))
        errors.append(1000 * np.linalg.norm(found.joints - sequence.joints, axis=-1).mean())
        own = found.joints / np.linalg.norm(found.joints, axis=-1, keepdims=True)
        angles.append(np.degrees(np.arccos((own * lens.unproject(found.keypoints)[0]).sum(-1).clip(-1, 1))).mean())
    assert errors[1] < errors[0] - 3 and angles[1] < 0.5 * angles[0]


def test_the_past_matters_and_ends_with_the_recording(weights_of, clip):
    """With a rate at which every frame is its own window, poses are those of single frames, and other than with a past."""
    sequence, reader = clip
    predictor = TorchPredictor(weights_of("window"))
    with_past, alone = (predictor.predict(Frames(sequence, reader, fps)).joints for fps in (30.0, 0.25))
    np.testing.assert_allclose(with_past[[0, 7]], alone[[0, 7]], atol=1e-5)  # rows 0 and 8, which no window precedes
    assert np.abs(with_past - alone)[[1, 5, 10]].max((1, 2)).min() > 1e-3


def test_window_slots_by_hand():
    slots, valid = window_slots([0, 100, 200, 400, 10_000], 4, 100)
    assert slots[3].tolist() == [1, 2, 0] and valid[3].tolist() == [True, True, False]  # 300, 200 and 100 before
    assert not valid[0].any() and not valid[4].any()


def test_report_counts_what_is_missing_and_names_what_is_unusable(weights_of, clip):
    sequence, reader = clip
    sequences = [
        replace(sequence, left_out=Counter({"without a pose": 4})),
        recording(1, "short"),
    ]
    reader = Reader(reader.images, broken=[0])
    report = evaluate(
        weights_of("window"), EnginePredictor(weights_of("window"), "auto", "fp32", print), sequences, reader, limit=5
    )
    assert report["counts"] == {
        "sequences": 1, "unusable_sequences": 1, "frames": 4, "left_out": {BEYOND_LIMIT: 7, UNREADABLE: 2, "without a pose": 4},
    }  # fmt: skip
    assert report["unusable"][0]["name"] == "short" and "image 0 of short is broken" in report["unusable"][0]["reason"]
    assert (
        report["sequences"][0]["skipped"] == {BEYOND_LIMIT: 7, UNREADABLE: 1} and report["sequences"][0]["frames"] == 4
    )
    assert report["weights"]["id"] == weights_of("window").id and report["run"]["precision"] == "fp32"
    with pytest.raises(
        EgostreamError, match="none of 1 recordings has a frame to evaluate; short: image 0 of short is broken"
    ):
        evaluate(weights_of("window"), TorchPredictor(weights_of("window")), sequences[1:], reader)


def test_frames_made_for_another_input_are_refused(weights_of, clip):
    sequence, reader = clip
    made = replace(sequence, camera=None)  # of the crop
    with pytest.raises(EgostreamError, match="clip holds canonical crop frames, these weights see canonical squash"):
        evaluate(weights_of("released"), None, [made], reader)


def test_the_figure_is_drawn(tmp_path):
    sequence = recording()
    overall = score([compared(sequence, predicted(sequence, (0.03, 0, 0)))])
    about = {
        "weights": {"id": "0" * 64},
        "run": {"backend": "openvino", "precision": "fp32"},
        "counts": {"frames": 8, "sequences": 1},
    }
    plot_joints(tmp_path / "joints.png", {"overall": overall} | about)
    assert (tmp_path / "joints.png").stat().st_size > 5000
    with pytest.raises(EgostreamError, match="cannot write the figure"):
        plot_joints(tmp_path / "nowhere" / "joints.png", {"overall": overall} | about)


# -- the truth beside a clip -------------------------------------------------------------------------------------


def truth(F=4):
    return Truth(
        RNG.normal(size=(F, 15, 3)).astype(np.float32), np.zeros((F, 15, 2), np.float32), np.ones((F, 15), bool), 30.0
    )


def test_truth_round_trip_and_the_error_of_a_looping_clip(tmp_path):
    clip, written = tmp_path / "walk.avi", truth()
    assert truth_beside(clip) is None
    assert save_truth(clip, written) == truth_path(clip) == tmp_path / "walk.truth.npz"
    read = truth_beside(clip)
    np.testing.assert_array_equal(read.joints, written.joints)
    assert read.visible.dtype == bool and read.fps == 30.0 and len(read) == 4
    error = ClipError(read)
    assert np.isnan(error.mpjpe_mm)
    for seq in range(4):
        error.add(seq, read.joints[seq] + np.float32([0, 0, 0.02]))
    assert error.mpjpe_mm == pytest.approx(20, rel=1e-4)
    assert error.add(4 * 7 + 1, read.joints[1]) == 0  # the eighth pass replaces the first one's
    assert error.mpjpe_mm == pytest.approx(15, rel=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"joints": np.zeros((4, 14, 3))}, r"joints has shape \(4, 14, 3\)"),
        ({"visible": np.ones((3, 15), bool)}, r"visible has shape \(3, 15\)"),
        ({"joints": np.full((4, 15, 3), np.nan)}, "not all finite"),
        ({"fps": 0.0}, "fps is 0.0"),
        ({"joints": np.zeros((4, 15, 3), "U3")}, "not all finite numbers"),
    ],
)
def test_malformed_truth_is_refused(tmp_path, change, message):
    arrays = {name: getattr(truth(), name) for name in ("joints", "keypoints", "visible", "fps")} | change
    np.savez(tmp_path / "a.truth.npz", **arrays)
    with pytest.raises(EgostreamError, match=message) as error:
        load_truth(tmp_path / "a.truth.npz")
    assert "a.truth.npz" in str(error.value) and "\n" not in str(error.value)


def test_the_truth_of_another_clip_is_not_compared_with(tmp_path):
    clip, said = tmp_path / "clip.avi", []
    shutil.copy(asset("sample", "sample.avi"), clip)
    save_truth(clip, truth(90))
    config = RunConfig(source=str(clip), assume_canonical=True)
    assert len(truth_of(config, said.append)) == 90 and not said
    save_truth(clip, truth(60))
    assert truth_of(config, said.append) is None and "has 90 frames, the ground truth beside it is of 60" in said[0]


def test_damaged_truth_is_refused(tmp_path):
    path = save_truth(tmp_path / "a.avi", truth())
    whole = path.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"not an archive"):
        path.write_bytes(damaged)
        with pytest.raises(EgostreamError, match="cannot be read"):
            load_truth(path)
    np.savez(path, joints=truth().joints)
    with pytest.raises(EgostreamError, match="cannot be read: .*keypoints"):
        load_truth(path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.truth.npz"]


# -- ablation ----------------------------------------------------------------------------------------------------


@pytest.fixture
def trainings(monkeypatch, weights_of):
    """Training replaced by making its output: its calls, and the names of runs that shall fail, or stop before their end."""
    calls, failing, stopping = [], set(), set()

    def run_tool(arguments):
        out = ablation.Path(arguments[-1])
        calls.append(arguments)
        out.mkdir(exist_ok=True)
        if out.name in stopping:
            return 0
        product = out / ablation.PRODUCTS[arguments[0]]
        product.parent.mkdir(exist_ok=True)
        product.write_text("made")
        return 1 if out.name in failing else 0

    monkeypatch.setattr(ablation, "run_tool", run_tool)
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
        "full": ("64", "bce"), "spatial": ("64", "bce", "--no-motion"), "motion": ("64", "bce", "--no-tokens"),
        "no-cross-attention": ("64", "bce", "--no-cross-attention"), "mse": ("64", "mse"),
        "window-32": ("32", "bce"), "window-128": ("128", "bce"),
    }  # fmt: skip
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


# -- the command -------------------------------------------------------------------------------------------------


def run_command(*arguments):
    return subprocess.run(
        [sys.executable, "tools/evaluate.py", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )


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


def test_the_command_evaluates_a_dataset(weights_of, egopw, tmp_path):
    flags = ["--data", egopw, "--weights", weights_of("window").folder, "--precision", "fp32", "--json"]
    engine, torch = (
        run_command(
            *flags, "--motion", "every-frame", "--filter", "off", "--no-rays", "--plot", tmp_path / "joints.png"
        ),
        run_command(*flags, "--torch"),
    )
    assert engine.returncode == torch.returncode == 0, engine.stderr + torch.stderr
    assert "skipped images: picture" in engine.stderr and "img_000001.jpg" in engine.stderr
    reports = [json.loads(done.stdout) for done in (engine, torch)]
    for report, form in zip(reports, ("engine", "torch")):
        assert report["run"]["form"] == form and report["weights"]["id"] == weights_of("window").id
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
    shown = run_command(*flags[:-1], "--limit", 1)
    assert "seq" in shown.stdout and "left_foot" in shown.stdout and "3 beyond --limit" in shown.stdout
    assert "untrained" in shown.stdout


def test_run_and_evaluate_agree_on_the_sample(pipeline):
    """The live error that ``run`` ends with is the MPJPE that ``evaluate`` prints, to 1 mm."""
    run = pipeline(source=str(asset("sample", "sample.avi")), assume_canonical=True, pace="every-frame")
    assert run.wait(180) == 0, run.output()
    said = re.search(r"error ([\d.]+) mm over (\d+) frames", run.output())
    assert said, run.output()
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools/evaluate.py"), "--data", "sample", "--json"], capture_output=True, text=True, timeout=300
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    scores = json.loads(done.stdout)["overall"]
    assert int(said[2]) == scores["frames"] and float(said[1]) == pytest.approx(scores["mpjpe_mm"], abs=1.0)
