"""Invented activities: whole, smooth, humanly possible, and varied."""

from __future__ import annotations

import time

import numpy as np
import pytest
from stick_figures import direction

from tools.synthetic.movement import sitting, standing, walking
from tools.synthetic.movement.activities import ACTIVITIES, LAYERS, random_activity
from tools.synthetic.movement.activity import Activity
from tools.synthetic.movement.movement import Movement, joint_positions, sole_points
from tools.synthetic.movement.rotations import angle_between
from tools.synthetic.movement.segments import INDEX, SEGMENTS, local_rotations


@pytest.fixture(scope="module")
def performed() -> dict[str, list[Movement]]:
    return {name: [make(np.random.default_rng(seed), 6, 50) for seed in range(3)] for name, make in ACTIVITIES.items()}


every_activity = pytest.mark.parametrize("name", ACTIVITIES)


@every_activity
def test_activity_is_whole_and_smooth(performed, name):
    for movement in performed[name]:
        assert len(movement) == 300 and movement.name == name and movement.fps == 50
        R = movement.rotations
        assert np.isfinite(R).all() and np.isfinite(movement.root).all()
        assert np.allclose(R @ np.swapaxes(R, -1, -2), np.eye(3), atol=1e-9) and np.allclose(np.linalg.det(R), 1)
        assert movement.grip.min() >= 0 and movement.grip.max() <= 1
        rate = angle_between(R[1:], R[:-1]) * 50
        assert rate.max() < 18, f"{SEGMENTS[rate.max(0).argmax()]} turns at {rate.max():.0f} rad/s"
        jerk = np.abs(np.diff(rate, axis=0)).max(0)  # rad/s from one frame to the next; heels that land do it fast
        legs = INDEX["thigh_r"]
        assert jerk[:legs].max() < 5 and jerk[legs:].max() < 10, (
            f"{SEGMENTS[jerk.argmax()]} jerks by {jerk.max():.1f} rad/s"
        )
        assert np.linalg.norm(np.diff(movement.root, axis=0), axis=1).max() * 50 < 5


@every_activity
def test_elbows_and_knees_are_hinges_that_bend_the_right_way(performed, name):
    for movement in performed[name]:
        for side, s in (("r", -1), ("l", 1)):
            for upper, lower, end, axis in (
                ("upperarm", "forearm", "hand", np.array([0, -s, 0])),
                ("thigh", "calf", "foot", np.array([1.0, 0, 0])),
            ):
                u, v = (direction(movement, f"{a}_{side}", f"{b}_{side}") for a, b in ((upper, lower), (lower, end)))
                hinge = movement.rotations[:, INDEX[f"{upper}_{side}"]] @ axis
                assert np.allclose(np.sum(v * hinge, -1), 0, atol=1e-6)
                assert (np.sum(np.cross(u, v) * hinge, -1) > -1e-6).all()
                assert np.degrees(np.arccos(np.clip(np.sum(u * v, -1), -1, 1))).max() < 156
        local = local_rotations(movement.rotations)
        assert angle_between(local[:, INDEX["head"]], np.eye(3)).max() < 0.9  # and as much again in the neck


@every_activity
def test_nothing_goes_through_the_floor_or_the_torso(performed, name):
    for movement in performed[name]:
        joints = joint_positions(movement)
        assert joints[..., 1].min() > -0.03, SEGMENTS[joints[..., 1].min(0).argmin()]
        assert sole_points(movement, joints)[..., 1].min() > -0.03
        for side in "rl":
            elbow, wrist = joints[:, INDEX[f"forearm_{side}"]], joints[:, INDEX[f"hand_{side}"]]
            along = elbow[:, None] + np.array([0.3, 0.6, 1.0])[:, None] * (wrist - elbow)[:, None]
            local = np.einsum("fji,fkj->fki", movement.rotations[:, 2], along - joints[:, None, 2])
            inside = (local[..., 0] / 0.14) ** 2 + (local[..., 2] / 0.1) ** 2 < 1
            assert (inside & (np.abs(local[..., 1] + 0.05) < 0.25)).mean() < 0.02


@pytest.mark.parametrize("name", sorted(set(ACTIVITIES) - {"jog", "run_in_place", "lie", "kneel", "stairs"}))
def test_a_foot_is_on_the_floor_and_does_not_slide(performed, name):
    for movement in performed[name]:
        soles = sole_points(movement)
        low = soles[..., 1].min(2)
        assert (low.min(1) < 0.02).mean() > 0.97
        # Whichever point of a sole stays on the floor from one frame to the next must not move over it.
        down = (soles[1:, ..., 1] < 0.008) & (soles[:-1, ..., 1] < 0.008)
        speed = np.linalg.norm(np.diff(soles[..., [0, 2]], axis=0), axis=-1) * movement.fps
        lowest = np.where(down, speed, np.inf).min((1, 2))
        assert np.median(lowest) < 0.02 and np.mean(lowest < 0.25) > 0.9


def test_stairs_carry_the_feet():
    for seed in range(6):
        movement = ACTIVITIES["stairs"](np.random.default_rng(seed), 8, 50)
        soles = sole_points(movement)
        tops = np.zeros(soles.shape[:-1])
        for prop in movement.props:
            inside = (
                np.abs(soles[..., [0, 2]] - np.array(prop.centre)[[0, 2]]) <= np.array(prop.size)[[0, 2]] / 2 + 1e-6
            ).all(-1)
            tops = np.where(inside, np.maximum(tops, prop.centre[1] + prop.size[1] / 2), tops)
        still = np.linalg.norm(np.gradient(soles, axis=0), axis=-1)[..., 1] * 50 < 0.05  # balls that stand
        assert still.mean() > 0.2
        gap = soles[..., 1, 1][still] - tops[..., 1][still]
        assert np.abs(gap).max() < 0.03, f"seed {seed}: {gap.min():.3f} to {gap.max():.3f}"
        assert np.ptp(movement.root[:, 1]) > 0.8


def test_seats_carry_and_tables_are_not_pierced(performed):
    for name in ("desk_type", "desk_work", "eat", "sit_relaxed", "sit_talk"):
        for movement in performed[name]:
            (seat,) = [prop for prop in movement.props if prop.kind == "seat"]
            top = seat.centre[1] + seat.size[1] / 2
            assert (np.abs(movement.root[:, 1] - top - 0.09) < 0.04).all()
            for table in (prop for prop in movement.props if prop.kind == "table"):
                wrists = joint_positions(movement)[:, [INDEX["hand_r"], INDEX["hand_l"]]]
                over = (np.abs(wrists - table.centre)[..., [0, 2]] < np.array(table.size)[[0, 2]] / 2).all(-1)
                assert over.mean() > 0.5
                assert (wrists[over][:, 1] > table.centre[1] + table.size[1] / 2 + 0.01).all()


def test_hands_are_mostly_in_front_where_the_camera_sees_them(performed):
    share = {}
    for name in ("talk", "reach", "bimanual_work", "phone", "read_paper", "desk_work", "eat"):
        wrists = [
            joint_positions(movement)[:, [INDEX["hand_r"], INDEX["hand_l"]]] - joint_positions(movement)[:, [2]]
            for movement in performed[name]
        ]
        share[name] = np.mean(
            [
                np.einsum("fj,fkj->fk", movement.rotations[:, 2, :, 2], w) > 0.12
                for movement, w in zip(performed[name], wrists)
            ]
        )
    assert min(share.values()) > 0.6 and np.mean(list(share.values())) > 0.85, share


def test_what_is_held_lies_in_the_hand(performed):
    for name, kind in (
        ("phone", "phone"),
        ("drink", "cup"),
        ("eat", "tool"),
        ("read_paper", "paper"),
        ("play_ball", "ball"),
    ):
        for movement in performed[name]:
            (held,) = [prop for prop in movement.props if prop.hand]
            assert held.kind == kind and held.hand in ("r", "l")
            reach = np.abs(held.offset) - np.array(held.size) / 2
            assert (reach < [0.19, 0.06, 0.1]).all()  # its surface comes within a hand of the wrist


def test_the_same_seed_gives_the_same_motion():
    for name in ("walk", "desk_work", "lie"):
        a, b, c = (ACTIVITIES[name](np.random.default_rng(seed), 2, 25) for seed in (7, 7, 8))
        assert np.array_equal(a.rotations, b.rotations) and a.props == b.props
        assert not np.allclose(a.rotations, c.rotations)


def test_random_activities_vary_and_are_fast():
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    movements = [random_activity(rng, 4, 25) for _ in range(60)]
    elapsed = time.perf_counter() - start
    assert 60 * 100 / elapsed > 1000
    layered = [movement for movement in movements if "+" in movement.source]
    assert 10 < len(layered) < 40 and len({movement.source for movement in movements}) > 25
    assert all(len(movement) == 100 and np.isfinite(movement.rotations).all() for movement in movements)
    assert max(angle_between(m.rotations[1:], m.rotations[:-1]).max() * 25 for m in movements) < 20
    assert set(LAYERS) <= set(ACTIVITIES)


@pytest.mark.parametrize("seconds, fps", [(0.05, 25), (1.0, 10), (3.3, 120)])
def test_any_length_and_rate(seconds, fps):
    for make in ACTIVITIES.values():
        movement = make(np.random.default_rng(1), seconds, fps)
        assert len(movement) == max(round(seconds * fps), 2) and np.isfinite(movement.rotations).all()


def test_every_activity_is_in_the_table():
    made = [
        value for room in (standing, sitting, walking) for value in vars(room).values() if isinstance(value, Activity)
    ]
    assert sorted(activity.name for activity in made) == sorted(ACTIVITIES) and all(a.weight > 0 for a in made)
