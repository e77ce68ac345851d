"""Limbs that the camera hardly sees: followed slowly, since their joints leap where a hand or the floor hides them."""

from __future__ import annotations

from math import acos, exp, radians, sin

from egostream.body.plain import NOTHING, Vector, dot, ramp, unit

#: Confidence of a limb's less sure joint up to which it is not believed at all, and from which on wholly. On the
#: bundled clip, ankles have 0.5 to 0.8. Where hands hide them, knees leap by 45 degrees, and ankles have 0.35 to 0.42.
UNBELIEVED, BELIEVED = 0.3, 0.55
#: How fast a limb of no belief moves against hips or chest, rad/s: slower than legs that walk.
SLOW = radians(120)
#: One that goes on moving may do so faster: by twice its speed over so many seconds.
SPEED_SHARE, SPEED_S = 2.0, 0.3


class Followed:
    """One limb's direction in the axes of hips or chest, from frame to frame."""

    def __init__(self) -> None:
        self.before: Vector | None = None
        self.speed = 0.0  # rad/s, of late, while it is not believed wholly

    def __call__(self, seen: Vector, confidence: float, seconds: float) -> Vector:
        """The direction after ``seconds``: as it is seen, where it is believed; else no farther than it may move.

        seen: a unit direction. confidence: of the less sure of its joints, 0..1.
        """
        if confidence >= BELIEVED or self.before is None:
            self.before, self.speed = seen, 0.0
            return seen
        angle = acos(min(max(dot(self.before, seen), -1.0), 1.0))
        belief = ramp(confidence, UNBELIEVED, BELIEVED)
        most = (SLOW + SPEED_SHARE * self.speed) * seconds / (1 - belief)
        if angle > most:
            seen, angle = towards(self.before, seen, angle, most), most
        self.speed += (1 - exp(-seconds / SPEED_S)) * (angle / seconds - self.speed)
        self.before = seen
        return seen


def towards(start: Vector, end: Vector, angle: float, step: float) -> Vector:
    """The unit direction that lies ``step`` from the start on the way to the end, which lies at ``angle``, radians."""
    sine = sin(angle)
    if sine < NOTHING:  # opposite: no way is shorter than another
        return start
    a, b = sin(angle - step) / sine, sin(step) / sine
    return unit((a * start[0] + b * end[0], a * start[1] + b * end[1], a * start[2] + b * end[2]), start)
