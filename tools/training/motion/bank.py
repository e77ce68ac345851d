"""What simulated sequences are drawn from: movements as turns of segments, and skeletons of people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from egostream.errors import EgostreamError
from tools.synthetic.movement.choreography import choose_movement
from tools.synthetic.movement.movement import Movement, resample
from tools.synthetic.movement.segments import PARENTS, SEGMENTS
from tools.synthetic.people.body import Body

FPS = 30.0
SECONDS = 8.0  # of one movement in the bank


class People(Protocol):
    """A source of bodies: capsules, or the MakeHuman mesh."""

    def sample(self, rng: np.random.Generator) -> Body:
        """A random person."""
        ...


@dataclass(frozen=True)
class Movements:
    """M movements of F frames at ``FPS``, of bodies whose hips are 1 over the soles."""

    root: np.ndarray  # float32 [M, F, 3], in hip heights
    turns: np.ndarray  # float32 [M, F, 21, 3, 3] global, relative to the T-pose


@dataclass(frozen=True)
class Skeletons:
    """P people by their bones."""

    offsets: np.ndarray  # float32 [P, 21, 3] metres in the T-pose, from the parent's joint; the first: hips over soles
    stature: np.ndarray  # float32 [P] metres


def make_movements(
    clips: list[Movement], captured: float, count: int, seed: int, tick: Callable[[], object] = lambda: None
) -> Movements:
    """``count`` movements, drawn as the renderer draws them. The seed decides all.

    captured: share of them that are of ``clips``. tick: called after each.
    """
    frames = int(SECONDS * FPS)
    root = np.zeros((count, frames, 3), np.float32)
    turns = np.zeros((count, frames, len(SEGMENTS), 3, 3), np.float32)
    for k in range(count):
        movement = choose_movement(np.random.default_rng([seed, k]), clips, captured, SECONDS + 2 / FPS)
        movement = movement if movement.fps == FPS else resample(movement, FPS)
        if len(movement) < frames:
            raise EgostreamError(f"movement {movement.name} has {len(movement)} frames, expected {frames}")
        root[k] = movement.root[:frames] / movement.hip_height
        turns[k] = movement.rotations[:frames]
        tick()
    return Movements(root, turns)


def make_skeletons(people: People, count: int, seed: int, tick: Callable[[], object] = lambda: None) -> Skeletons:
    """The skeletons of ``count`` people. The seed decides all. tick: called after each."""
    offsets, stature = np.zeros((count, len(SEGMENTS), 3), np.float32), np.zeros(count, np.float32)
    for k in range(count):
        body = people.sample(np.random.default_rng([seed, k]))
        offsets[k], stature[k] = bone_offsets(body), body.stature
        tick()
    return Skeletons(offsets, stature)


def bone_offsets(body: Body) -> np.ndarray:
    """T-pose offsets [21, 3] of a body's joints from those of their parents, metres.

    ``movement.joint_positions`` with these gives the joints that ``Body.pose`` gives.
    """
    bones, turns, hips = body.bones, body.rest_to_t(), body.hips
    heads = np.zeros_like(body.heads)
    for b, parent in enumerate(bones.parents):  # as Body.pose places them, of a body that stands in the T-pose
        if parent < 0:
            heads[b] = hips + turns[b] @ (body.heads[b] - hips)
        else:
            heads[b] = heads[parent] + turns[parent] @ (body.heads[b] - body.heads[parent])
    joints = np.stack([heads[bones.segment_bone(segment)] for segment in SEGMENTS])
    joints[0] = hips  # a movement's root is the middle of the hips, wherever the pelvis' own bone begins
    offsets = joints - joints[np.maximum(PARENTS, 0)]
    offsets[0] = (0.0, body.hip_height, 0.0)
    return offsets
