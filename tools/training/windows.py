"""Windows of frames at the trained step, as the stream gathers them: newest last, absent slots masked."""

from __future__ import annotations

import numpy as np
from torch.utils.data import Dataset

from egostream.infer.window import fill_slots
from tools.network.vision import FEATURE_CHANNELS
from tools.training.augment import Augmenter
from tools.training.feature_cache import Track, read_or_black
from tools.training.frames import FrameSet


def frame_times(numbers: np.ndarray, fps: float) -> np.ndarray:
    """Capture times of frames by their number, int64 ns."""
    return np.rint(numbers * (1e9 / fps)).astype(np.int64)


def last_frame(times: np.ndarray, t_ns, fps: float):
    """The last frame captured by then, give or take half a frame."""
    return np.searchsorted(times, t_ns + round(0.5e9 / fps), "right") - 1


def window_ends(times: np.ndarray, T: int, stride: int, step_ns: int, fps: float) -> np.ndarray:
    """Frames at which windows end, each once: every ``stride`` slots once a window is full. A shorter recording has one window."""
    ends = np.arange(times[0] + (T - 1) * step_ns, times[-1] + round(0.5e9 / fps) + 1, stride * step_ns)
    return np.unique(last_frame(times, ends, fps)) if len(ends) else np.array([len(times) - 1])


def slots(times: np.ndarray, newest: int, T: int, step_ns: int) -> tuple[np.ndarray, np.ndarray]:
    """Which frame [T] fills each slot of the window that ends at frame ``newest``, and whether one does: by the stream's own rule."""
    first = np.searchsorted(times, times[newest] - T * step_ns)
    at, valid = fill_slots(times[newest] - times[first:newest], T - 1, step_ns)
    return np.append(at + first, newest), np.append(valid, True)


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
        self.step_ns = round(step_ms * 1e6)
        self.jitter_ns = stride * self.step_ns if training and jitter else 0
        self.times = [frame_times(track.numbers, track.fps) for track in tracks]
        self.windows = [
            (i, int(end))
            for i, (track, times) in enumerate(zip(tracks, self.times))
            for end in window_ends(times, T, stride, self.step_ns, track.fps)
        ]

    def __len__(self) -> int:
        return len(self.windows)

    def filled(self, count: int = 200) -> float:
        """Share of the slots that the recordings have a frame for."""
        rows = np.linspace(0, len(self.windows) - 1, min(count, len(self.windows))).round().astype(int)
        return float(
            np.mean(
                [
                    slots(self.times[i], end, self.T, self.step_ns)[1].mean()
                    for i, end in map(self.windows.__getitem__, rows)
                ]
            )
        )

    def __getitem__(self, which: tuple[int, int]) -> dict:
        row, draw = which
        rng = np.random.default_rng([self.seed, 4, draw])
        i, newest = self.windows[row]
        track, times = self.tracks[i], self.times[i]
        if self.jitter_ns:
            newest = int(last_frame(times, times[newest] + rng.integers(0, self.jitter_ns), track.fps))
        at, valid = slots(times, newest, self.T, self.step_ns)
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
        picked = (
            np.sort(rng.choice(others, min(self.per_window - 1, len(others)), replace=False))
            if self.per_window > 1
            else others[:0]
        )
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
