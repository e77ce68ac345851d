"""Rendered recordings to learn motion from, beside simulated people: their keypoints err as the heatmaps do.

A hidden leg is not wrong by chance: the heatmap network guesses it from what it sees, so that its error hangs on the
pose. Two ways bring that to training:

- whole recordings are learnt from, turned into sequences one trained step apart (``Recorded.draw``)
- simulated people err as a recorded person did whose pose was much the same (``RecordedNoise``)

Recordings may have any frame rate and length. People and cameras move straight on between their frames, the camera
along an arc.
An error is that of the frame before or of the one after, by chance, the nearer one more often: so errors that flicker
keep their mean and their variance.
"""

from __future__ import annotations

from collections.abc import Sequence as Several
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from egostream.calibration.file import canonical_calibration
from egostream.calibration.lens import project_or_outside
from egostream.errors import EgostreamError
from tools.data.sequence import Sequence
from tools.training.motion.noise import PICTURE, NoiseModel, into_picture
from tools.training.motion.seen import Seen
from tools.training.motion.simulate import (
    FASTEST,
    OTHER_SIDE,
    SIZE_SPREAD,
    SLOWEST,
    STEP_S,
    Sequences,
    headset_tells,
    mirrored,
    rotate,
)

#: Share of simulated sequences that err as recorded people did, and among how many of them the nearest is looked for.
MATCHED, CANDIDATES = 0.8, 64
#: Between sequences, errors are a little larger or smaller: deviation of the logarithm.
ERROR_SPREAD = 0.15
#: How far a camera is turned on its mount beside the recorded one: deviation about each axis, radians.
MOUNT_RAD = 0.06
MIRROR = np.array([-1, 1], np.float32)


@dataclass(frozen=True)
class Moments:
    """Between which frames of which recordings B sequences of L frames lie."""

    which: np.ndarray  # int [B, 1]
    before: np.ndarray  # int [B, L], the frame before; the one after follows it
    weight: np.ndarray  # float32 [B, L], of the frame after


class Recorded:
    """R recordings, in arrays as long as the longest of F frames. Behind a shorter one's end, its last frame stands."""

    def __init__(self, recordings: Several[Sequence], seen: Several[Seen]):
        """recordings, and how the heatmaps see each.

        Raises EgostreamError when there are fewer than two frames, or cameras or statures are unknown.
        """
        check(recordings)
        self.lens = canonical_calibration().lens
        self.fps = np.array([one.fps for one in recordings], np.float32)
        self.last = np.array([len(one.joints) - 1 for one in seen])  # frame of each recording
        longest = self.last.max() + 1
        stack = lambda arrays: np.stack([lengthened(array, longest) for array in arrays]).astype(np.float32)
        cameras = stack(one.world_to_camera for one in recordings)
        self.turn = cameras[..., :3, :3]  # world -> camera [R, F, 3, 3]
        self.at = -rotate(np.swapaxes(self.turn, -1, -2), cameras[..., :3, 3])
        joints = stack(one.joints for one in seen)
        self.world = rotate(np.swapaxes(self.turn, -1, -2)[:, :, None], joints) + self.at[:, :, None]
        steps = Rotation.from_matrix((np.swapaxes(self.turn[:, :-1], -1, -2) @ self.turn[:, 1:]).reshape(-1, 3, 3))
        self.turning = steps.as_rotvec().reshape(*self.turn[:, 1:].shape[:2], 3)  # from a frame to the next
        self.stature = np.array([one.stature_m for one in recordings], np.float32)
        self.place, _ = into_picture(stack(one.true_keypoints for one in seen))
        self.error = stack(one.keypoints for one in seen) - self.place  # [R, F, 15, 2] canonical pixels
        self.confidence = stack(one.confidence for one in seen)
        self.pose = described(self.place, np.linalg.norm(joints, axis=-1))

    def moments(self, rng: np.random.Generator, which: np.ndarray, frames: int) -> Moments:
        """``frames`` moments a trained step apart of recordings ``which`` [B], from anywhere in them on.

        People move faster or slower than they did, as long as the recording lasts.
        """
        which = which[:, None]
        span, last = np.arange(frames) * STEP_S * self.fps[which], self.last[which]
        speed = np.exp(rng.uniform(np.log(SLOWEST), np.log(FASTEST), which.shape))
        span = span * np.clip(speed, None, np.maximum(last / span[:, -1:], 1))
        start = rng.random(which.shape) * np.maximum(last - span[:, -1:], 0)
        place = np.minimum(start + span, last - 1e-3)
        before = place.astype(int)
        return Moments(which, before, (place - before).astype(np.float32))

    def draw(self, rng: np.random.Generator, count: int, frames: int) -> tuple[Sequences, np.ndarray, np.ndarray]:
        """People as they were, half of them mirrored, with all told.

        So that nobody is known by heart, each is a little larger or smaller, faster or slower, and the camera sits a
        little otherwise. Beside them, keypoints [B, L, 15, 2] and confidences [B, L, 15] that err as the heatmaps did.
        """
        moments = self.moments(rng, rng.integers(0, len(self.error), count), frames)
        world, at = self.between(self.world, moments), self.between(self.at, moments)
        turn = (on_mounts(rng, count)[:, None] @ self.turns(moments)).astype(np.float32)
        size = np.exp(SIZE_SPREAD * rng.standard_normal((count, 1, 1))).astype(np.float32)
        joints = rotate(turn[:, :, None], world - at[:, :, None]) * size[..., None]
        times = np.broadcast_to(np.arange(frames) * STEP_S, (count, frames))
        told = headset_tells(turn, at * size, times, self.stature[moments.which[:, 0]] * size[:, 0, 0])
        error, confidence = self.errors(rng, moments)
        is_mirrored = rng.random(count) < 0.5
        joints[is_mirrored], told[is_mirrored] = mirrored(joints[is_mirrored], told[is_mirrored])
        error, confidence = mirror_errors(error, confidence, is_mirrored)
        keypoints = project_or_outside(self.lens, joints).astype(np.float32)
        noisy = within_picture(into_picture(keypoints)[0] + error)
        return Sequences(joints, keypoints, told, np.ones((count, frames), bool)), noisy, confidence

    def between(self, of: np.ndarray, moments: Moments) -> np.ndarray:
        """Values [R, F, ...] at moments [B, L, ...], on a straight line from frame to frame."""
        w = moments.weight.reshape(*moments.weight.shape, *(1,) * (of.ndim - 2))
        return (1 - w) * of[moments.which, moments.before] + w * of[moments.which, moments.before + 1]

    def turns(self, moments: Moments) -> np.ndarray:
        """World -> camera turns [B, L, 3, 3] at moments."""
        part = self.turning[moments.which, moments.before] * moments.weight[..., None]
        part_turns = Rotation.from_rotvec(part.reshape(-1, 3)).as_matrix().reshape(*part.shape, 3)
        return (self.turn[moments.which, moments.before] @ part_turns).astype(np.float32)

    def errors(self, rng: np.random.Generator, moments: Moments) -> tuple[np.ndarray, np.ndarray]:
        """Errors [B, L, 15, 2] and confidences [B, L, 15] at moments: of the frame before or after, by chance."""
        joint = np.arange(self.error.shape[2])
        is_after = rng.random((*moments.weight.shape, len(joint))) < moments.weight[..., None]
        frame = moments.before[..., None] + is_after
        return self.error[moments.which[..., None], frame, joint], self.confidence[
            moments.which[..., None], frame, joint
        ]


class RecordedNoise:
    """A noise model beside recordings: most sequences err as a recorded person in a like pose did. Called as it is."""

    def __init__(self, model: NoiseModel, recorded: Recorded):
        self.model, self.recorded = model, recorded

    def __call__(
        self, rng: np.random.Generator, keypoints: np.ndarray, distance: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Keypoints [B, L, 15, 2] as the heatmap network would see them, and their confidences [B, L, 15]."""
        noisy, confidence = self.model(rng, keypoints, distance)
        is_matched = rng.random(len(keypoints)) < MATCHED
        if is_matched.any():
            place, _ = into_picture(keypoints[is_matched])
            error, sure = self.errors_like(rng, place, distance[is_matched])
            noisy[is_matched], confidence[is_matched] = within_picture(place + error), sure
        return noisy, confidence

    def errors_like(
        self, rng: np.random.Generator, place: np.ndarray, distance: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Errors and confidences of the recorded people, among some by chance, whose pose halfway is the nearest.

        place [B, L, 15, 2]: true keypoints within the picture; distance [B, L, 15] metres from the camera.
        """
        count, frames = place.shape[:2]
        some, source = count * CANDIDATES, self.recorded
        moments = source.moments(rng, rng.integers(0, len(source.error), some), frames)
        middle = moments.before[:, frames // 2]
        pose = source.pose[moments.which[:, 0], middle].reshape(count, CANDIDATES, -1)
        mine = described(place[:, frames // 2], distance[:, frames // 2])
        other = described(*mirrored_pose(place[:, frames // 2], distance[:, frames // 2]))
        far = np.stack([np.linalg.norm(pose - one[:, None], axis=-1) for one in (mine, other)], -1).reshape(count, -1)
        nearest, is_mirrored = np.divmod(far.argmin(1), 2)
        chosen = np.arange(count) * CANDIDATES + nearest
        error, sure = source.errors(rng, Moments(moments.which[chosen], moments.before[chosen], moments.weight[chosen]))
        error, sure = mirror_errors(error, sure, is_mirrored.astype(bool))
        return error * np.exp(ERROR_SPREAD * rng.standard_normal((count, 1, 1, 1))).astype(np.float32), sure


def on_mounts(rng: np.random.Generator, count: int) -> np.ndarray:
    """Small turns [B, 3, 3] of cameras on their mounts."""
    return Rotation.from_rotvec(MOUNT_RAD * rng.standard_normal((count, 3))).as_matrix()


def described(place: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """What poses are compared by [..., 45]: keypoints [..., 15, 2] in half pictures, distances [..., 15] metres."""
    flat = (place - (PICTURE[0] + 512)).reshape(*place.shape[:-2], -1) / 512
    return np.concatenate([flat, distance], -1).astype(np.float32)


def mirrored_pose(place: np.ndarray, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints [..., 15, 2] and distances [..., 15] of the person in a mirror."""
    axis = np.array([canonical_calibration().lens.cx, 0], np.float32)
    return (place[..., OTHER_SIDE, :] - axis) * MIRROR + axis, distance[..., OTHER_SIDE]


def mirror_errors(error: np.ndarray, confidence: np.ndarray, is_mirrored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Errors [B, L, 15, 2] and confidences [B, L, 15], those of some sequences [B] as of the person in a mirror."""
    chosen = is_mirrored[:, None, None]
    return (
        np.where(chosen[..., None], error[:, :, OTHER_SIDE] * MIRROR, error),
        np.where(chosen, confidence[:, :, OTHER_SIDE], confidence),
    )


def within_picture(keypoints: np.ndarray) -> np.ndarray:
    """Keypoints [..., 2] as the heatmaps can have them: within the picture."""
    return np.clip(keypoints, PICTURE[0], PICTURE[1] - 1).astype(np.float32)


def lengthened(array: np.ndarray, frames: int) -> np.ndarray:
    """An array [F, ...] of ``frames`` frames at least, its last one repeated."""
    return np.concatenate([array, np.repeat(array[-1:], max(frames - len(array), 0), axis=0)])


def check(recordings: Several[Sequence], seconds: float = 0.0) -> None:
    """Refuse recordings that no motion can be learnt from. Raises EgostreamError.

    seconds: what each has to last, from its first frame to its last.
    """
    if not recordings:
        raise EgostreamError("--recordings: there are none in that split. Render some: tools/make_synthetic.py --help")
    for one in recordings:
        if len(one) < 2 or one.world_to_camera is None or not one.stature_m:
            raise EgostreamError(
                f"{one.name}: motion is learnt from recordings of two frames or more whose cameras and wearers are "
                "known. Render some: python tools/make_synthetic.py --help"
            )
        if (len(one) - 1) / one.fps < seconds - 1e-6:
            raise EgostreamError(
                f"{one.name} lasts {(len(one) - 1) / one.fps:.2f} s, a sequence {seconds:.2f} s. "
                "Give fewer --frames, or render longer recordings"
            )
