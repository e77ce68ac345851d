"""The cache of features: resumed, keyed by what made it, repaired."""

from __future__ import annotations

import multiprocessing

import numpy as np
import pytest
from drawn_people import FRAMES
from training_samples import (
    GEOMETRY,
    CheapBackbone,
    CheapHeatmaps,
    frame_set,
)

from egostream.errors import EgostreamError
from tools.training import feature_cache
from tools.training.augment import MIRRORED, Augmenter
from tools.training.feature_cache import FeatureCache, Heatmaps


def test_heatmaps_survive_packing():
    maps = np.random.default_rng(0).integers(0, 256, (3, 15, 64, 64), np.uint8)
    packed = Heatmaps.pack(list(maps))
    for frame in (2, 0, 1):
        np.testing.assert_array_equal(packed[frame], maps[frame])


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


def test_a_cached_sequence_that_cannot_be_written_ends_the_run(dataset, tmp_path, monkeypatch):
    """It is written beside the network's work: its failure must not be lost there."""

    def full(*_):
        raise EgostreamError("no space left")

    monkeypatch.setattr(feature_cache, "save_track", full)
    cache = FeatureCache(tmp_path, CheapHeatmaps(), CheapBackbone(), Augmenter(GEOMETRY))
    with pytest.raises(EgostreamError, match="no space left"):
        cache.tracks(frame_set(dataset), 1)
    assert not multiprocessing.active_children()  # Python would wait for them at its exit
