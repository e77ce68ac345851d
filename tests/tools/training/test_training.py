"""Training: losses and targets by hand, geometry of the augmentation, windows, the cache, resuming, and all of it end to end."""

from __future__ import annotations

import copy
import multiprocessing
import os
import re
import signal
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from drawn_people import FRAMES, STANDING
from torch._subclasses.fake_tensor import FakeTensorMode

from egostream.calibration.file import canonical_calibration
from egostream.calibration.view import InputGeometry, InputMapping
from egostream.errors import EgostreamError
from egostream.files import write_whole
from egostream.graph.bind import shipped_topologies
from egostream.graph.default_weights import default_weights
from egostream.graph.peaks import heatmap_peaks
from egostream.graph.ports import GRAPHS
from egostream.graph.weights import load_weights
from egostream.infer.window import CausalWindow
from egostream.skeleton import JOINTS, PARENTS

pytest.importorskip("lightning", reason="training needs Lightning: pip install -e '.[train]'")

import tools.train_heatmap
import tools.train_pose
from tools.data.datasets import read_data
from tools.network import NetworkSpec
from tools.network.build import build_network, load_network
from tools.network.vision import BackboneGraph, HeatmapNetwork, JointEmbedding
from tools.training import feature_cache as features_module
from tools.training.augment import MIRRORED, Augmenter, Turn, Turner
from tools.training.embedding import DrawnPeaks
from tools.training.feature_cache import FeatureCache, Heatmaps, Track
from tools.training.frames import Draws, FrameDataset, FrameSet
from tools.training.heatmap import HeatmapTraining, load_heatmap
from tools.training.keeper import SIGNALS, RunKeeper, schedule
from tools.training.losses import heatmap_loss, heatmap_targets, pose_loss
from tools.training.pose import PoseHeads, Vision
from tools.training.windows import WindowDataset, frame_times, last_frame, slots, window_ends

GEOMETRY = InputGeometry("canonical", "crop")
REACHING = STANDING + np.random.default_rng(1).normal(0, 0.04, (15, 3))  # not symmetric


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)
    torch.set_num_threads(1)


def frame_set(dataset, split="train") -> FrameSet:
    return FrameSet(read_data(str(dataset), split), split)


# Losses and targets


def test_pose_loss_is_the_papers():
    estimated, truth = torch.randn(2, 3, 15, 3), torch.randn(2, 3, 15, 3)
    total = 0.0
    for e, t in zip(estimated.flatten(0, 1), truth.flatten(0, 1)):
        distance = sum(torch.dist(e[j], t[j]) for j in range(15)) / 15
        length = direction = 0.0
        for child, parent in enumerate(PARENTS):
            if child != parent:
                b, tb = e[child] - e[parent], t[child] - t[parent]
                length += (b.norm() - tb.norm()) ** 2 / 14
                direction += -torch.dot(b, tb) / (b.norm() * tb.norm()) / 14
        total += (distance + 0.1 * length + 0.01 * direction) / 6
    torch.testing.assert_close(pose_loss(estimated, truth), total)


def test_pose_loss_leaves_out_what_has_no_weight():
    estimated, truth = torch.randn(2, 3, 15, 3), torch.randn(2, 3, 15, 3)
    weight = torch.tensor([[0.0, 1, 1], [0, 0, 1]])
    kept = weight > 0
    torch.testing.assert_close(pose_loss(estimated, truth, weight), pose_loss(estimated[kept], truth[kept]))
    assert pose_loss(estimated, truth, torch.zeros(2, 3)) == 0


def test_pose_loss_of_the_truth_has_a_gradient():
    truth = torch.randn(2, 15, 3)
    estimated = truth.clone().requires_grad_()
    pose_loss(estimated, truth).backward()
    assert torch.isfinite(estimated.grad).all()


def gaussian(x: float, y: float) -> np.ndarray:
    rows, columns = np.mgrid[:64, :64]
    near = (abs(rows - y) <= 6) & (abs(columns - x) <= 6)
    return near * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * 2**2))


def test_heatmap_targets():
    points = [(10.0, 20.0), (30.4, 40.6), (0.2, 63.4), (-4.0, 5.0), (-7.0, 5.0), (300.0, 5.0)]
    targets = heatmap_targets(torch.tensor(points))
    assert targets.shape == (6, 64, 64)
    for target, (x, y) in zip(targets, points):
        np.testing.assert_allclose(target, gaussian(x, y), atol=1e-5)
    assert targets[0, 20, 10] == 1 and targets[3].max() > 0
    assert targets[4:].max() == 0  # wholly outside
    assert heatmap_targets(torch.tensor([[float("nan"), 3.0], [float("inf"), 3.0]])).abs().max() == 0


def test_heatmap_targets_are_read_back_between_pixels():
    keypoints = np.random.default_rng(0).uniform(8, 56, (15, 2))
    found, heights = heatmap_peaks(heatmap_targets(torch.tensor(keypoints)).numpy())
    assert np.abs(found - keypoints).max() < 0.3 and np.abs(found - keypoints).mean() < 0.12 and heights.min() > 0.9


def test_heatmap_targets_of_a_smaller_input():
    target = heatmap_targets(torch.tensor([20.0, 34.0]), 32)
    assert target.shape == (32, 32) and target[17, 10] == 1
    assert target[17, 12] == pytest.approx(np.exp(-4 / 2)) and target[17, 14] == 0  # sigma 1, radius 3


def test_heatmap_losses():
    logits, targets = torch.randn(2, 15, 8, 8), torch.rand(2, 15, 8, 8)
    p = torch.sigmoid(logits)
    torch.testing.assert_close(
        heatmap_loss(logits, targets), -(targets * p.log() + (1 - targets) * (1 - p).log()).mean()
    )
    torch.testing.assert_close(heatmap_loss(logits, targets, "mse"), ((p - targets) ** 2).mean())


# Augmentation


@pytest.mark.parametrize("mapping", ["crop", "squash"])
@pytest.mark.parametrize("turn", [Turn(0.3), Turn(-1.2), Turn(0.0, True), Turn(0.4, True)], ids=str)
def test_turned_joints_project_onto_turned_keypoints(turn, mapping):
    turner = Turner(InputGeometry("canonical", mapping))
    camera = canonical_calibration()
    to_heatmap = InputMapping(mapping, camera.size)
    keypoints = to_heatmap.heatmap_from_canonical(camera.lens.project(REACHING)[0])
    pixels = camera.lens.project(turner.joints(turn, REACHING))[0]
    turned = to_heatmap.canonical_from_heatmap(turner.keypoints(turn, keypoints))
    assert np.abs(pixels - turned).max() < 0.5
    assert np.abs(pixels - camera.lens.project(REACHING)[0]).max() > 20


@pytest.mark.parametrize("size", [128, 256])
@pytest.mark.parametrize("turn", [Turn(0.3), Turn(0.0, True), Turn(-0.2, True)], ids=str)
def test_turned_pictures_show_the_turned_keypoints(turn, size):
    turner = Turner(GEOMETRY)
    lens, mapping = canonical_calibration().lens, InputMapping("crop", (1280, 1024))
    keypoints = mapping.heatmap_from_canonical(lens.project(REACHING)[0])
    for joint in (2, 3, 5):
        image = np.zeros((256, 256, 3), np.uint8)
        canonical = mapping.canonical_from_heatmap(keypoints[joint])
        x, y = (canonical - mapping.offset + 0.5) / 4 - 0.5
        cv2.circle(image, (round(x * 16), round(y * 16)), 4 * 16, (255, 255, 255), -1, cv2.LINE_AA, shift=4)
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
        turned = turner.image(turn, image)[..., 0].astype(float)
        rows, columns = np.indices(turned.shape)
        centre = (
            (np.array([(columns * turned).sum(), (rows * turned).sum()]) / turned.sum() + 0.5) * 1024 / size
            - 0.5
            + mapping.offset
        )
        expected = mapping.canonical_from_heatmap(
            turner.keypoints(turn, keypoints)[MIRRORED[joint] if turn.mirror else joint]
        )
        assert np.abs(centre - expected).max() < 0.5  # pixels of the full frame


@pytest.mark.parametrize("turn", [Turn(0.3), Turn(0.0, True), Turn(-0.2, True)], ids=str)
def test_turned_heatmaps_peak_at_the_turned_keypoints(turn):
    turner = Turner(GEOMETRY)
    keypoints = np.random.default_rng(0).integers(20, 44, (15, 2)).astype(float)
    maps = np.stack([gaussian(x, y) for x, y in keypoints])
    peaks, height = heatmap_peaks(turner.heatmaps(turn, maps))
    np.testing.assert_allclose(peaks, turner.keypoints(turn, keypoints), atol=0.35)
    assert (height > 0.85).all()  # between pixels


def test_mirroring_swaps_left_and_right():
    assert JOINTS[MIRRORED[JOINTS.index("left_wrist")]] == "right_wrist" and MIRRORED[0] == 0
    assert (MIRRORED[MIRRORED] == np.arange(15)).all()
    np.testing.assert_allclose(
        Turner(GEOMETRY).joints(Turn(0.0, True), STANDING), STANDING
    )  # of a symmetric pose: itself


def test_looks_change_pixels_only_and_repeat(dataset):
    frames = frame_set(dataset)
    still = Augmenter(GEOMETRY, rotate_deg=0, mirror=0)
    plain, changed = (
        FrameDataset(frames, 128)[3, 0],
        [FrameDataset(frames, 128, still, seed=1)[3, draw] for draw in range(8)],
    )
    for sample in changed:
        assert sample["frame"].shape == (128, 128, 3) and sample["frame"].dtype == np.uint8
        np.testing.assert_array_equal(sample["joints"], plain["joints"])
    assert np.mean([np.abs(c["frame"].astype(int) - plain["frame"]).mean() for c in changed]) > 5
    again = FrameDataset(frames, 128, Augmenter(GEOMETRY), seed=1)
    np.testing.assert_array_equal(again[3, 5]["frame"], again[3, 5]["frame"])
    off = FrameDataset(frames, 128, Augmenter(GEOMETRY, 0, 0, strength=0))
    np.testing.assert_array_equal(off[3, 5]["frame"], plain["frame"])


# Data


def test_draws_cover_every_row_each_epoch_and_resume():
    whole = list(Draws(rows=10, batch=4, steps=10, seed=3))
    flat = [row for batch in whole for row, _ in batch]
    for epoch in range(4):
        assert sorted(flat[10 * epoch : 10 * epoch + 10]) == list(range(10))
    assert flat[:10] != flat[10:20]
    assert [draw for batch in whole for _, draw in batch] == list(range(40))
    assert list(Draws(10, 4, 10, seed=3, start=6)) == whole[6:]
    ranks = [list(Draws(10, 2, 10, seed=3, rank=rank, world=2)) for rank in (0, 1)]
    assert [a + b for a, b in zip(*ranks)] == whole


def test_frame_set_counts_what_it_leaves_out(dataset):
    sequences = read_data(str(dataset), "train")
    sequences[0].joints[4, 2] = np.nan
    frames = FrameSet(sequences, "train")
    assert len(frames) == 3 * FRAMES - 1 and "1 with NaN left out" in frames.summary()
    assert frames.rows[4].tolist() == [0, 5]
    with pytest.raises(EgostreamError, match="no usable frame"):
        FrameSet([], "nowhere (train)")


def test_an_unreadable_frame_is_named_and_replaced(dataset, monkeypatch, capsys):
    frames = frame_set(dataset)
    real = frames.reader.read

    def read(sequence, index):
        if index in (3, 4):
            raise EgostreamError(f"picture {sequence.images[index]} cannot be read")
        return real(sequence, index)

    monkeypatch.setattr(frames.reader, "read", read)
    sample = FrameDataset(frames, 128)[3, 0]
    np.testing.assert_array_equal(sample["joints"], frames.joints[5])
    assert sample["skipped"] == 2 and "000003.jpg" in capsys.readouterr().err
    monkeypatch.setattr(frames.reader, "read", lambda sequence, index: read(sequence, 3))
    with pytest.raises(EgostreamError, match="in a row"):
        FrameDataset(frames, 128)[3, 0]


# Windows


STEP_NS = 40_000_000


def test_windows_and_strides():
    times = frame_times(np.arange(100), 25)
    ends = lambda times, T, stride, step=1: window_ends(times, T, stride, step * STEP_NS, 25).tolist()
    assert ends(times, 64, 32) == [63, 95]
    assert ends(times[:50], 64, 32) == [49]  # shorter than a window: one of all its frames
    assert ends(times, 16, 8, 4) == [60, 92]
    at, valid = slots(times, 63, 64, STEP_NS)
    assert at.tolist() == list(range(64)) and valid.all()
    at, valid = slots(times, 60, 16, 4 * STEP_NS)
    assert at.tolist() == list(range(0, 61, 4)) and valid.all()
    at, valid = slots(times[:10], 9, 16, STEP_NS)
    assert valid.tolist() == [False] * 6 + [True] * 10 and at[valid].tolist() == list(range(10))


def test_a_sparse_recording_has_one_window_for_each_frame():
    track = SimpleNamespace(fps=1.5, numbers=np.arange(10))
    windows = WindowDataset([track], 2, 1, 1000 / 15, 1)
    assert windows.windows == [(0, frame) for frame in range(10)] and windows.filled() == 0.5


def test_gaps_are_absent_slots():
    times = frame_times(np.array([0, 1, 2, 5, 6, 9]), 25)
    at, valid = slots(times, 4, 6, STEP_NS)
    assert valid.tolist() == [True, True, False, False, True, True] and at[valid].tolist() == [1, 2, 3, 4]
    assert last_frame(times, 8 * STEP_NS, 25) == 4  # nothing at 8: the window ends at 6


@pytest.mark.parametrize(
    ("fps", "step_ms"),
    [(25.0, 66.6667), (30.0, 66.6667), (24.0, 40.0), (15.0, 66.6667), (59.94, 33.3333), (10.0, 66.6667)],
)
def test_windows_of_other_frame_rates_are_those_of_a_stream(fps, step_ms):
    rng, T = np.random.default_rng(0), 16
    numbers = np.sort(rng.choice(200, 170, replace=False))
    times, step_ns = frame_times(numbers, fps), round(step_ms * 1e6)
    stream, held = CausalWindow(T, step_ns), {}
    for n, t_ns in enumerate(times.tolist()):
        rows, expected = stream.select(t_ns)
        at, valid = slots(times, n, T, step_ns)
        assert at[-1] == n and valid[-1] and (valid[:-1] == expected).all()
        assert at[:-1][expected].tolist() == [held[row] for row in rows[expected]]
        held[stream.keep(t_ns)] = n


def track_of(F: int) -> Track:
    rng = np.random.default_rng(0)
    maps = Heatmaps.pack(list(rng.integers(0, 256, (F, 15, 64, 64), np.uint8)))
    joints = np.arange(F, dtype=np.float32)[:, None, None] + np.zeros((1, 15, 3), np.float32)
    features = np.repeat(np.arange(1, F + 1), 384).reshape(F, 384).astype(np.float16)
    return Track(np.arange(F), np.arange(F), 30.0, joints, np.ones(F, bool), features, maps)


def test_window_samples():
    track = track_of(40)
    windows = WindowDataset([track], 16, 8, 1000 / 30, per_window=5, training=True, jitter=True)
    prefixes, newest = [], set()
    for draw in range(60):
        s = windows[draw % len(windows), draw]
        assert s["chosen"].shape == (5,) and s["chosen"][-1] == 15 and s["weight"][-1] == 1
        counted = s["chosen"][s["weight"] > 0]
        assert len(set(counted)) == len(counted) and s["valid"][counted].all()
        assert (s["features"][:, 0] > 0).tolist() == s["valid"].tolist()
        np.testing.assert_array_equal(
            s["joints"][:, 0, 0] + 1,
            s["features"][s["chosen"], 0] * (s["weight"] > 0) + (s["row"] + 1) * (s["weight"] == 0),
        )
        np.testing.assert_array_equal(s["heatmaps"][-1], track.heatmaps[s["row"]])
        prefixes.append(int((~s["valid"]).sum()))
        newest.add(s["row"])
    assert 0 in prefixes and 5 < np.count_nonzero(prefixes) < 30 and max(prefixes) < 16
    assert len(newest) > len(windows)  # shifted
    val = WindowDataset([track], 16, 8, 1000 / 30, per_window=1)
    assert [val[row, 0]["row"] for row in range(len(val))] == [15, 23, 31, 39] and all(
        val[row, 0]["valid"].all() for row in range(len(val))
    )


def test_an_unreadable_newest_frame_has_no_weight(dataset, monkeypatch):
    frames = frame_set(dataset, "val")
    real = frames.reader.read

    def read(sequence, index):
        if index in (10, FRAMES - 1):
            raise EgostreamError("damaged")
        return real(sequence, index)

    monkeypatch.setattr(frames.reader, "read", read)
    windows = WindowDataset(
        features_module.plain_tracks(frames), FRAMES, 8, 1000 / 30, per_window=FRAMES, frames=frames
    )
    sample = windows[0, 0]
    assert np.flatnonzero(~sample["valid"]).tolist() == [10, FRAMES - 1]
    assert sample["weight"].tolist() == [float(n not in (10, FRAMES - 1)) for n in range(FRAMES)]


# Cached features


def test_heatmaps_survive_packing():
    maps = np.random.default_rng(0).integers(0, 256, (3, 15, 64, 64), np.uint8)
    packed = Heatmaps.pack(list(maps))
    for frame in (2, 0, 1):
        np.testing.assert_array_equal(packed[frame], maps[frame])


class CheapBackbone(torch.nn.Module):
    """Stands in for the ResNet-50, which takes seconds: 384 brightnesses."""

    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.linspace(0, 1, 384))

    def forward(self, frame):
        return frame.float().mean((1, 2, 3)).unsqueeze(1) / 255 * self.gain


class CheapHeatmaps(torch.nn.Module):
    def forward(self, x):
        return torch.nn.functional.adaptive_avg_pool2d(x, 64)[:, :1].expand(-1, 15, -1, -1)


def test_cache_is_resumed_keyed_and_repaired(dataset, tmp_path, capsys):
    frames, augmenter = frame_set(dataset), Augmenter(GEOMETRY)
    backbone = CheapBackbone()
    make = lambda: FeatureCache(tmp_path, CheapHeatmaps(), backbone, augmenter)  # noqa: E731
    tracks = make().tracks(frames, passes=2, workers=0)
    assert len(tracks) == 6 and all(len(track.features) == FRAMES for track in tracks)
    plain, turned = tracks[0], tracks[3]
    np.testing.assert_array_equal(plain.joints, frames.joints[:FRAMES])
    np.testing.assert_allclose(
        np.diff(turned.joints[..., 2], axis=0), np.diff(frames.joints[:FRAMES, turned_order(turned, frames), 2], axis=0)
    )
    brightness = np.array([frames.image(row).mean() / 255 for row in range(FRAMES)])
    np.testing.assert_allclose(plain.features[:, -1], brightness, rtol=2e-2)
    files = sorted(tmp_path.rglob("*.npz"))
    stamps = {file: file.stat().st_mtime_ns for file in files}
    files[0].write_bytes(files[0].read_bytes()[:1000])
    files[1].unlink()
    capsys.readouterr()
    again = make().tracks(frames, passes=2, workers=0)
    assert (
        "is damaged" in (message := capsys.readouterr().err)
        and files[0].name in message
        and "4 sequences are cached, 2 to compute" in message
    )
    assert [file.stat().st_mtime_ns == stamps[file] for file in files] == [False, False, True, True, True, True]
    for a, b in zip(tracks, again):
        np.testing.assert_array_equal(a.features, b.features)
        np.testing.assert_array_equal(a.heatmaps[7], b.heatmaps[7])
    backbone.gain.data += 1
    make().tracks(frames, passes=1, workers=0)
    assert len(list(tmp_path.iterdir())) == 2  # other weights, other folder


def turned_order(track, frames):
    """The joints' order after the turn, by their depth, which no turn changes."""
    same = np.allclose(track.joints[0, :, 2], frames.joints[0, :, 2])
    return np.arange(15) if same else MIRRORED


# Runs


def test_schedule():
    assert (
        schedule(0, 1000, 10, 0.1) == 1
        and schedule(1, 1000, 10, 0.1) == pytest.approx(0.1)
        and schedule(2, 1000, 10, 0) == pytest.approx(0)
    )
    assert schedule(0.5, 1000, 10, 0.1) == pytest.approx(0.55) and schedule(0, 0, 10, 0) == pytest.approx(0.1)


def test_a_full_disk_keeps_what_was_there(tmp_path):
    write_whole(tmp_path / "file", b"whole")
    (tmp_path / f".{os.getpid()}.file").mkdir()  # the next write fails
    with pytest.raises(EgostreamError, match="cannot write .*file"):
        write_whole(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"whole"


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


def heatmap_arguments(dataset, out, *more):
    common = "--size 128 --batch 2 --steps 6 --val-every 100 --val-frames 4 --workers 0 --warmup 2 --accelerator cpu --threads 1"
    return ["--data", str(dataset), "--out", str(out), *common.split(), *more]


def last(folder) -> dict:
    return torch.load(folder / "last.ckpt", weights_only=True)


def test_a_killed_run_goes_on_as_if_it_had_not_been(dataset, tmp_path, monkeypatch, capsys):
    tools.train_heatmap.main(heatmap_arguments(dataset, tmp_path / "whole"))
    with monkeypatch.context() as patch:
        real = HeatmapTraining.training_step

        def stop_after_three(self, batch, index):
            if self.trainer.global_step == 2:
                os.kill(os.getpid(), signal.SIGTERM)
            return real(self, batch, index)

        patch.setattr(HeatmapTraining, "training_step", stop_after_three)
        with pytest.raises(EgostreamError, match="stopped at step 3"):
            tools.train_heatmap.main(heatmap_arguments(dataset, tmp_path / "killed"))
    assert last(tmp_path / "killed")["global_step"] == 3 and not (tmp_path / "killed" / "heatmap.safetensors").exists()
    tools.train_heatmap.main(heatmap_arguments(dataset, tmp_path / "killed"))
    assert "resuming" in capsys.readouterr().err
    whole, resumed = last(tmp_path / "whole"), last(tmp_path / "killed")
    assert whole["global_step"] == resumed["global_step"] == 6
    for key, value in whole["state_dict"].items():
        if "skipped" not in key and "best" not in key:
            torch.testing.assert_close(resumed["state_dict"][key], value, rtol=1e-3, atol=1e-5)
    assert (tmp_path / "killed" / "overlay.png").stat().st_size > 1000
    # what cannot be resumed is said
    with pytest.raises(EgostreamError, match="another network"):
        tools.train_heatmap.main(heatmap_arguments(dataset, tmp_path / "killed", "--ema", "0"))
    (tmp_path / "killed" / "last.ckpt").write_bytes(b"PK\x03\x04 half")
    with pytest.raises(EgostreamError, match="cannot be resumed.*--restart"):
        tools.train_heatmap.main(heatmap_arguments(dataset, tmp_path / "killed"))


def test_time_ends_a_run_with_a_low_rate(tmp_path):
    keeper = RunKeeper(tmp_path, steps=10**6, minutes=2, checkpoint_minutes=1, warmup=1, final=0.1)
    trainer = type("Trainer", (), {"global_step": 500, "world_size": 1})()
    keeper.elapsed_s = 114.0
    assert keeper.fraction(trainer) == pytest.approx(0.95)
    keeper.load_state_dict({"elapsed_s": 60.0})
    assert keeper.fraction(trainer) == pytest.approx(0.5)


def test_a_run_killed_in_its_last_validation_still_gives_its_weights(dataset, tmp_path, capsys):
    tools.train_heatmap.main(heatmap_arguments(dataset, tmp_path, "--steps", "2"))
    kept = last(tmp_path)
    assert torch.isfinite(kept["state_dict"]["best_loss"])  # what a longer run has to beat
    (state,) = (state for state in kept["callbacks"].values() if "elapsed_s" in state)
    assert state["validated_step"] == 2
    # as SIGKILL leaves it: trained to the end, not validated, nothing written
    state["validated_step"] = -1
    kept["state_dict"]["best_loss"].fill_(float("inf"))
    torch.save(kept, tmp_path / "last.ckpt")
    whole = (tmp_path / "heatmap.safetensors").read_bytes()
    (tmp_path / "heatmap.safetensors").unlink()
    tools.train_heatmap.main(heatmap_arguments(dataset, tmp_path, "--steps", "2"))
    assert "at the end of its budget already" in capsys.readouterr().err
    assert (tmp_path / "heatmap.safetensors").read_bytes() == whole


def test_a_run_that_time_ended_knows_its_best(dataset, tmp_path):
    """Its validation comes after its last step; what it found must be beaten by a longer run."""
    tools.train_heatmap.main(heatmap_arguments(dataset, tmp_path, "--steps", "1000", "--max-minutes", "0.02"))
    kept = last(tmp_path)
    (state,) = (state for state in kept["callbacks"].values() if "elapsed_s" in state)
    assert 0 < kept["global_step"] == state["validated_step"] < 1000 and torch.isfinite(kept["state_dict"]["best_loss"])
    tools.train_heatmap.main(heatmap_arguments(dataset, tmp_path, "--steps", str(kept["global_step"] + 2)))
    assert last(tmp_path)["global_step"] == kept["global_step"] + 2  # and it can go on


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


def test_a_loss_that_is_no_number_stops_the_run(dataset, tmp_path, monkeypatch):
    real = HeatmapTraining.loss
    monkeypatch.setattr(HeatmapTraining, "loss", lambda self, *a: real(self, *a) * float("nan"))
    with pytest.raises(EgostreamError, match="the loss is nan at step 10.*Lower --lr"):
        tools.train_heatmap.main(heatmap_arguments(dataset, tmp_path, "--steps", "12", "--batch", "1"))


@pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [
        ("pose", ["--heatmap", "h", "--steps", "0"], "--steps 0"),
        ("pose", [], "--heatmap is needed"),
        ("pose", ["--heatmap", "h", "--cache", "c", "--train-backbone", "all"], "frozen backbone"),
        ("pose", ["--heatmap", "h", "--window", "1"], "--window 1"),
        ("heatmap", ["--ema", "1"], "--ema 1"),
        ("heatmap", ["--lr", "nan"], "--lr nan"),
    ],
)
def test_bad_options_are_refused(tool, arguments, message):
    module = tools.train_pose if tool == "pose" else tools.train_heatmap
    with pytest.raises(EgostreamError, match=message):
        module.main(["--data", "nowhere", "--out", "nowhere", *arguments])


def test_bad_sources_are_named(tmp_path):
    with pytest.raises(EgostreamError, match="no heatmap network in .*runs"):
        load_heatmap(HeatmapNetwork(), tmp_path / "runs")
    (tmp_path / "broken.safetensors").write_bytes(b"no")
    with pytest.raises(EgostreamError, match="broken.safetensors"):
        load_heatmap(HeatmapNetwork(), tmp_path / "broken.safetensors")
    with pytest.raises(EgostreamError, match="a list file is one split"):
        tools.train_heatmap.main(["--data", "egopw:list.txt", "--out", str(tmp_path)])


# The pose network


@pytest.mark.parametrize("temporal", ["window", "causal"])
def test_heads_equal_the_network(temporal):
    """What is trained on cached features is what the whole network computes."""
    spec = NetworkSpec(temporal=temporal, window=8)
    heads = PoseHeads(spec, np.zeros((15, 3))).eval()
    features, valid, maps = torch.randn(2, 8, 384), torch.ones(2, 8, dtype=torch.bool), torch.rand(2, 3, 15, 64, 64)
    chosen = torch.tensor([[0, 4, 7], [2, 2, 7]])
    with torch.no_grad():
        joints = heads(features, valid, maps, chosen)
        motion = heads.temporal(features, valid)
        for b in range(2):
            for m in range(3):
                expected = heads.decoder(heads.embedding(maps[b, m : m + 1]), motion[b, chosen[b, m]].unsqueeze(0))
                torch.testing.assert_close(joints[b, m], expected[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("off", ["tokens", "motion"])
def test_ablated_heads_ignore_their_input(off):
    heads = PoseHeads(NetworkSpec(window=8, **{f"use_{off}": False}), np.zeros((15, 3))).eval()
    valid, chosen = torch.ones(1, 8, dtype=torch.bool), torch.tensor([[7]])
    inputs = {"motion": torch.randn(1, 8, 384), "tokens": torch.rand(1, 1, 15, 64, 64)}
    base = heads(inputs["motion"], valid, inputs["tokens"], chosen)
    for name in inputs:
        changed = {key: value + (torch.randn_like(value) if key == name else 0) for key, value in inputs.items()}
        assert torch.equal(base, heads(changed["motion"], valid, changed["tokens"], chosen)) == (name == off)
    heads(inputs["motion"], valid, inputs["tokens"], chosen).sum().backward()
    assert all(
        p.grad is not None for p in heads.parameters() if p.requires_grad
    )  # none unused: DistributedDataParallel needs that


@pytest.mark.parametrize("earlier", [{"use_motion": False, "window": 2}, {}], ids=["spatial", "without identity"])
def test_a_new_part_is_silent_at_first(earlier, tmp_path, monkeypatch):
    """The full network that begins at a spatial one, or at one without joint identities, gives the same poses."""
    small = build_network(NetworkSpec(**earlier))
    tensors = {name: {k: v.numpy() for k, v in small.graph(name).state_dict().items()} for name in GRAPHS}
    weights = SimpleNamespace(network=small.spec.as_dict(), input=GEOMETRY)
    monkeypatch.setattr(tools.train_pose, "load_weights", lambda _: weights)
    monkeypatch.setattr(tools.train_pose, "load_tensors", lambda _, name: tensors[name])
    full = build_network(NetworkSpec(use_identity=True))
    assert tools.train_pose.load_whole(full, tmp_path, GEOMETRY) is not small.spec.use_motion
    tokens, motion = torch.randn(2, 15, 128), torch.randn(2, 384)
    with torch.no_grad():
        torch.testing.assert_close(full.decoder(tokens, motion), small.decoder(tokens, motion))


def test_weights_without_a_trained_backbone_do_not_start_motion(dataset, tmp_path, monkeypatch):
    """A spatial run's weights hold a backbone that nobody trained."""
    monkeypatch.setattr(tools.train_pose, "load_whole", lambda *_: True)
    monkeypatch.setattr(tools.train_pose, "load_weights", lambda _: SimpleNamespace(network={"use_motion": False}))
    arguments = [
        "--data",
        str(dataset),
        "--init",
        "runs/spatial/weights",
        "--out",
        str(tmp_path),
        "--cache",
        str(tmp_path / "cache"),
    ]
    with pytest.raises(
        EgostreamError, match="backbone of --init runs/spatial/weights was never trained: add --backbone"
    ):
        tools.train_pose.main(arguments)


def test_training_goes_on_in_the_time_of_the_weights_it_starts_from(capsys):
    """Their tensors fit every form, length and step: nothing later could tell."""
    start = str(default_weights().folder)
    options = tools.train_pose.parse(f"--data d --out o --init {start}".split())
    assert (options.temporal, options.window, options.step_ms) == (
        "causal",
        32,
        66.6667,
    ) and not capsys.readouterr().err
    options = tools.train_pose.parse(f"--data d --out o --init {start} --temporal window --window 32".split())
    assert (options.temporal, options.window, options.step_ms) == ("window", 32, 66.6667)
    assert "trained with causal where --temporal window is given" in capsys.readouterr().err
    options = tools.train_pose.parse("--data d --out o --heatmap h".split())
    assert (options.temporal, options.window, options.step_ms) == ("window", 64, None)


def test_causal_trains_on_twice_the_window_and_is_validated_on_one(dataset):
    options = tools.train_pose.parse(
        f"--data {dataset} --heatmap none --out none --temporal causal --window 4 --stride 4".split()
    )
    network = SimpleNamespace(spec=tools.train_pose.network_spec(options))
    train, val = tools.train_pose.make_windows(
        options, network, frame_set(dataset), frame_set(dataset, "val"), 1000 / 30
    )
    assert (train.T, val.T) == (8, 4) and len(val[0, 0]["valid"]) == 4


def test_absent_slots_have_no_feature_and_no_part_in_the_statistics():
    backbone = BackboneGraph()
    alone, frames = copy.deepcopy(backbone).train(), torch.randint(0, 256, (2, 3, 64, 64, 3), dtype=torch.uint8)
    valid = torch.tensor([[False, True, True], [False, False, True]])
    frames[~valid] = 255  # whatever lies there
    features, _ = Vision(HeatmapNetwork(), backbone, trained="all").train()(frames, valid, torch.tensor([[2], [2]]))
    torch.testing.assert_close(features[valid], alone(frames[valid]))
    assert not features[~valid].any() and features[valid].abs().max() > 0
    for (name, value), expected in zip(backbone.state_dict().items(), alone.state_dict().values()):
        torch.testing.assert_close(value, expected, msg=name)


@pytest.mark.parametrize(
    "spec", [NetworkSpec(), NetworkSpec(temporal="causal", window=32), NetworkSpec("released", window=32)], ids=str
)
def test_the_heads_make_no_tensor_on_another_device(spec):
    """All that training runs, on tensors that only say that they lie on a GPU."""
    heads = PoseHeads(spec, STANDING[None])
    own = heads.state_dict()
    with FakeTensorMode():
        on_gpu = lambda *shape, dtype=torch.float32: torch.empty(*shape, dtype=dtype, device="cuda")
        parameters = {name: on_gpu(*value.shape, dtype=value.dtype) for name, value in own.items()}
        batch = (
            on_gpu(2, 32, 384),
            on_gpu(2, 32, dtype=torch.bool),
            on_gpu(2, 3, 15, 64, 64),
            on_gpu(2, 3, dtype=torch.int64),
        )
        joints = torch.func.functional_call(heads, parameters, batch)
        assert joints.device.type == "cuda" and joints.shape == (2, 3, 15, 3)
        assert pose_loss(joints.flatten(0, 1), on_gpu(6, 15, 3)).device.type == "cuda"


def test_dropout_is_set_everywhere():
    heads = PoseHeads(NetworkSpec(window=4, use_identity=True), np.zeros((15, 3)), dropout=0.0).train()
    tokens, motion = torch.randn(2, 15, 128), torch.randn(2, 384)
    assert torch.equal(heads.decoder(tokens, motion), heads.decoder(tokens, motion))
    heads = PoseHeads(NetworkSpec(window=4), np.zeros((15, 3)), dropout=0.1).train()
    assert not torch.equal(heads.decoder(tokens, motion), heads.decoder(tokens, motion))


def test_the_embedding_learns_where_a_peak_lies(tmp_path, capsys):
    """From drawn heatmaps alone, and a run that is finished is not made again."""
    options = tools.train_pose.parse(
        f"--data none --heatmap none --out {tmp_path} --embedding-steps 40 --workers 0 --threads 1 --accelerator cpu --ema 0 --warmup 5".split()
    )
    network = SimpleNamespace(heatmap=SimpleNamespace(embedding=JointEmbedding()))
    untrained = copy.deepcopy(network.heatmap.embedding.state_dict())
    tools.train_pose.train_embedding(options, network)
    taught = float(re.search(r"told to ([0-9.]+) px", capsys.readouterr().out)[1])
    assert taught < 20  # in the middle always: 25
    assert not any(torch.equal(value, untrained[key]) for key, value in network.heatmap.embedding.state_dict().items())
    kept = copy.deepcopy(network.heatmap.embedding.state_dict())
    network.heatmap.embedding = JointEmbedding()
    tools.train_pose.train_embedding(options, network)
    assert all(torch.equal(value, kept[key]) for key, value in network.heatmap.embedding.state_dict().items())


def test_drawn_peaks_are_what_they_say():
    for draw in range(20):
        sample = DrawnPeaks(0)[0, draw]
        x, y = (sample["target"][:2] + 1) * 32
        if (sample["target"][2] > 0.3) and 8 < x < 56 and 8 < y < 56:
            (peak,), height = heatmap_peaks(sample["heatmap"])
            np.testing.assert_allclose(peak, (x, y), atol=0.3)
            assert height[0] == pytest.approx(sample["target"][2], abs=0.1)


def test_a_cached_sequence_that_cannot_be_written_ends_the_run(dataset, tmp_path, monkeypatch):
    """It is written beside the network's work: its failure must not be lost there."""

    def full(*_):
        raise EgostreamError("no space left")

    monkeypatch.setattr(features_module, "save_track", full)
    cache = FeatureCache(tmp_path, CheapHeatmaps(), CheapBackbone(), Augmenter(GEOMETRY))
    with pytest.raises(EgostreamError, match="no space left"):
        cache.tracks(frame_set(dataset), 1)
    assert not multiprocessing.active_children()  # Python would wait for them at its exit


def test_spatial_training_turns_cached_heatmaps(dataset):
    frames = frame_set(dataset)
    track = replace(
        track_of(8),
        heatmaps=Heatmaps.pack([np.stack([np.uint8(np.rint(255 * gaussian(20 + j, 40 - j))) for j in range(15)])] * 8),
    )
    turned = WindowDataset(
        [track], 2, 1, 1000 / 30, 1, training=True, frames=frames, augmenter=Augmenter(GEOMETRY, 20, 0.5)
    )
    plain = WindowDataset([track], 2, 1, 1000 / 30, 1, training=True, frames=frames)
    moved = [not np.allclose(turned[3, draw]["heatmaps"], plain[3, draw]["heatmaps"]) for draw in range(4)]
    assert all(moved)
    for draw in range(4):
        before, after = plain[3, draw]["joints"][0], turned[3, draw]["joints"][0]
        np.testing.assert_allclose(
            np.sort(before[:, 2]), np.sort(after[:, 2]), rtol=1e-6
        )  # turned about the optical axis
        assert not np.allclose(before, after)


@pytest.fixture(scope="session")
def trained(dataset, tmp_path_factory):
    """The commands of the CPU recipe on the tiny set: the runs' folder."""
    runs = tmp_path_factory.mktemp("runs")
    shipped = shipped_topologies("paper", "window")
    with pytest.MonkeyPatch.context() as patch:
        # exporting takes half a minute and is tested elsewhere; the shipped topologies are of this very network
        patch.setattr(
            tools.train_pose, "export_topologies", lambda _: {g: (shipped / f"{g}.onnx").read_bytes() for g in GRAPHS}
        )
        tools.train_heatmap.main(heatmap_arguments(dataset, runs / "heatmap", "--steps", "2"))
        common = [
            "--data",
            str(dataset),
            "--accelerator",
            "cpu",
            "--threads",
            "1",
            "--workers",
            "0",
            "--val-frames",
            "2",
            "--mirror",
            "0",
        ]
        backbone = (
            "--stage backbone --backbone scratch --backbone-size 128 --backbone-steps 2 --backbone-batch 2".split()
        )
        tools.train_pose.main([*common, "--out", str(runs / "backbone"), *backbone])
        pose = [
            "--heatmap",
            str(runs / "heatmap"),
            "--backbone",
            str(runs / "backbone"),
            "--cache",
            str(runs / "cache"),
            "--no-joint-identity",
            "--embedding-steps",
            "2",
        ]
        tools.train_pose.main(
            [*common, "--out", str(runs / "pose"), *pose, "--frames-per-window", "4", "--batch", "2", "--steps", "3"]
        )
    return runs


def test_the_commands_make_weights(trained):
    weights = load_weights(trained / "pose" / "weights")
    assert (weights.variant, weights.temporal, weights.window, weights.trained) == ("paper", "window", 64, True)
    assert weights.step_ms == pytest.approx(1000 / 30) and weights.input == GEOMETRY
    assert weights.metrics["val_mpjpe_mm"] > 0
    # the same windows through the cache and through the whole network in fp32
    assert weights.metrics["whole_mpjpe_mm"] == pytest.approx(weights.metrics["val_mpjpe_mm"], abs=1.0)
    network = load_network(weights)
    fresh = HeatmapNetwork()
    load_heatmap(fresh, trained / "heatmap")
    torch.testing.assert_close(network.heatmap.network.head.weight, fresh.head.weight)
    backbone = BackboneGraph()
    tools.train_pose.load_backbone(backbone, str(trained / "backbone"))
    torch.testing.assert_close(network.backbone.linear.weight, backbone.linear.weight)


def test_fine_tuning_end_to_end_trains_layer4_only(trained, dataset, tmp_path, monkeypatch):
    """The paper's way, from given weights: no cache, frames in, stem to layer3 and the heatmaps frozen."""
    monkeypatch.setattr(tools.train_pose, "write_weights", lambda *_: None)
    start = trained / "pose" / "weights"
    arguments = f"--init {start} --window 4 --stride 8 --batch 1 --steps 2 --workers 0 --val-frames 1 --accelerator cpu --threads 1 --ema 0".split()
    tools.train_pose.main(["--data", str(dataset), "--out", str(tmp_path), *arguments])
    before = load_network(load_weights(start))
    after = last(tmp_path)["state_dict"]
    moved = {
        name: not torch.equal(value, after[f"network.vision.backbone.{name}"])
        for name, value in before.backbone.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    below = ("resnet.conv1", "resnet.bn1", "resnet.layer1", "resnet.layer2", "resnet.layer3")
    assert not any(flag for name, flag in moved.items() if name.startswith(below))
    assert all(
        flag for name, flag in moved.items() if name.startswith(("resnet.layer4", "linear", "bn."))
    )  # statistics, too
    for name, value in before.heatmap.network.state_dict().items():
        assert torch.equal(value, after[f"network.vision.heatmap.{name}"])
