"""Training frames kept decoded where the network is, and augmented there: a fast GPU outruns the cores that feed it.

A frame takes 3 S^2 bytes, 0.2 MB at 256x256. Labels are turned by the data loading processes, pictures by the GPU.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch.utils.data import Dataset

from egostream.errors import EgostreamError
from tools.training.augment import Augmenter
from tools.training.augment_batch import changed, turned
from tools.training.frames import FrameDataset, FrameSet, fit_size

AT_ONCE = 512  # frames that are decoded ahead of the device


class ResidentFrames:
    """All pictures of a set, uint8 [N, S, S, 3], on one device.

    ``at`` [N] is the row whose picture stands for each row's: its own, or the next that could be read.
    """

    def __init__(self, frames: FrameSet, size: int, augmenter: Augmenter, seed: int, device: torch.device):
        self.size, self.augmenter, self.seed = size, augmenter, seed
        reader = FrameDataset(frames, size)
        try:
            self.images = torch.empty(len(frames), size, size, 3, dtype=torch.uint8, device=device)
        except RuntimeError:  # CUDA's out of memory is one
            need = len(frames) * size**2 * 3 / 2**30
            raise EgostreamError(
                f"--resident: {len(frames)} frames take {need:.1f} GiB, more than {device} has free. Leave it out"
            ) from None
        self.at = np.arange(len(frames))
        starts = range(0, len(frames), AT_ONCE)
        with ThreadPoolExecutor(os.cpu_count()) as readers:
            for start in track(starts, "decoding frames", console=Console(stderr=True), transient=True):
                rows = range(start, min(start + AT_ONCE, len(frames)))
                for row, (image, at, _) in zip(rows, readers.map(reader.readable, rows)):
                    self.images[row] = torch.from_numpy(fit_size(image, size))
                    self.at[row] = at
        print(f"{len(frames)} frames are resident on {device}, {self.images.nbytes / 2**30:.1f} GiB", file=sys.stderr)

    @torch.no_grad()
    def take(self, batch: dict, *draw: int) -> torch.Tensor:
        """The pictures of a batch of ``ResidentLabels``, turned as these and with other looks: uint8 [B, S, S, 3].

        draw: what makes this batch's looks its own, such as the step.
        """
        # not in half precision; and no cuDNN, which would measure its kernels anew for every number of pictures
        with torch.autocast(self.images.device.type, enabled=False), torch.backends.cudnn.flags(enabled=False):
            images = turned(self.images[batch["row"]], batch["back"])
            images = changed(images, np.random.default_rng([self.seed, 5, *draw]), self.augmenter.strength)
            return images.round().byte().permute(0, 2, 3, 1)


class ResidentLabels(Dataset):
    """What ``FrameDataset`` gives of (row, draw), with how to turn the picture instead of it: row and back [2, 3]."""

    def __init__(self, frames: FrameSet, resident: ResidentFrames):
        self.frames, self.at = frames, resident.at
        self.size, self.augmenter, self.seed = resident.size, resident.augmenter, resident.seed

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, which: tuple[int, int]) -> dict:
        row, draw = which
        at, frames = int(self.at[row]), self.frames
        turn, turner = self.augmenter.draw_turn(np.random.default_rng([self.seed, draw])), self.augmenter.turner
        joints, keypoints = frames.joints[at], frames.keypoints[at]
        back: np.ndarray = np.eye(2, 3)
        if turner:
            joints, keypoints = turner.joints(turn, joints), turner.keypoints(turn, keypoints)
            back = cv2.invertAffineTransform(turner.image_matrix(turn, self.size))
        labels = {"joints": joints, "keypoints": keypoints, "visible": frames.visible[at], "skipped": int(at != row)}
        return labels | {"row": at, "back": back.astype(np.float32)}
