"""A body that moves: poses and the joints that they have to give back, in a room's axes."""

from __future__ import annotations

import numpy as np
from made_bodies import POSES, X, Y, joints_of, posed, turn

from egostream.body.measure import USUAL_BODY
from egostream.body.pose import BodyPose
from egostream.body.quaternions import multiply
from egostream.body.solve import BodySolver


def moving(count=30, step_ns=33_333_333):
    """(solved poses, joints [F, 15, 3], body): through the named poses, turning and walking on, floor at y = 0."""
    names, solver = list(POSES), BodySolver()
    poses, joints = [], []
    for n in range(count):
        local = POSES[names[n * len(names) // count]]
        around = multiply(turn(Y, 7 * n), local.get("Hips", turn(X, 0)))
        truth = joints_of(posed((0.02 * n, -0.86, 0.03 * n), **{**local, "Hips": around}))
        joints.append(truth)
        poses.append(solver(n * step_ns, truth))
    return poses, np.array(joints), USUAL_BODY


def at(pose: BodyPose, t_ns: int) -> BodyPose:
    """The same pose at another time."""
    return BodyPose(t_ns, pose.hips, pose.rotations)
