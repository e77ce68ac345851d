"""Windows of frames at the trained step, as the stream gathers them: newest last, absent slots masked."""

from __future__ import annotations

import numpy as np
from torch.utils.data import Dataset

from egostream.errors import EgostreamError
from tools.network.vision import FEATURE_CHANNELS
from tools.training.augment import Augmenter
from tools.training.data import FrameSet
from tools.training.features import Track, read_or_black


def frame_step(fps: float, step_ms: float) -> tuple[int, int]:
    """Frames per window slot, and slots per frame where a recording is sparser than that: one of the two is 1.

    Raises EgostreamError when the recording has no frames at that step.
    """
    exact = step_ms * fps / 1000
    step, spread = max(1, round(exact)), max(1, round(1 / exact))
    if abs(step / spread - exact) > 0.05 * exact:
        raise EgostreamError(
            f"recordings at {fps:g} fps have no frames {step_ms:.1f} ms apart. Give --step-ms, a multiple or a whole part of {1000 / fps:.1f}"
        )
    return step, spread


def newest_numbers(numbers: np.ndarray, T: int, stride: int, step: int) -> np.ndarray:
    """Numbers of the frames at which windows end, each once: every ``stride`` slots when a window is full. A shorter recording
    has one window.
    """
    first = numbers[0] + (T - 1) * step
    if first > numbers[-1]:
        return numbers[-1:]
    ends = np.arange(first, numbers[-1] + 1, stride * step)
    return np.unique(numbers[np.searchsorted(numbers, ends, "right") - 1])


def slots(numbers: np.ndarray, newest: int, T: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Which frame [T] fills each slot of the window that ends at or before frame number ``newest``, and whether one does."""
    end = numbers[np.searchsorted(numbers, newest, "right") - 1]
    wanted = end - step * np.arange(T - 1, -1, -1)
    at = np.searchsorted(numbers, wanted).clip(0, len(numbers) - 1)
    return at, numbers[at] == wanted


class WindowDataset(Dataset):
    """Windows by (row, draw). Training draws where they end, how much of their past is missing, and which frames count.

    A stream begins with an empty window: in a quarter of the windows a random number of the oldest slots is masked.
    ``per_window`` frames are estimated, the newest always among them: the stream reads no other.
    """

    def __init__(
        self, tracks: list[Track], T: int, stride: int, step_ms: float, per_window: int, seed: int = 0,
        training: bool = False, jitter: bool = False, frames: FrameSet | None = None, augmenter: Augmenter | None = None,
    ):  # fmt: skip
        self.tracks, self.T, self.per_window, self.seed, self.training = tracks, T, min(per_window, T), seed, training
        self.frames, self.augmenter, self.stride, self.step_ms = frames, augmenter, stride, step_ms
        self.steps, spreads = zip(*(frame_step(track.fps, step_ms) for track in tracks))
        self.numbers = [track.numbers * spread for track, spread in zip(tracks, spreads)]
        self.jitter = stride if jitter else 1
        self.windows = [
            (i, int(newest)) for i, numbers in enumerate(self.numbers) for newest in newest_numbers(numbers, T, stride, self.steps[i])
        ]

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, which: tuple[int, int]) -> dict:
        row, draw = which
        rng = np.random.default_rng([self.seed, 4, draw])
        i, newest = self.windows[row]
        track, step = self.tracks[i], self.steps[i]
        if self.training:
            newest += int(rng.integers(0, self.jitter * step)) if self.jitter > 1 else 0
        at, valid = slots(self.numbers[i], newest, self.T, step)
        valid = valid & track.readable[at]
        if self.training and rng.random() < 0.25:
            valid[: rng.integers(0, self.T)] = False
        if self.training and rng.random() < 0.25:  # dropped frames, and cameras slower than the step
            valid[:-1] &= rng.random(self.T - 1) < rng.uniform(0.4, 1)
        chosen, weight = self.choose(rng, valid)
        sample = {"valid": valid, "chosen": chosen, "weight": weight, "row": int(track.rows[at[-1]])}
        if track.features is not None:
            return sample | self.cached(rng, track, at, valid, chosen)
        return sample | self.pictures(rng, track, at, valid, chosen, weight)

    def cached(self, rng, track: Track, at, valid, chosen) -> dict:
        """Features and heatmaps of the cache. Heatmaps can be turned, what the backbone would have seen then is not known."""
        features = np.zeros((self.T, FEATURE_CHANNELS), np.float32)
        features[valid] = track.features[at[valid]]
        heatmaps, joints = np.stack([track.heatmaps[frame] for frame in at[chosen]]), track.joints[at[chosen]]
        if self.augmenter and self.augmenter.turner:
            turn, turner = self.augmenter.draw_turn(rng), self.augmenter.turner
            heatmaps, joints = np.stack([turner.heatmaps(turn, maps) for maps in heatmaps]), turner.joints(turn, joints)
        return {"features": features, "heatmaps": heatmaps, "joints": joints}

    def choose(self, rng, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Slots [M] to estimate, the newest last, and their weight [M]: 0 for a filler where too few are present."""
        others = np.flatnonzero(valid[:-1])
        picked = np.sort(rng.choice(others, min(self.per_window - 1, len(others)), replace=False)) if self.per_window > 1 else others[:0]
        fill = self.per_window - 1 - len(picked)
        chosen = np.concatenate([np.full(fill, self.T - 1), picked, [self.T - 1]]).astype(np.int64)
        weight = np.concatenate([np.zeros(fill), np.ones(len(picked)), [float(valid[-1])]]).astype(np.float32)
        return chosen, weight

    def pictures(self, rng, track: Track, at, valid, chosen, weight) -> dict:
        """The frames themselves, turned and coloured as one."""
        images, joints = [], track.joints[at]
        turn = self.augmenter.draw_turn(rng) if self.augmenter else None
        looks = int(rng.integers(1 << 31))
        for slot, frame in enumerate(at):
            image, readable = read_or_black(self.frames, int(track.rows[frame])) if valid[slot] else (None, False)
            if not readable:
                image, valid[slot] = np.zeros((256, 256, 3), np.uint8), False
                weight[chosen == slot] = 0
            elif turn is not None:
                points = self.frames.keypoints[track.rows[frame]]
                image, joints[slot], _ = self.augmenter.turned(turn, image, joints[slot], points)
                image = self.augmenter.looks(np.random.default_rng(looks), image)
            images.append(image)
        return {"frames": np.stack(images), "joints": joints[chosen]}
