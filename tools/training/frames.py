"""Frames for training: which exist, in which order they are drawn, and what to do about one that cannot be read.

The order and every augmentation are functions of (seed, step), so that a resumed run sees what an uninterrupted one
would have seen.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from egostream.calibration.view import HEATMAP_SIZE
from egostream.errors import EgostreamError
from tools.data import datasets
from tools.data.inputs import InputReader
from tools.data.sequence import Sequence
from tools.training.augment import Augmenter

PREFETCHED = 4  # batches that each worker loads ahead. Chosen by hand; not measured
MOST_UNREADABLE = 100  # frames in a row: then the data is gone, and not a frame


class FrameSet:
    """All frames of some sequences, N of them; rows [N, 2] say which: number of the sequence, and of its frame.

    joints [N, 15, 3] are in metres, camera axes; keypoints [N, 15, 2] in heatmap coordinates; visible is bool [N, 15].
    Frames whose annotation is not finite are left out and counted in ``summary``.
    """

    def __init__(self, sequences: list[Sequence], source: str):
        """source: what errors name. Raises EgostreamError when there is no frame, or not one input geometry."""
        geometries = {sequence.geometry for sequence in sequences}
        if len(geometries) > 1:
            raise EgostreamError(
                f"{source}: sequences of different input geometries {sorted(map(str, geometries))}; train them apart"
            )
        self.sequences, self.left_out = sequences, 0
        nothing = EgostreamError(f"{source} holds no usable frame. Make some: python tools/make_synthetic.py --help")
        if not sequences:
            raise nothing
        rows, joints, keypoints, visible = [], [], [], []
        self.reader = InputReader(sequences[0].geometry)
        for number, sequence in enumerate(sequences):
            points = np.asarray(self.reader.keypoints(sequence), np.float32)
            finite = np.isfinite(sequence.joints).all((1, 2))
            self.left_out += int((~finite).sum())
            kept = np.flatnonzero(finite)
            rows.append(np.column_stack([np.full(len(kept), number), kept]))
            joints.append(np.asarray(sequence.joints, np.float32)[kept])
            keypoints.append(points[kept])
            inside: np.ndarray = np.all(np.isfinite(points) & (points >= 0) & (points < HEATMAP_SIZE), -1)
            visible.append((inside if sequence.visible is None else inside & sequence.visible)[kept])
        if not sum(map(len, rows)):
            raise nothing
        self.rows, self.joints = np.concatenate(rows), np.concatenate(joints)
        self.keypoints, self.visible = np.concatenate(keypoints), np.concatenate(visible)
        self.geometry = sequences[0].geometry

    def __len__(self) -> int:
        return len(self.rows)

    def image(self, row: int) -> np.ndarray:
        """uint8 RGB [256, 256, 3]. Raises EgostreamError naming a file that cannot be read."""
        number, frame = self.rows[row]
        return np.ascontiguousarray(self.reader.read(self.sequences[number], int(frame)))

    def summary(self) -> str:
        """How many sequences and frames there are, and what was left out."""
        why = sum(sum(sequence.left_out.values()) for sequence in self.sequences)
        lost = [f"{why} frames left out by the reader"] if why else []
        lost += [f"{self.left_out} with NaN left out"] if self.left_out else []
        empty = [sequence.name for sequence in self.sequences if not len(sequence)]
        lost += [f"{len(empty)} sequences without any that can be used, the first {empty[0]}"] if empty else []
        return ", ".join([f"{len(self.sequences)} sequences, {len(self)} frames", *lost])


def load_frame_set(specs: list[str], split: str) -> FrameSet:
    """Every sequence of one split of one or more data specs, counted on stderr."""
    sequences = [sequence for spec in specs for sequence in datasets.read_data(spec, split)]
    frames = FrameSet(sequences, f"{' '.join(specs)} ({split})")
    if os.environ.get("RANK", "0") == "0":  # torchrun's
        print(f"{split}: {frames.summary()}", file=sys.stderr)
    return frames


def fit_size(image: np.ndarray, size: int) -> np.ndarray:
    """A square picture, ``size`` pixels wide."""
    return image if image.shape[0] == size else cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)


class FrameDataset(Dataset):
    """Single frames by (row, draw): the draw seeds the augmentation.

    A frame that cannot be read is replaced by the next. augmenter: None leaves frames as they are.
    """

    def __init__(self, frames: FrameSet, size: int, augmenter: Augmenter | None = None, seed: int = 0):
        self.frames, self.size, self.augmenter, self.seed = frames, size, augmenter, seed

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, which: tuple[int, int]) -> dict:
        row, draw = which
        image, row, skipped = self.readable(row)
        image = fit_size(image, self.size)
        joints, keypoints = self.frames.joints[row], self.frames.keypoints[row]
        if self.augmenter is not None:
            rng = np.random.default_rng([self.seed, draw])
            image, joints, keypoints = self.augmenter.turned(self.augmenter.draw_turn(rng), image, joints, keypoints)
            image = self.augmenter.looks(rng, image)
        return {
            "frame": image,
            "joints": joints,
            "keypoints": keypoints,
            "visible": self.frames.visible[row],
            "skipped": skipped,
        }

    def readable(self, row: int) -> tuple[np.ndarray, int, int]:
        """The frame, or the first readable one after it, and how many were passed over."""
        for skipped in range(min(len(self), MOST_UNREADABLE)):
            at = (row + skipped) % len(self)
            try:
                return self.frames.image(at), at, skipped
            except EgostreamError as error:
                print(f"{error}; another frame is used instead", file=sys.stderr)
                problem = error
        raise EgostreamError(f"{MOST_UNREADABLE} frames in a row cannot be read, the last: {problem}")


class Draws:
    """Batches of (row, draw) for the steps from ``start`` to ``steps``: a new permutation of all rows each epoch.

    rank, world: this process's share of each step, with several GPUs or machines.
    """

    def __init__(self, rows: int, batch: int, steps: int, seed: int = 0, start: int = 0, rank: int = 0, world: int = 1):
        self.rows, self.batch, self.steps, self.seed = rows, batch, steps, seed
        self.start, self.rank, self.world = start, rank, world

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, order = -1, np.arange(0)
        for step in range(self.start, self.steps):
            batch = []
            first = (step * self.world + self.rank) * self.batch
            for draw in range(first, first + self.batch):
                if draw // self.rows != epoch:
                    epoch = draw // self.rows
                    order = np.random.default_rng([self.seed, 1, epoch]).permutation(self.rows)
                batch.append((int(order[draw % self.rows]), draw))
            yield batch


def spread(count: int, limit: int) -> np.ndarray:
    """At most ``limit`` of 0..count-1, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, limit)).round().astype(int))


def one_thread(_worker: int) -> None:
    """Set up a worker process. Workers share the cores with the network, and need one thread each.

    When the whole group is signalled, they leave it to the main process to end a run.
    """
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def make_loader(dataset: Dataset, batches: Any, workers: int, once: bool = False) -> DataLoader:
    """A loader of ``batches``, any iterable of lists of what the dataset takes.

    once: its processes end with the first pass, or with an error in it. Lightning ends those of its loaders. Of any
    other, Python would wait at its exit for processes that take no signal.
    """
    return DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=workers,
        worker_init_fn=one_thread,
        persistent_workers=workers > 0 and not once,
        pin_memory=torch.cuda.is_available(),
        prefetch_factor=PREFETCHED if workers else None,
    )


def chunks(rows: np.ndarray, batch: int) -> list[list[tuple[int, int]]]:
    """Fixed batches of (row, 0) for validation."""
    return [[(int(row), 0) for row in rows[start : start + batch]] for start in range(0, len(rows), batch)]
