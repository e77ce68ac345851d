"""Windows are those of a stream; what training draws of them."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from drawn_people import FRAMES
from training_samples import (
    GEOMETRY,
    frame_set,
    gaussian,
    track_of,
)

from egostream.errors import EgostreamError
from egostream.infer.window import CausalWindow
from tools.training import feature_cache
from tools.training.augment import Augmenter
from tools.training.feature_cache import Heatmaps
from tools.training.windows import (
    WindowDataset,
    WindowDrawing,
    WindowShape,
    frame_times,
    last_frame,
    slots,
    window_ends,
)

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
    windows = WindowDataset([track], WindowShape(2, 1, 1000 / 15))
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


def test_window_samples():
    track = track_of(40)
    windows = WindowDataset([track], WindowShape(16, 8, 1000 / 30, per_window=5), drawing=WindowDrawing(jitter=True))
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
    val = WindowDataset([track], WindowShape(16, 8, 1000 / 30))
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
    windows = WindowDataset(feature_cache.plain_tracks(frames), WindowShape(FRAMES, 8, 1000 / 30, FRAMES), frames)
    sample = windows[0, 0]
    assert np.flatnonzero(~sample["valid"]).tolist() == [10, FRAMES - 1]
    assert sample["weight"].tolist() == [float(n not in (10, FRAMES - 1)) for n in range(FRAMES)]


def test_spatial_training_turns_cached_heatmaps(dataset):
    frames = frame_set(dataset)
    track = replace(
        track_of(8),
        heatmaps=Heatmaps.pack([np.stack([np.uint8(np.rint(255 * gaussian(20 + j, 40 - j))) for j in range(15)])] * 8),
    )
    shape, drawing = WindowShape(2, 1, 1000 / 30), WindowDrawing()
    turned = WindowDataset([track], shape, frames, Augmenter(GEOMETRY, 20, 0.5), drawing)
    plain = WindowDataset([track], shape, frames, drawing=drawing)
    moved = [not np.allclose(turned[3, draw]["heatmaps"], plain[3, draw]["heatmaps"]) for draw in range(4)]
    assert all(moved)
    for draw in range(4):
        before, after = plain[3, draw]["joints"][0], turned[3, draw]["joints"][0]
        np.testing.assert_allclose(
            np.sort(before[:, 2]), np.sort(after[:, 2]), rtol=1e-6
        )  # turned about the optical axis
        assert not np.allclose(before, after)
