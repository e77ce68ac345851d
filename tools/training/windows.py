"""Windows of frames at the trained step, as the stream gathers them: newest last, absent slots masked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch.utils.data import Dataset

from egostream.calibration.view import INPUT_SIZE
from egostream.infer.window import fill_slots
from tools.network.vision import FEATURE_CHANNELS
from tools.training.augment import Augmenter
from tools.training.feature_cache import Track, read_or_black
from tools.training.frames import FrameSet

# Chosen by hand; not measured.
MASKED_BEGINNINGS, WITH_GAPS = 0.25, 0.25  # shares of the training windows
KEPT = (0.4, 1.0)  # share of its frames that a window with gaps keeps, drawn between these


@dataclass(frozen=True)
class WindowShape:
    """What a window is."""

    T: int  # slots, newest last
    stride: int  # slots between the ends of two windows
    step_ms: float  # time between two slots
    per_window: int = 1  # frames estimated in each, the newest always among them; more than T: all

    @property
    def step_ns(self) -> int:
        """Time between two slots, ns."""
        return round(self.step_ms * 1e6)

    @property
    def estimated(self) -> int:
        """Frames estimated in each window, 1 to T."""
        return min(self.per_window, self.T)


@dataclass(frozen=True)
class WindowDrawing:
    """What training draws at random of its windows."""

    seed: int = 0
    jitter: bool = False  # windows end up to a stride later, at random; False: always where they were cut


def frame_times(numbers: np.ndarray, fps: float) -> np.ndarray:
    """Capture times of frames by their number, int64 ns."""
    return np.rint(numbers * (1e9 / fps)).astype(np.int64)


def last_frame(times: np.ndarray, t_ns: np.ndarray | int, fps: float) -> np.ndarray:
    """Index of the last frame captured by ``t_ns``, give or take half a frame. times: int64 [F] ns, rising."""
    return np.searchsorted(times, t_ns + round(0.5e9 / fps), "right") - 1


def window_ends(times: np.ndarray, T: int, stride: int, step_ns: int, fps: float) -> np.ndarray:
    """Indices of the frames at which windows of T slots end, each once.

    Windows end every ``stride`` slots once one is full. A recording shorter than a window has one, of all its frames.
    """
    ends = np.arange(times[0] + (T - 1) * step_ns, times[-1] + round(0.5e9 / fps) + 1, stride * step_ns)
    return np.unique(last_frame(times, ends, fps)) if len(ends) else np.array([len(times) - 1])


def slots(times: np.ndarray, newest: int, T: int, step_ns: int) -> tuple[np.ndarray, np.ndarray]:
    """Frame in each slot of the window that ends at frame ``newest``, int [T], and whether there is one, bool [T].

    Slots are filled by the stream's own rule.
    """
    first = np.searchsorted(times, times[newest] - T * step_ns)
    at, valid = fill_slots(times[newest] - times[first:newest], T - 1, step_ns)
    return np.append(at + first, newest), np.append(valid, True)


class WindowDataset(Dataset):
    """Windows by (row, draw), of cached features where the tracks have them, otherwise of ``frames``.

    ``drawing`` is what training draws: where windows end, how much of their past is missing, and which frames count.
    A stream begins with an empty window: in a quarter of these a random number of the oldest slots is masked. None:
    every window whole, as validation takes them. augmenter: turns and colours a window as one; None: as recorded.
    """

    def __init__(
        self,
        tracks: list[Track],
        shape: WindowShape,
        frames: FrameSet | None = None,
        augmenter: Augmenter | None = None,
        drawing: WindowDrawing | None = None,
    ):
        self.tracks, self.shape, self.frames, self.augmenter = tracks, shape, frames, augmenter
        self.drawing, self.seed = drawing, drawing.seed if drawing else 0
        self.jitter_ns = shape.stride * shape.step_ns if drawing and drawing.jitter else 0
        self.times = [frame_times(track.numbers, track.fps) for track in tracks]
        self.windows = [
            (i, int(end))
            for i, (track, times) in enumerate(zip(tracks, self.times))
            for end in window_ends(times, shape.T, shape.stride, shape.step_ns, track.fps)
        ]

    def __len__(self) -> int:
        return len(self.windows)

    def slots(self, track: int, newest: int) -> tuple[np.ndarray, np.ndarray]:
        """``slots`` of one of the tracks, by its number."""
        return slots(self.times[track], newest, self.shape.T, self.shape.step_ns)

    def filled(self, count: int = 200) -> float:
        """Share of the slots that the recordings have a frame for, of ``count`` windows evenly spaced."""
        rows = np.linspace(0, len(self.windows) - 1, min(count, len(self.windows))).round().astype(int)
        return float(np.mean([self.slots(*self.windows[row])[1].mean() for row in rows]))

    def __getitem__(self, which: tuple[int, int]) -> dict:
        """A window: valid [T], and of its M estimated frames chosen, weight, joints [M, 15, 3]; row of the newest.

        With these, features [T, 384] and heatmaps uint8 [M, 15, 64, 64], or frames uint8 [T, 256, 256, 3].
        """
        row, draw = which
        rng = np.random.default_rng([self.seed, 4, draw])
        number, newest = self.windows[row]
        track, times = self.tracks[number], self.times[number]
        if self.jitter_ns:
            newest = int(last_frame(times, times[newest] + rng.integers(0, self.jitter_ns), track.fps))
        at, valid = self.slots(number, newest)
        valid = valid & track.readable[at]
        if self.drawing:
            self.hide_some(rng, valid)
        chosen, weight = self.choose(rng, valid)
        sample = {"valid": valid, "chosen": chosen, "weight": weight, "row": int(track.rows[at[-1]])}
        if track.features is not None:
            return sample | self.cached(rng, track, at, valid, chosen)
        return sample | self.pictures(rng, track, at, valid, chosen, weight)

    def hide_some(self, rng: np.random.Generator, valid: np.ndarray) -> None:
        """Mask slots [T] in place, never the newest.

        Streams begin with an empty window, frames are dropped, and cameras can be slower than the step.
        """
        T = self.shape.T
        if rng.random() < MASKED_BEGINNINGS:
            valid[: rng.integers(0, T)] = False
        if rng.random() < WITH_GAPS:
            valid[:-1] &= rng.random(T - 1) < rng.uniform(*KEPT)

    def choose(self, rng: np.random.Generator, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Slots [M] to estimate, the newest last, and their weight [M]: 0 for a filler where too few are present."""
        T, count = self.shape.T, self.shape.estimated - 1
        others = np.flatnonzero(valid[:-1])
        picked = np.sort(rng.choice(others, min(count, len(others)), replace=False)) if count else others[:0]
        fill = count - len(picked)
        chosen = np.concatenate([np.full(fill, T - 1), picked, [T - 1]]).astype(np.int64)
        weight = np.concatenate([np.zeros(fill), np.ones(len(picked)), [float(valid[-1])]]).astype(np.float32)
        return chosen, weight

    def cached(
        self, rng: np.random.Generator, track: Track, at: np.ndarray, valid: np.ndarray, chosen: np.ndarray
    ) -> dict:
        """Features, heatmaps and joints out of the cache.

        An augmenter turns heatmaps and joints alone: what the backbone would have seen then is not known.
        """
        assert track.features is not None and track.heatmaps is not None, "only tracks of a cache come here"
        features = np.zeros((self.shape.T, FEATURE_CHANNELS), np.float32)
        features[valid] = track.features[at[valid]]
        heatmaps, joints = np.stack([track.heatmaps[frame] for frame in at[chosen]]), track.joints[at[chosen]]
        if self.augmenter and self.augmenter.turner:
            turn, turner = self.augmenter.draw_turn(rng), self.augmenter.turner
            heatmaps, joints = np.stack([turner.heatmaps(turn, maps) for maps in heatmaps]), turner.joints(turn, joints)
        return {"features": features, "heatmaps": heatmaps, "joints": joints}

    def pictures(
        self,
        rng: np.random.Generator,
        track: Track,
        at: np.ndarray,
        valid: np.ndarray,
        chosen: np.ndarray,
        weight: np.ndarray,
    ) -> dict:
        """The frames themselves and joints, turned and coloured as one.

        Slots that cannot be read lose their ``valid`` and ``weight``, in place.
        """
        assert self.frames is not None, "tracks without features need their frames"
        images, joints = [], track.joints[at]
        turn = self.augmenter.draw_turn(rng) if self.augmenter else None
        looks = int(rng.integers(1 << 31))
        for slot, frame in enumerate(at):
            row = int(track.rows[frame])
            image, readable = read_or_black(self.frames, row) if valid[slot] else (None, False)
            if image is None or not readable:
                image, valid[slot] = np.zeros((INPUT_SIZE, INPUT_SIZE, 3), np.uint8), False
                weight[chosen == slot] = 0
            elif self.augmenter and turn is not None:
                points = self.frames.keypoints[row]
                image, joints[slot], _ = self.augmenter.turned(turn, image, joints[slot], points)
                image = self.augmenter.looks(np.random.default_rng(looks), image)
            images.append(image)
        return {"frames": np.stack(images), "joints": joints[chosen]}
