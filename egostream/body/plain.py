"""Vectors and quaternions (x, y, z, w) as tuples of floats: for single ones ten times faster than arrays."""

from __future__ import annotations

from collections.abc import Sequence
from math import atan2, cos, hypot, pi, sin, sqrt

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
Axes = tuple[Vector, Vector, Vector]  # right, down, ahead

IDENTITY: Quaternion = (0.0, 0.0, 0.0, 1.0)
#: Below this the length of something is nothing.
NOTHING = 1e-9
#: A swing is near a half turn when 1 + cos of it is less: beyond 139 degrees.
NEAR_HALF_TURN = 0.25


def dot(a: Sequence[float], b: Sequence[float]) -> float:
    """The sum of products, of three or four numbers."""
    return sum([x * y for x, y in zip(a, b)])


def cross(a: Vector, b: Vector) -> Vector:
    """The cross product."""
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def length(a: Vector) -> float:
    """How long a vector is."""
    return sqrt(a[0] * a[0] + a[1] * a[1] + a[2] * a[2])


def unit(a: Vector, fallback: Vector) -> Vector:
    """A vector at length 1, or the fallback where it has none."""
    size = length(a)
    return (a[0] / size, a[1] / size, a[2] / size) if size > NOTHING else fallback


def without(a: Vector, axis: Vector) -> Vector:
    """What of a vector is square to a unit axis."""
    along = a[0] * axis[0] + a[1] * axis[1] + a[2] * axis[2]
    return a[0] - along * axis[0], a[1] - along * axis[1], a[2] - along * axis[2]


def square_to(axis: Vector) -> Vector:
    """Some unit vector square to a unit axis: towards the coordinate axis that is farthest from it."""
    sizes = [abs(value) for value in axis]
    farthest = sizes.index(min(sizes))
    return unit(without(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))[farthest], axis), (1.0, 0.0, 0.0))


def in_axes(a: Vector, right: Vector, down: Vector, ahead: Vector) -> Vector:
    """A vector's parts along three unit axes."""
    x, y, z = a
    return (
        x * right[0] + y * right[1] + z * right[2],
        x * down[0] + y * down[1] + z * down[2],
        x * ahead[0] + y * ahead[1] + z * ahead[2],
    )


def normal(q: Sequence[float]) -> Quaternion:
    """A quaternion at length 1; the identity where it has none."""
    x, y, z, w = q
    size = sqrt(x * x + y * y + z * z + w * w)
    return (x / size, y / size, z / size, w / size) if size > NOTHING else IDENTITY


def opposite(q: Quaternion) -> Quaternion:
    """The rotation that undoes one."""
    return -q[0], -q[1], -q[2], q[3]


def product(a: Quaternion, b: Quaternion) -> Quaternion:
    """a after b: the rotation that turns by b, then by a."""
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    return (
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    )


def turned(q: Quaternion, a: Vector) -> Vector:
    """A vector turned by a rotation."""
    qx, qy, qz, qw = q
    x, y, z = a
    tx, ty, tz = 2 * (qy * z - qz * y), 2 * (qz * x - qx * z), 2 * (qx * y - qy * x)
    return (
        x + qw * tx + qy * tz - qz * ty,
        y + qw * ty + qz * tx - qx * tz,
        z + qw * tz + qx * ty - qy * tx,
    )


def about(axis: Vector, angle: float) -> Quaternion:
    """The rotation by an angle, in radians, about a unit axis."""
    s = sin(angle / 2)
    return axis[0] * s, axis[1] * s, axis[2] * s, cos(angle / 2)


def of_axes(right: Vector, down: Vector, ahead: Vector) -> Quaternion:
    """The rotation that takes x, y and z to three axes, by its largest component (Shepperd 1978)."""
    (a, d, g), (b, e, h), (c, f, i) = right, down, ahead
    candidates = (
        (1 + a - e - i, b + d, c + g, h - f),
        (b + d, 1 - a + e - i, f + h, c - g),
        (c + g, f + h, 1 - a - e + i, d - b),
        (h - f, c - g, d - b, 1 + a + e + i),
    )
    sizes = a - e - i, e - a - i, i - a - e, a + e + i
    return normal(candidates[sizes.index(max(sizes))])


def half_way(q: Quaternion) -> Quaternion:
    """Half of a rotation, continuous everywhere: beyond 90 degrees less than half, of a half turn nothing."""
    sign = 1.0 if q[3] >= 0 else -1.0
    sine = length(q[:3])
    angle = 2 * atan2(sine, abs(q[3]))
    half = min(angle, pi - angle) / 2
    scale = sign * sin(half / 2) / max(sine, NOTHING)
    return q[0] * scale, q[1] * scale, q[2] * scale, cos(half / 2)


def ramp(value: float, low: float, high: float) -> float:
    """0 up to ``low``, 1 from ``high`` on, straight between."""
    return min(max((value - low) / (high - low), 0.0), 1.0)


class Swing:
    """The shortest rotation from a fixed direction to one that moves.

    The opposite direction has no shortest rotation. Near there, where joints of a body do not come, what is left open
    is taken from the rotation before, so that nothing flips.
    """

    def __init__(self, start: Vector):
        """start: a unit direction."""
        self.start = start
        self.before: Quaternion = IDENTITY

    def __call__(self, end: Vector) -> Quaternion:
        """A rotation that turns the start to ``end``, a unit direction."""
        (a, b, c), (x, y, z) = self.start, end
        near = 1 + a * x + b * y + c * z
        shortest = normal((b * z - c * y, c * x - a * z, a * y - b * x, near))
        self.before = shortest if near > NEAR_HALF_TURN else self.near_half_turn(shortest, end, near)
        return self.before

    def near_half_turn(self, shortest: Quaternion, end: Vector, near: float) -> Quaternion:
        """Of all rotations that turn the start to ``end``, one between the shortest and that nearest to the one before.

        Those rotations are the unit quaternions of a plane.
        """
        a, b = self.start, end
        middle = (a[0] + b[0], a[1] + b[1], a[2] + b[2])
        if length(middle) < NOTHING:
            axis = square_to(a)
            plane = (*axis, 0.0), (*cross(a, axis), 0.0)
        else:
            plane = shortest, (*unit(middle, a), 0.0)
        first, second = dot(self.before, plane[0]), dot(self.before, plane[1])
        if hypot(first, second) < NOTHING:
            return plane[0]
        nearest = normal([first * p + second * q for p, q in zip(*plane)])
        if length(middle) < NOTHING:
            return nearest
        share = near / NEAR_HALF_TURN
        sign = 1.0 if dot(nearest, shortest) >= 0 else -1.0
        return normal([sign * share * s + (1 - share) * n for s, n in zip(shortest, nearest)])
