"""What the frozen graphs make of every frame, kept on disk: computed once, read in every epoch.

One file per sequence and pass, written whole: a run that is killed goes on with the next sequence. Pass 0 is the frames
as they are; the others are augmented, each sequence turned as one so that its windows stay consistent. The folder is
named after the weights and the augmentation, the files after the sequence's contents: nothing stale is ever read.
"""

from __future__ import annotations

import hashlib
import io
import os
import sys
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from torch import nn
from torch.utils.data import Dataset

from egostream.calibration.view import HEATMAP_SIZE, INPUT_SIZE
from egostream.errors import EgostreamError
from egostream.files import write_whole
from egostream.skeleton import JOINT_COUNT
from tools.network.vision import FEATURE_CHANNELS, Normalise
from tools.paced import Paced
from tools.training.augment import Augmenter
from tools.training.frames import FrameSet, make_loader

MAX_SAVING = 64  # sequences that wait to be written
AT_ONCE = {"cpu": 16, "gpu": 64}  # frames through the networks. Chosen by hand; not measured
LOOKS_FRAMES = 64  # consecutive frames that share one look: cameras do not change theirs with every frame


class Heatmaps:
    """Heatmaps of consecutive frames, uint8 [15, 64, 64] each, compressed on their own."""

    def __init__(self, data: bytes, offsets: np.ndarray):
        self.data, self.offsets = data, offsets

    @classmethod
    def pack(cls, heatmaps: list[np.ndarray]) -> Heatmaps:
        """heatmaps: uint8 [15, 64, 64] each, in 1/255."""
        pieces = [zlib.compress(maps.tobytes(), 1) for maps in heatmaps]
        return cls(b"".join(pieces), np.cumsum([0, *map(len, pieces)]))

    def __getitem__(self, frame: int) -> np.ndarray:
        piece = self.data[self.offsets[frame] : self.offsets[frame + 1]]
        return np.frombuffer(zlib.decompress(piece), np.uint8).reshape(JOINT_COUNT, HEATMAP_SIZE, HEATMAP_SIZE)


@dataclass(frozen=True)
class Track:
    """One sequence as windows are cut from it: frame numbers in order, poses, and what is known of each frame."""

    rows: np.ndarray  # int [F], of the FrameSet
    numbers: np.ndarray  # int [F], capture order with gaps
    fps: float
    joints: np.ndarray  # float32 [F, 15, 3]
    readable: np.ndarray  # bool [F]
    features: np.ndarray | None = None  # float16 [F, 384]; None: made from the frames
    heatmaps: Heatmaps | None = None


def plain_tracks(frames: FrameSet) -> list[Track]:
    """The sequences of a set, without cached features."""
    tracks = []
    for number, sequence in enumerate(frames.sequences):
        rows = np.flatnonzero(frames.rows[:, 0] == number)
        if len(rows):
            numbers = np.asarray(sequence.frames)[frames.rows[rows, 1]]
            tracks.append(Track(rows, numbers, sequence.fps, frames.joints[rows], np.ones(len(rows), bool)))
    return tracks


class FeatureCache:
    """Features of the two frozen vision networks, by pass. Without a backbone the features are zeros: spatial only."""

    def __init__(
        self, folder: Path, heatmap: nn.Module, backbone: nn.Module | None, augmenter: Augmenter, seed: int = 0
    ):
        """backbone: None for features of zeros. augmenter, seed: of every pass but the first."""
        self.heatmap, self.backbone = heatmap.eval(), backbone.eval() if backbone else None
        self.augmenter, self.seed = augmenter, seed
        self.device = next((backbone or heatmap).parameters()).device
        self.normalise = Normalise().to(self.device)
        weights = hashlib.sha256()
        for network in filter(None, (heatmap, backbone)):
            for key, value in sorted(network.state_dict().items()):
                if not key.endswith("num_batches_tracked"):
                    weights.update(key.encode() + value.detach().cpu().float().numpy().tobytes())
        self.folder = Path(folder) / weights.hexdigest()[:16]

    def path(self, frames: FrameSet, track: Track, number: int) -> Path:
        """The file of one sequence in one pass."""
        sequence = frames.sequences[frames.rows[track.rows[0], 0]]
        digest = hashlib.sha256(track.joints.tobytes() + track.numbers.astype(np.int64).tobytes())
        digest.update(f"{frames.geometry} {sequence.camera}".encode())
        for row in track.rows:
            image = sequence.images[frames.rows[row, 1]]
            size = image.stat().st_size if isinstance(image, Path) else len(image.read_bytes())
            digest.update(f"{Path(str(image)).name} {size}\n".encode())
        if number:
            a = self.augmenter
            digest.update(f"{a.rotate} {a.mirror} {a.strength} {self.seed}".encode())
        return self.folder / f"{sequence.name.replace('/', '-')}-{digest.hexdigest()[:12]}-pass{number}.npz"

    def tracks(self, frames: FrameSet, passes: int, batch: int | None = None, workers: int = 1) -> list[Track]:
        """Every sequence in every pass; what is not there yet is computed.

        batch: frames at once; None: what suits the device. workers: data loading processes, 0: none.
        """
        batch = batch or AT_ONCE["cpu" if self.device.type == "cpu" else "gpu"]
        wanted = [
            (number, track, self.path(frames, track, number))
            for number in range(passes)
            for track in plain_tracks(frames)
        ]
        loaded = {path: load_track(path, track) for _, track, path in wanted}
        missing = [one for one in wanted if loaded[one[2]] is None]
        if missing:
            self.compute(frames, missing, batch, workers, len(wanted) - len(missing))
            loaded |= {path: load_track(path, track) for _, track, path in missing}
        return [track for _, _, path in wanted if (track := loaded[path]) is not None]

    def compute(self, frames: FrameSet, missing: list, batch: int, workers: int, done: int) -> None:
        """Compute and write what is ``missing``, (pass, track, path) each; ``done`` others are there already."""
        if int(os.environ.get("WORLD_SIZE", 1)) > 1:
            raise EgostreamError(
                f"{len(missing)} sequences are not cached yet. "
                "First run the command without torchrun, with --stage features"
            )
        batches = [
            [(position, int(at)) for at in range(start, min(start + batch, len(track.rows)))]
            for position, (_, track, _) in enumerate(missing)
            for start in range(0, len(track.rows), batch)
        ]
        loader = make_loader(CacheFrames(frames, missing, self.augmenter, self.seed), batches, workers, once=True)
        print(f"features: {done} sequences are cached, {len(missing)} to compute, in {self.folder}", file=sys.stderr)
        savers = ThreadPoolExecutor(os.cpu_count())  # packing takes longer than a GPU takes for the frame
        with Progress(*progress_columns(), console=Console(stderr=True)) as progress, savers:
            total, seen, paced = sum(len(track.rows) for _, track, _ in missing), 0, Paced()
            task = progress.add_task("", total=total)
            parts: list = []
            saved: deque[Future] = deque()
            for batched, results in zip(batches, loader):
                feature, heatmaps = self.infer(results["frame"].to(self.device, non_blocking=True))
                parts.append((feature, heatmaps, results["joints"].numpy(), results["readable"].numpy()))
                progress.advance(task, len(batched))
                paced.count("frames cached", seen := seen + len(batched), total)
                position, at = batched[-1]
                if at == len(missing[position][1].rows) - 1:
                    saved.append(savers.submit(save_track, missing[position][2], parts))
                    parts = []
                while len(saved) > MAX_SAVING:
                    saved.popleft().result()
            for one in saved:
                one.result()

    @torch.inference_mode()
    def infer(self, frame: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Features float32 [N, 384] and heatmaps uint8 [N, 15, 64, 64]."""
        with torch.autocast(frame.device.type, torch.bfloat16):
            heatmaps = torch.sigmoid(self.heatmap(self.normalise(frame)).float())
            feature = self.backbone(frame).float() if self.backbone else torch.zeros(len(frame), FEATURE_CHANNELS)
        return feature.cpu().numpy(), (255 * heatmaps).round().byte().cpu().numpy()


def progress_columns() -> tuple[ProgressColumn, ...]:
    """What the terminal shows while features are computed."""
    return (
        TextColumn("caching features"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("frames"),
        TimeRemainingColumn(),
    )


class CacheFrames(Dataset):
    """Frames by (which of the missing files, frame of its track), augmented as its pass says."""

    def __init__(self, frames: FrameSet, missing: list, augmenter: Augmenter, seed: int):
        self.frames, self.missing, self.augmenter, self.seed = frames, missing, augmenter, seed

    def __getitem__(self, which: tuple[int, int]) -> dict:
        number, track, _ = self.missing[which[0]]
        image, readable = read_or_black(self.frames, int(track.rows[which[1]]))
        joints = track.joints[which[1]]
        if number:
            name = zlib.crc32(self.frames.sequences[self.frames.rows[track.rows[0], 0]].name.encode())
            turn = self.augmenter.draw_turn(np.random.default_rng([self.seed, 2, number, name]))
            image, joints, _ = self.augmenter.turned(turn, image, joints, self.frames.keypoints[track.rows[which[1]]])
            looks = np.random.default_rng([self.seed, 3, number, name, which[1] // LOOKS_FRAMES])
            image = self.augmenter.looks(looks, image)
        return {"frame": image, "joints": joints, "readable": readable}


def read_or_black(frames: FrameSet, row: int) -> tuple[np.ndarray, bool]:
    """A frame and whether it could be read; one that cannot is named on stderr, and its slot stays empty."""
    try:
        return frames.image(row), True
    except EgostreamError as error:
        print(f"{error}; it is left out of its windows", file=sys.stderr)
        return np.zeros((INPUT_SIZE, INPUT_SIZE, 3), np.uint8), False


def save_track(path: Path, parts: list) -> None:
    """Write one sequence's features, heatmaps, joints and which frames could be read, given batch by batch."""
    features, heatmaps, joints, readable = zip(*parts)
    packed = Heatmaps.pack([maps for part in heatmaps for maps in part])
    buffer = io.BytesIO()
    np.savez(
        buffer,
        features=np.concatenate(features).astype(np.float16),
        joints=np.concatenate(joints).astype(np.float32),
        readable=np.concatenate(readable),
        heatmaps=np.frombuffer(packed.data, np.uint8),
        offsets=packed.offsets,
    )
    write_whole(path, buffer.getvalue())


def load_track(path: Path, track: Track) -> Track | None:
    """A cached track, or None when there is none. A damaged file is named and computed again."""
    try:
        with np.load(path) as file:
            data = {key: file[key] for key in ("features", "joints", "readable", "heatmaps", "offsets")}
        if len(data["features"]) != len(track.rows) or len(data["offsets"]) != len(track.rows) + 1:
            raise ValueError("another number of frames")
    except FileNotFoundError:
        return None
    except Exception as error:  # a damaged zip raises almost anything
        print(f"{path} is damaged ({error}), it is computed again", file=sys.stderr)
        return None
    maps = Heatmaps(data["heatmaps"].tobytes(), data["offsets"])
    return Track(track.rows, track.numbers, track.fps, data["joints"], data["readable"], data["features"], maps)
