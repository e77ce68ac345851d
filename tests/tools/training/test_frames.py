"""Which frames are trained on, in which order, and what becomes of one that cannot be read."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_people import FRAMES
from training_samples import (
    frame_set,
)

from egostream.errors import EgostreamError
from tools.data.datasets import read_data
from tools.training.frames import Draws, FrameDataset, FrameSet


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
