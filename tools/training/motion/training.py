"""The training of motion from the body: losses, validation, and what is kept of a run."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from egostream.skeleton import BONES
from egostream.told import TOLD_FLAG, TOLD_PARTS
from tools.network.body import BodyDecoder, BodyEncoder
from tools.training.best_tensors import save_best
from tools.training.keeper import RunKeeper
from tools.training.motion.noise import Noise, rays_of
from tools.training.motion.options import MotionOptions
from tools.training.motion.recorded import Recorded
from tools.training.motion.simulate import Sequences, Simulator
from tools.training.motion.supply import SAY_S
from tools.training.options import UNLIMITED_STEPS
from tools.training.stage import AveragedTraining

MOTION_FILE = "motion.safetensors"
#: Weights of the losses beside the distance: bone vectors, velocities (per step), and sigma's likelihood.
BONE_WEIGHT, VELOCITY_WEIGHT, SIGMA_WEIGHT = 0.2, 0.7, 0.05
#: Which parts are known together, and how often, where any is: flags of ``egostream.told`` (gravity, motion, height,
#: stature). An IMU tells gravity, a headset its pose as well, its floor often, and a person their stature.
KNOWN = (
    (0.15, (1, 0, 0, 0)),
    (0.25, (1, 1, 1, 0)),
    (0.10, (1, 1, 0, 0)),
    (0.15, (0, 0, 0, 1)),
    (0.05, (1, 0, 0, 1)),
    (0.05, (1, 1, 0, 1)),
    (0.25, (1, 1, 1, 1)),
)
LATE = 0.1  # share of sequences in which it begins to be known on the way
#: Deviations of what is told: radians of a mount, m/s and rad/s of each frame, metres of a floor and of a stature.
MISREAD = {"tilt": 0.02, "velocity": 0.02, "rate": 0.03, "height": 0.02, "stature": 0.015}
CHILDREN, PARENTS = np.array(BONES).T.tolist()
VALIDATION_SEED, VALIDATION_SEQUENCES = 987, 256

Batch = dict[str, torch.Tensor]


class BodyMotion(nn.Module):
    """The encoder and decoder of ``backbone: none``, over whole sequences."""

    def __init__(self, window: int, channels: int, depth: int):
        super().__init__()
        self.temporal, self.decoder = BodyEncoder(window, channels, depth), BodyDecoder(channels)

    def forward(self, rays, confidence, told, valid):
        motion = self.temporal(rays, confidence, told, valid)
        with torch.autocast(motion.device.type, enabled=False):  # bf16 has steps of 8 mm at two metres
            return self.decoder(motion.float(), rays)


@dataclass(frozen=True)
class People:
    """Whom motion is learnt from. noise: how simulated people's keypoints err; recorded: rendered people."""

    simulator: Simulator
    noise: Noise
    recorded: Recorded | None = None


class MotionBatches(IterableDataset):
    """Batches of sequences. Seed and number of a batch decide it, so that a resumed run sees new ones."""

    def __init__(self, people: People, options: MotionOptions, first: int):
        self.people, self.options, self.first = people, options, first

    def __iter__(self) -> Iterator[Batch]:
        number = self.first
        while True:
            yield self.batch(np.random.default_rng([self.options.seed, 1, number]))
            number += 1

    def batch(self, rng: np.random.Generator) -> Batch:
        """``options.batch`` sequences: recorded people's share of them, and simulated people's."""
        o, people, parts = self.options, self.people, []
        recorded = round(o.recorded_share * o.batch) if people.recorded is not None else 0
        if recorded < o.batch:
            true = people.simulator(rng, o.batch - recorded, o.frames)
            parts.append(as_batch(rng, true, people.noise, o.told))
        if recorded:
            assert people.recorded is not None
            parts.append(told_in_part(rng, *people.recorded.draw(rng, recorded, o.frames), o.told))
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def as_batch(rng: np.random.Generator, true: Sequences, noise: Noise, told_share: float) -> Batch:
    """Sequences as the network gets them: noisy keypoints' rays, and part of what a headset tells."""
    keypoints, confidence = noise(rng, true.keypoints, np.linalg.norm(true.joints, axis=-1))
    return told_in_part(rng, true, keypoints, confidence, told_share)


def told_in_part(
    rng: np.random.Generator, true: Sequences, keypoints: np.ndarray, confidence: np.ndarray, told_share: float
) -> Batch:
    """Sequences and their keypoints [B, L, 15, 2] and confidences as a batch, with part of what a headset tells."""
    count, frames = confidence.shape[:2]
    shares, patterns = [share for share, _ in KNOWN], np.array([flags for _, flags in KNOWN], np.float32)
    drawn = patterns[rng.choice(len(KNOWN), count, p=shares)]
    begins = rng.integers(0, frames, size=(count,)) * (rng.random(count) < LATE)
    is_known = (rng.random((count, 1)) < told_share) & (np.arange(frames) >= begins[:, None])
    flags: np.ndarray = drawn[:, None] * is_known[..., None]
    flags[:, 0, 1] = 0  # a first frame has not moved
    told = misread(rng, true.told) * flags[..., TOLD_FLAG]
    told[..., TOLD_PARTS["flags"]] = flags
    arrays = {"rays": rays_of(keypoints), "confidence": confidence, "told": told.astype(np.float32)}
    return {
        name: torch.from_numpy(array) for name, array in (arrays | {"joints": true.joints, "valid": true.valid}).items()
    }


def misread(rng: np.random.Generator, told: np.ndarray) -> np.ndarray:
    """What a headset tells [B, L, TOLD], off by as much as its mount, its floor and a tape measure are: ``MISREAD``."""
    told, count = told.copy(), len(told)
    tilt = MISREAD["tilt"] * rng.standard_normal((count, 1, 3)).astype(np.float32)
    down = told[..., TOLD_PARTS["gravity"]]
    down = down + np.cross(np.broadcast_to(tilt, down.shape), down)
    told[..., TOLD_PARTS["gravity"]] = down / np.linalg.norm(down, axis=-1, keepdims=True)
    for part in ("velocity", "rate"):
        told[..., TOLD_PARTS[part]] += MISREAD[part] * rng.standard_normal((*told.shape[:2], 3))
    for part in ("height", "stature"):
        told[..., TOLD_PARTS[part]] += MISREAD[part] * rng.standard_normal((count, 1, 1))
    return told


def losses(joints, sigma, batch: Batch) -> dict[str, torch.Tensor]:
    """Parts of the loss by name, of joints [B, L, 15, 3] and sigma [B, L, 15] in fp32."""
    valid, error = batch["valid"], joints - batch["joints"]
    far = error.norm(dim=-1)
    bones = (error[..., CHILDREN, :] - error[..., PARENTS, :]).norm(dim=-1)
    both = valid[:, 1:] & valid[:, :-1]
    velocity = (error[:, 1:] - error[:, :-1]).norm(dim=-1)
    law = sigma.log() + far.detach() / sigma  # a distance of exponential law with mean sigma
    return {
        "distance": far[valid].mean(),
        "bones": bones[valid].mean(),
        "velocity": velocity[both].mean(),
        "sigma": law[valid].mean(),
    }


class MotionTraining(AveragedTraining):
    """Training on simulated sequences. held: batches that it is validated on, always the same."""

    NAME, JUDGED_BY, BEST = "motion step", "mpjpe", "best_mpjpe"
    has_own_words = True  # it says in logs how far it is

    options: MotionOptions

    def __init__(self, options: MotionOptions, people: People, held: list[Batch]):
        network = BodyMotion(options.window, options.channels, options.depth)
        super().__init__(options, options.steps or UNLIMITED_STEPS, options.out, network)
        self.people, self.held = people, held
        self.said_s = self.begun_s = time.monotonic()
        self.seen = 0

    def train_dataloader(self) -> DataLoader:
        """Batches from where the run is."""
        source = MotionBatches(self.people, self.options, self.trainer.global_step)
        return DataLoader(source, batch_size=None, num_workers=self.options.workers, persistent_workers=False)

    def val_dataloader(self) -> DataLoader:
        """The batches that were held for it."""
        return DataLoader(self.held, batch_size=None)  # type: ignore[arg-type]  # a list is a dataset

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW over all parameters."""
        return torch.optim.AdamW(self.network.parameters(), self.options.lr, weight_decay=self.options.weight_decay)

    def training_step(self, batch: Batch, index: int) -> torch.Tensor:
        """The loss of one batch."""
        joints, sigma = self.network(*inputs_of(batch))
        parts = losses(joints.float(), sigma.float(), batch)
        self.log_dict({f"train/{name}": value for name, value in parts.items()})
        self.say(len(batch["rays"]), parts)
        return (
            parts["distance"]
            + BONE_WEIGHT * parts["bones"]
            + VELOCITY_WEIGHT * parts["velocity"]
            + SIGMA_WEIGHT * parts["sigma"]
        )

    def say(self, sequences: int, parts: dict[str, torch.Tensor]) -> None:
        """Say in a log, every few seconds, how far the run is, how fast, and how good."""
        self.seen += sequences
        now = time.monotonic()
        if sys.stderr.isatty() or now - self.said_s < SAY_S:
            return
        self.said_s, rate = now, self.seen / (now - self.begun_s)
        print(
            f"step {self.trainer.global_step}, {rate:.0f} sequences/s, about {self.minutes_left(rate):.0f} min left, "
            f"distance {parts['distance'].item() * 1000:.0f} mm",
            file=sys.stderr,
            flush=True,
        )

    def minutes_left(self, rate: float) -> float:
        """Minutes until the run's steps or minutes are used up, at ``rate`` sequences a second."""
        keeper = next(one for one in self.trainer.callbacks if isinstance(one, RunKeeper))
        by_steps = (self.steps - self.trainer.global_step) * self.options.batch / rate / 60
        return max(0.0, min(by_steps, (keeper.minutes or math.inf) - keeper.elapsed_s / 60))

    def validation_step(self, batch: Batch, index: int) -> None:
        """Note the errors of a held batch."""
        joints, sigma = self.average.best(self.network)(*inputs_of(batch))
        far = (joints.float() - batch["joints"]).norm(dim=-1)[batch["valid"]]
        self.results.append((far, (far < sigma.float()[batch["valid"]]).float()))

    def scores(self, results: list) -> dict[str, float]:
        """MPJPE in mm, and the share of joints within their sigma in percent (its law says 63.2)."""
        far, within = (torch.cat(part) for part in zip(*results))
        return {"mpjpe": far.mean().item() * 1000, "within sigma": within.mean().item() * 100}

    def save(self, scores: dict[str, float], results: list) -> None:
        """Keep the network, with what it is."""
        o = self.options
        facts = {"window": o.window, "channels": o.channels, "depth": o.depth, "step": self.reached_step} | scores
        save_best(self.folder / MOTION_FILE, self.average.best(self.network).state_dict(), facts)


def inputs_of(batch: Batch) -> tuple[torch.Tensor, ...]:
    """A batch in the order that the network takes it."""
    return batch["rays"], batch["confidence"], batch["told"], batch["valid"]


def held_batches(people: People, options: MotionOptions) -> list[Batch]:
    """Simulated sequences to validate on, of other draws than those of training, with nothing told."""
    rng = np.random.default_rng([VALIDATION_SEED, options.seed])
    return [as_batch(rng, people.simulator(rng, VALIDATION_SEQUENCES, options.frames), people.noise, 0.0)]
