"""tools/make_sample.py: the bundled clip leads back into its beginning."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from tools import make_sample
from tools.synthetic.movement.activities import random_activity


def test_the_sample_clip_loops_without_a_jump():
    movement = random_activity(np.random.default_rng(3), (60 + make_sample.CLOSING + 2) / 30, 30.0)
    clip = make_sample.closed(movement, 60)
    assert len(clip) == 60
    turn = lambda a, b: np.linalg.norm(
        Rotation.from_matrix((np.swapaxes(a, -1, -2) @ b).reshape(-1, 3, 3)).as_rotvec(), axis=-1
    ).max()
    steps = [turn(clip.rotations[k], clip.rotations[k + 1]) for k in range(59)]
    assert turn(clip.rotations[-1], clip.rotations[0]) <= 1.5 * max(steps)
    assert (
        np.linalg.norm(clip.root[0] - clip.root[-1]) <= 1.5 * np.linalg.norm(np.diff(clip.root, axis=0), axis=1).max()
    )
    cut = movement.rotations[make_sample.CLOSING : make_sample.CLOSING + 60]
    assert turn(cut[-1], cut[0]) > 1.5 * max(steps), "it closes by itself: this test could not fail"
