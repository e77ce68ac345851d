"""What a program tells the tracker of a frame: taken by weights without a backbone, checked, and left out by others."""

from __future__ import annotations

import numpy as np
import pytest
from sample_clip import sample_images

from egostream import EgostreamError, Told, Tracker
from egostream.told import NOTHING
from egostream.track.tell import plain_told

STEP_NS = 66_666_667


@pytest.fixture(scope="module")
def images():
    return sample_images()[:3]


@pytest.fixture(scope="module")
def tracker(thin_weights_of):
    folder = thin_weights_of("body").folder
    with Tracker(weights=folder, assume_canonical=True, backend="onnxruntime", stature=1.7) as one:
        yield one


@pytest.mark.parametrize(
    "told",
    [
        Told(gravity=np.array([0, 6.0, 8.0]), height=np.float32(1.5)),
        Told(velocity=(0.1, 0.2, 0.3), rate=[1, 0, -1]),
        Told(stature=1.9),
    ],
)
def test_what_is_told_reaches_the_network_and_its_own_frame_alone(tracker, images, told):
    tracker.reset()
    plain = [tracker(image, n * STEP_NS) for n, image in enumerate(images)]
    tracker.reset()
    poses = [tracker(image, n * STEP_NS, told if n == 1 else NOTHING) for n, image in enumerate(images)]
    assert np.array_equal(poses[0].joints, plain[0].joints) and not np.allclose(poses[1].joints, plain[1].joints)
    assert poses[0].told == poses[2].told == Told(stature=1.7), "the setting stands in where no stature is told"
    found, wanted = poses[1].told.vector(), plain_told(told).vector()
    np.testing.assert_allclose(found[:10], wanted[:10])
    assert poses[1].told.stature == (told.stature or 1.7)


def test_numbers_of_any_kind_are_taken_and_gravity_is_a_direction():
    told = plain_told(Told(gravity=np.array([0, 6.0, 8.0], np.float32), height=np.int64(2)))
    np.testing.assert_allclose(told.gravity, (0, 0.6, 0.8))
    assert told.height == 2.0 and {type(value) for value in (*told.gravity, told.height)} == {float}


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"gravity": (0, 1, 0)}, "told is dict; give egostream.Told"),
        (Told(gravity=(0, 1)), r"told.gravity is \(0, 1\); give 3 finite numbers"),
        (Told(gravity=(0, 0, 0)), "told.gravity is 0 0 0"),
        (Told(gravity="down"), "told.gravity is down; give 3"),
        (Told(velocity=(0, 0, 0)), "one of velocity and rate"),
        (Told(velocity=(0, 0, float("inf")), rate=(0, 0, 0)), "told.velocity"),
        (Told(rate=(0, 0, 0)), "one of velocity and rate"),
        (Told(gravity=np.eye(3)), r"told.gravity is \[\[1"),
        (Told(height=None), "told.height is None; give a finite number"),
        (Told(height=165), "told.height is 165; give metres, from 0.0 to 5.0"),
        (Told(stature=178.0), "told.stature is 178.0; give metres, from 0.5 to 2.6"),
    ],
)
def test_what_is_none_is_named_and_harms_no_frame(tracker, images, told, words):
    tracker.reset()
    first = tracker(images[0], 0)
    tracker.reset()
    with pytest.raises(EgostreamError, match=words):
        tracker(images[1], 0, told)
    assert np.array_equal(tracker(images[0], 0).joints, first.joints)


def test_weights_with_a_backbone_take_nothing_and_say_so_once(thin_weights_of, images):
    said, folder = [], thin_weights_of("causal").folder
    with Tracker(weights=folder, assume_canonical=True, backend="onnxruntime", say=said.append) as tracker:
        del said[:]
        poses = [tracker(image, n * STEP_NS, Told(height=1.6)) for n, image in enumerate(images)]
    assert all(pose.told is None for pose in poses) and len(said) == 1 and "have a backbone" in said[0]
