"""Sequences of people as a head-mounted camera has them, without pictures.

What comes out: joints, where they lie in the picture, and what a headset may tell.

B sequences of L frames, one trained step apart:

    movement (turns of segments), skeleton -> joints in the world -> camera on the head (``picture.headset``'s mounts)
    -> joints in camera axes -> pixels of the canonical camera
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from egostream.calibration.file import canonical_calibration
from egostream.calibration.lens import project_or_outside
from egostream.skeleton import JOINT_COUNT, JOINTS
from egostream.told import TOLD, TOLD_PARTS, velocity_and_rate
from tools.synthetic.movement.segments import INDEX, PARENTS, SEGMENTS
from tools.synthetic.people.body import JOINT_SEGMENTS
from tools.synthetic.picture.headset import random_rig
from tools.training.motion.bank import FPS, Movements, Skeletons

STEP_S = 1 / 15
#: For each joint its counterpart on the other side.
OTHER_SIDE = tuple(
    JOINTS.index({"right": "left", "left": "right"}.get(name.split("_")[0], "") + name[name.find("_") :])
    if "_" in name
    else JOINTS.index(name)
    for name in JOINTS
)
OF_JOINTS = [INDEX[name] for name in JOINT_SEGMENTS]
SLOWEST, FASTEST = 0.8, 1.25  # of the speed of captured motion
JITTER_S = 0.008  # deviation of a frame's time from its step's, of cameras that keep no time
WORST_DROPS = 0.35  # share of frames that a bad camera loses
SWAY_RAD = 0.008  # of a mount that is not quite firm
SIZE_SPREAD = 0.03  # of a person's size beside the skeletons that there are


@dataclass(frozen=True)
class Sequences:
    """What is true of B sequences of L frames."""

    joints: np.ndarray  # float32 [B, L, 15, 3] metres, camera axes
    keypoints: np.ndarray  # float32 [B, L, 15, 2] pixels of the canonical camera, far outside where it does not see
    told: np.ndarray  # float32 [B, L, TOLD], as ``egostream.told`` has it, with all of it known
    valid: np.ndarray  # bool [B, L]: the camera delivered this frame


class Simulator:
    """Draws sequences from a bank. rig: where the camera is worn, as the renderer takes it."""

    def __init__(self, movements: Movements, skeletons: Skeletons, rig: str = "mix"):
        self.movements, self.skeletons, self.rig = movements, skeletons, rig
        self.lens = canonical_calibration().lens

    def __call__(self, rng: np.random.Generator, count: int, frames: int) -> Sequences:
        """``count`` sequences of ``frames`` frames; the generator decides everything."""
        offsets, stature = self.people(rng, count)
        dt = self.frame_times(rng, count, frames)
        turns, root = self.moves(rng, dt)
        world = forward(turns, root * offsets[:, None, 0, 1:2], offsets)
        camera_turn, camera_at = self.cameras(rng, turns[:, :, INDEX["head"]], world[:, :, INDEX["head"]], offsets)
        joints = rotate(camera_turn[:, :, None], world[:, :, OF_JOINTS] - camera_at[:, :, None])
        told = headset_tells(camera_turn, camera_at, dt, stature)
        is_mirrored = rng.random(count) < 0.5
        joints[is_mirrored], told[is_mirrored] = mirrored(joints[is_mirrored], told[is_mirrored])
        keypoints = project_or_outside(self.lens, joints).astype(np.float32)
        return Sequences(joints, keypoints, told, delivered(rng, count, frames))

    def people(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Bone offsets [B, 21, 3] and statures [B]: each between two people of the bank, and a little larger or not."""
        first, second = rng.integers(0, len(self.skeletons.stature), (2, count))
        mix = rng.random(count, np.float32) * (rng.random(count) < 0.5)
        size = np.exp(SIZE_SPREAD * rng.standard_normal(count, np.float32))
        between = lambda of, w: (of[first] + w * (of[second] - of[first])).astype(np.float32)
        offsets = between(self.skeletons.offsets, mix[:, None, None]) * size[:, None, None]
        return offsets, between(self.skeletons.stature, mix) * size

    def frame_times(self, rng: np.random.Generator, count: int, frames: int) -> np.ndarray:
        """When frames were taken [B, L], seconds from the first: a step apart, or nearly so."""
        is_unsteady = rng.random((count, 1)) < 0.3
        jitter = JITTER_S * rng.standard_normal((count, frames)).clip(-3, 3) * is_unsteady
        return np.arange(frames) * STEP_S + jitter

    def moves(self, rng: np.random.Generator, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Turns [B, L, 21, 3, 3] and root [B, L, 3] at times [B, L], of parts of the bank's movements."""
        count, total = len(times), self.movements.root.shape[1]
        speed = np.exp(rng.uniform(np.log(SLOWEST), np.log(FASTEST), count))
        span = (times - times.min(1, keepdims=True)) * FPS * speed[:, None]
        start = rng.random(count) * np.maximum(total - 1 - span.max(1), 0)
        place = np.minimum(span + start[:, None], total - 1.001)
        before, which = place.astype(int), rng.integers(0, len(self.movements.root), count)[:, None]
        weight = (place - before).astype(np.float32)[..., None]
        between = lambda of, w: (1 - w) * of[which, before] + w * of[which, before + 1]
        # A straight line between turns 33 ms apart is as good as an arc.
        return between(self.movements.turns, weight[..., None, None]), between(self.movements.root, weight)

    def cameras(
        self, rng: np.random.Generator, head_turn: np.ndarray, head_at: np.ndarray, offsets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """World -> camera turns [B, L, 3, 3] and cameras' places [B, L, 3], of heads with these turns and places."""
        rigs = [random_rig(rng, self.rig) for _ in range(len(head_at))]
        turn = np.stack([rig.turn for rig in rigs]).astype(np.float32)
        arm = np.stack([rig.offset for rig in rigs]).astype(np.float32) - offsets[:, INDEX["head"]]
        at = head_at + rotate(head_turn, arm[:, None])
        swaying = sway(rng, *head_at.shape[:2])
        return np.swapaxes(head_turn @ turn[:, None] @ swaying, -1, -2), at


def rotate(turns: np.ndarray, v: np.ndarray) -> np.ndarray:
    """turns [..., 3, 3] of vectors [..., 3]; sums of products are faster here than a product of small matrices."""
    return (turns * v[..., None, :]).sum(-1)


def forward(turns: np.ndarray, root: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """World positions [B, L, 21, 3] of joints: turns [B, L, 21, 3, 3], root [B, L, 3], bone offsets [B, 21, 3]."""
    joints = np.empty((*turns.shape[:3], 3), np.float32)
    joints[:, :, 0] = root
    for k in range(1, len(SEGMENTS)):
        joints[:, :, k] = joints[:, :, PARENTS[k]] + rotate(turns[:, :, PARENTS[k]], offsets[:, None, k])
    return joints


def sway(rng: np.random.Generator, count: int, frames: int) -> np.ndarray:
    """Small turns [B, L, 3, 3] of half of the cameras on their mounts: I + K, exact enough for half a degree."""
    amplitude = SWAY_RAD * rng.random((count, 1, 3)) * (rng.random((count, 1, 1)) < 0.5)
    phase = 2 * np.pi * (rng.uniform(0.3, 3, (count, 1, 3)) * STEP_S * np.arange(frames)[:, None] + rng.random(3))
    x, y, z = np.moveaxis(amplitude * np.sin(phase), -1, 0)
    zero = np.zeros_like(x)
    K = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(count, frames, 3, 3)
    return (np.eye(3) + K).astype(np.float32)


def headset_tells(turn: np.ndarray, at: np.ndarray, times: np.ndarray, stature: np.ndarray) -> np.ndarray:
    """All that a headset may tell [B, L, TOLD] (``TOLD_PARTS``), of cameras turned and placed so at times [B, L].

    turn: world -> camera [B, L, 3, 3]; at [B, L, 3] metres over the floor at y = 0. The first frame has no motion yet.
    """
    told = np.ones((*times.shape, TOLD), np.float32)
    dt = np.maximum(np.diff(times, axis=1), STEP_S / 4)[..., None]
    told[..., TOLD_PARTS["gravity"]] = -turn[..., 1]
    told[:, :1, TOLD_PARTS["velocity"]] = told[:, :1, TOLD_PARTS["rate"]] = 0
    moved = velocity_and_rate(turn[:, :-1], at[:, :-1], turn[:, 1:], at[:, 1:], dt)
    told[:, 1:, TOLD_PARTS["velocity"]], told[:, 1:, TOLD_PARTS["rate"]] = moved
    told[..., TOLD_PARTS["height"]] = at[..., 1:2]
    told[..., TOLD_PARTS["stature"]] = stature[:, None, None]
    return told


def mirrored(joints: np.ndarray, told: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Joints [..., 15, 3] and told [..., TOLD] seen in a mirror: x reflected, left and right exchanged."""
    reflect = np.array([-1, 1, 1], np.float32)
    told = told.copy()
    for part, signs in (("gravity", reflect), ("velocity", reflect), ("rate", -reflect)):  # a rate is an axial vector
        told[..., TOLD_PARTS[part]] *= signs
    return joints[..., OTHER_SIDE, :] * reflect, told


def delivered(rng: np.random.Generator, count: int, frames: int) -> np.ndarray:
    """Which frames [B, L] a camera delivered: most deliver all, some lose up to ``WORST_DROPS``; the last is there."""
    share = WORST_DROPS * rng.random((count, 1)) * (rng.random((count, 1)) < 0.3)
    is_there = rng.random((count, frames)) >= share
    is_there[:, -1] = True
    return is_there


assert len(OTHER_SIDE) == JOINT_COUNT
