"""Whether a picture is upright: what is concluded of sure and unsure keypoints, when, and what is said."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from sample_clip import sample_images
from turned_pictures import as_delivered

from egostream.calibration.mount import MOUNTS, UPRIGHT, Mount
from egostream.calibration.view import CameraView, InputGeometry
from egostream.capture.rectify import Rectifier
from egostream.infer import mount as module
from egostream.infer.mount import MountCheck, MountChecks, rim_explained, what_is_wrong, what_to_type
from egostream.types import NetworkInput, Pose

CROP = InputGeometry("canonical", "crop")
#: A picture whose turns can be told apart: the four quarters have the numbers 0 to 3, clockwise.
QUARTERS = np.zeros((256, 256, 3), np.uint8)
QUARTERS[:128, 128:], QUARTERS[128:, 128:], QUARTERS[128:, :128] = 1, 2, 3
FPS = 30


class Clock:
    """Time that passes when told to."""

    def __init__(self):
        self.s = 1000.0

    def monotonic(self):
        return self.s


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


def check_without_rim(mount=UPRIGHT):
    check = MountCheck(CameraView(CROP, None, mount))
    check.view.is_canonical = False  # as of a camera with its own calibration
    return check


def play(check, clock, upright_turn, seconds, sure=0.8, unsure=0.3, segment=0, looks_a_frame=1):
    """Frames at 30 a second of a picture that so many quarter turns make upright; when the verdict was there."""
    looks, found = 0, None
    for _ in range(round(seconds * FPS)):
        clock.s += 1 / FPS
        height = sure if upright_turn == 0 else unsure
        frame = NetworkInput(0, segment, round(clock.s * 1e9), QUARTERS, {}, 0)
        check.saw(frame, np.full(15, height))
        for _ in range(looks_a_frame):
            if check.wanted is not None:
                looks += 1
                turned = int(check.wanted[0, 0, 0])  # of a picture turned clockwise by k: the quarter 4 - k
                check.looked(np.full(15, sure if -turned % 4 == upright_turn else unsure))
        if found is None and check.verdict is not None:
            found = clock.s - 1000
    return looks, found


def test_a_sure_picture_is_upright_and_costs_no_look(clock):
    check = check_without_rim()
    looks, found = play(check, clock, 0, 3)
    assert looks == 0 and found < 0.5 and check.verdict == UPRIGHT and check.text() == ""


@pytest.mark.parametrize("quarter", [1, 2, 3])
@pytest.mark.parametrize("looks_a_frame", [1, 4])
def test_a_turned_picture_is_named_within_two_seconds(clock, quarter, looks_a_frame):
    check = check_without_rim()
    looks, found = play(check, clock, quarter, 2, looks_a_frame=looks_a_frame)
    assert looks == 12 and found < 1.5 and check.verdict == Mount(90 * quarter)
    assert check.text().endswith(f"Run with --rotate {90 * quarter}")


def test_a_right_picture_that_is_unsure_is_tried_and_stays(clock):
    check = check_without_rim()
    looks, _ = play(check, clock, 0, 2, sure=0.6)
    assert looks == 12 and check.verdict == UPRIGHT and check.text() == ""


def test_a_turn_that_is_hardly_better_or_unsure_itself_is_not_believed(clock):
    for sure, unsure in ((0.6, 0.52), (0.45, 0.2)):
        check = check_without_rim()
        play(check, clock, 2, 2, sure, unsure)
        assert check.verdict is None and check.text() == ""


def test_a_headset_that_is_put_on_later_is_judged_then(clock):
    check = check_without_rim()
    looks, _ = play(check, clock, 2, 60, sure=0.3)
    assert 12 * 3 <= looks <= 12 * 7  # pauses grow
    assert "no wearer is seen (confidence 0.30)" in check.text()
    play(check, clock, 2, 35)
    assert check.verdict == Mount(180) and check.text().endswith("Run with --rotate 180")


def test_no_wearer_is_not_said_at_once(clock):
    check = check_without_rim()
    play(check, clock, 2, 3, sure=0.3)
    assert check.text() == ""


def test_a_camera_that_comes_back_is_judged_again_but_loops_are_not_each_time(clock):
    check = check_without_rim()
    play(check, clock, 0, 3)
    looks, _ = play(check, clock, 2, 3, segment=1)
    assert looks == 0  # the first judgement is a few seconds old
    play(check, clock, 2, 3, segment=2)
    play(check, clock, 2, 4, segment=3)
    assert check.verdict == Mount(180)


def test_a_short_recording_that_loops_is_judged_although_frames_are_few(clock):
    """Five poses a second of a clip of two seconds: no part of it is long enough."""
    check, turn = check_without_rim(), 2
    for number in range(30):
        clock.s += 0.2
        check.saw(NetworkInput(number, number // 10, round(clock.s * 1e9), QUARTERS, {}, 0), np.full(15, 0.3))
        if check.wanted is not None:
            check.looked(np.full(15, 0.8 if -int(check.wanted[0, 0, 0]) % 4 == turn else 0.3))
    assert check.verdict == Mount(180)


def test_what_is_said_tells_all_flags():
    used = Mount(90, True)
    for verdict in MOUNTS[1:]:
        wanted = verdict.after(used)
        said = what_to_type(used, wanted)
        assert said.endswith("instead of --rotate 90 --flip") or said == "Run without --rotate 90 --flip"
        assert ("--flip instead" in said) == wanted.flip
        assert (f"--rotate {wanted.rotate} " in said.split("instead")[0]) == bool(wanted.rotate)
    assert what_to_type(UPRIGHT, Mount(270, True)) == "Run with --rotate 270 --flip"


def test_where_the_body_lies_is_said_as_it_is_seen():
    upright = np.zeros((8, 8))
    upright[-1] = 1  # the body at the bottom
    sides = {"bottom": (-1, slice(None)), "top": (0, slice(None)), "right": (slice(None), -1), "left": (slice(None), 0)}
    for mount in MOUNTS:
        delivered = as_delivered(upright, mount)
        at = next(side for side, place in sides.items() if delivered[place].all())
        said = what_is_wrong(mount)
        assert (f"at its {at}, not at its bottom" in said) == (at != "bottom")
        assert ("mirrored" in said) == mount.flip


# -- the lens's circle -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pictures():
    return [cv2.imdecode(data, cv2.IMREAD_REDUCED_COLOR_4) for data in sample_images()[:10]]


@pytest.mark.parametrize("mount", [m for m in MOUNTS if m.rotate % 180 == 0], ids=str)
def test_the_circle_tells_a_mirrored_picture(pictures, mount):
    rectifier = Rectifier(CameraView(CROP))
    seen = [rectifier.rectify(np.ascontiguousarray(as_delivered(picture, mount))) for picture in pictures]
    explained = rim_explained(rectifier.view, np.max(seen, 0), MOUNTS)
    assert MOUNTS[int(np.argmax(explained))] == mount and max(explained) > 0.85
    if mount.rotate:
        return
    check = MountCheck(rectifier.view)
    for number, image in enumerate(seen):
        frame = NetworkInput(number, 0, number * 10**9 // FPS, image, {}, 0)
        check.saw(frame, np.full(15, 0.8))  # the network is as sure of mirrored pictures
    assert check.verdict == mount and check.text().endswith("Run with --flip" if mount.flip else "")


def test_a_picture_without_a_rim_says_nothing():
    view = CameraView(CROP)
    for image in (np.zeros((256, 256, 3), np.uint8), np.full((256, 256, 3), 200, np.uint8)):
        assert max(rim_explained(view, image, MOUNTS)) < 0.1
    noise = np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8)
    assert max(rim_explained(view, noise, MOUNTS)) < 0.1


# -- all streams of a run --------------------------------------------------------------------------------------------


class Board(dict):
    def say(self, field, text):
        self[field] = text


class FakeRun:
    """What MountChecks needs of a run: its streams' names, boards, and an estimator that is sure of one turn."""

    def __init__(self, count, upright_turn=2, trained=True):
        stream = lambda n: type("S", (), {"config": type("C", (), {"stream": f"s{n}"})})  # noqa: E731
        weights = type("W", (), {"trained": trained, "network": {}})
        self.setup = type("R", (), {"weights": weights, "streams": [stream(n) for n in range(count)]})
        self.links = [type("L", (), {"board": Board()})() for _ in range(count)]
        self.notes, self.looks, self.upright_turn, self.is_busy = [], 0, upright_turn, False
        states = [type("T", (), {"view": check_without_rim().view})() for _ in range(count)]
        self.streams = states

    def say(self, note):
        self.notes.append(note)

    def look(self, image):
        self.looks += 1
        sure = -int(image[0, 0, 0]) % 4 == self.upright_turn
        return np.zeros((15, 2)), np.full(15, 0.8 if sure else 0.3)

    def play(self, checks, clock, seconds, numbers):
        for _ in range(round(seconds * FPS)):
            clock.s += 1 / FPS
            before = self.looks
            for number in numbers:
                frame = NetworkInput(0, 0, round(clock.s * 1e9), QUARTERS, {}, 0)
                checks.saw(number, frame, Pose(0, 0, np.zeros((15, 3)), np.zeros((15, 2)), np.full(15, 0.3)))
            checks.catch_up()
            yield self.looks - before


def make_checks(run, live):
    return MountChecks(run.setup, run, run, live, lambda: run.is_busy)


def test_looks_wait_for_frames_and_are_spread_where_there_is_no_time(clock):
    run = FakeRun(1)
    run.is_busy = True
    looks = list(run.play(make_checks(run, [0]), clock, 2, [0]))
    assert max(looks) == 1 and run.notes and run.notes[0].endswith("Run with --rotate 180")
    assert not any(a and b for a, b in zip(looks, looks[1:]))  # poses between them


def test_an_overloaded_machine_still_names_it_soon(clock):
    """Four poses a second, and frames always wait: three rounds of four looks, and no more."""
    run = FakeRun(1)
    run.is_busy, checks, start_s = True, make_checks(run, [0]), clock.s
    while not run.notes:
        clock.s += 1 / 4
        frame = NetworkInput(0, 0, round(clock.s * 1e9), QUARTERS, {}, 0)
        checks.saw(0, frame, Pose(0, 0, np.zeros((15, 3)), np.zeros((15, 2)), np.full(15, 0.3)))
        checks.catch_up()
        assert clock.s - start_s < 2.3
    assert run.looks == 12


def test_recordings_of_which_every_frame_is_wanted_are_tried_at_once(clock):
    run = FakeRun(1)
    run.is_busy = True
    assert max(run.play(make_checks(run, []), clock, 2, [0])) == 4


def test_every_stream_is_named(clock):
    run = FakeRun(3)
    list(run.play(make_checks(run, []), clock, 3, [0, 2]))
    assert [note.split(":")[0] for note in run.notes] == ["stream s0", "stream s2"]
    boards = [link.board["infer_mount"] for link in run.links]
    assert boards[1] == "" and boards[0] == boards[2] == run.notes[0].removeprefix("stream s0: ")


def test_weights_without_heatmaps_are_not_asked(clock):
    run = FakeRun(1, trained=False)
    assert not any(run.play(make_checks(run, []), clock, 3, [0])) and not run.notes
