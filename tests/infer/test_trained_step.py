"""Motion between poses: which frames' is computed, when a pose waits for its own, and what is kept apart."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from egostream.calibration.view import CameraView
from egostream.config import PRESETS, RunConfig
from egostream.engine.backends import backend
from egostream.engine.build import ensure_engines
from egostream.engine.choose import processor_engines, processor_graphs
from egostream.engine.load import load_engine, manifest_path
from egostream.errors import EgostreamError
from egostream.graph.ports import MOTION_GRAPH, POSE_GRAPH, STEP_GRAPH
from egostream.graph.scales import has_quantization
from egostream.infer.estimator import Estimator
from egostream.infer.load import load_processor
from egostream.infer.motion_turn import MotionTurn
from egostream.infer.refine import Refiner
from egostream.infer.trained_step import TrainedStepEstimator
from egostream.supervise.prepare import drops_frames, prepare_run
from egostream.types import NetworkInput, Pose
from tools.data.frames import load_frames

MS = 1_000_000


def computed(fps: float, step_ms: float, count: int = 120) -> list[int]:
    """Frames of a camera whose motion is computed, where nothing is ever put off."""
    turn, found, before = MotionTurn(round(step_ms * MS), 500 * MS, 1), [], None
    for n in range(count):
        t_ns = round(n * 1e9 / fps)
        if before is None:
            turn.took(t_ns, np.zeros(1), restart_steps=True)
            found.append(n)
        turn.saw(t_ns, before)
        if turn.is_due(t_ns):
            turn.took(t_ns, np.zeros(1), restart_steps=False)
            found.append(n)
        before = t_ns
    return found


@pytest.mark.parametrize("fps", [15, 20, 25, 30, 50, 60, 72, 90, 120])
@pytest.mark.parametrize("step_ms", [1000 / 15, 1000 / 30])
def test_motion_is_that_of_the_frames_nearest_to_each_step(fps, step_ms):
    found, per_frame = computed(fps, step_ms), 1000 / fps
    if per_frame >= step_ms:
        assert found == list(range(120))
        return
    wanted = {round(k * step_ms / per_frame) for k in range(int(119 * per_frame / step_ms) + 1)}
    for n, m in zip(found, sorted(wanted)):
        assert abs(n - m) <= 1  # a step may lie half-way between two frames
    assert abs(len(found) - len(wanted)) <= 1


def test_a_late_frame_is_due_at_once_and_the_next_a_step_after_it():
    turn = MotionTurn(60 * MS, 500 * MS, 1)
    turn.took(1000 * MS, np.zeros(1), restart_steps=True)
    turn.saw(1300 * MS, 1000 * MS)
    assert turn.is_due(1300 * MS)
    turn.took(1300 * MS, np.zeros(1), restart_steps=False)
    turn.saw(1320 * MS, 1300 * MS)
    assert not turn.is_due(1300 * MS) and not turn.is_due(1320 * MS) and turn.is_due(1360 * MS)


class Frames:
    """Random pictures of a stream."""

    def __init__(self, seed: int):
        self.rng, self.seq = np.random.default_rng(seed), 0

    def at(self, t_ns: int, segment: int = 0, waited_ms: int = 0) -> NetworkInput:
        self.seq += 1
        image, stages = self.rng.integers(0, 256, (256, 256, 3), np.uint8), {"handover": waited_ms * MS}
        return NetworkInput(self.seq, segment, t_ns, image, stages, time.monotonic_ns())


def estimator(
    weights, graphs=(MOTION_GRAPH, POSE_GRAPH), sizes=(1,), streams=1, is_frame_waiting=None, runner="openvino"
):
    runner, precision = backend(runner), "int8" if weights.trained else "fp32"
    files = [file for size in sizes for file in ensure_engines(weights, graphs, runner, precision, size)]
    hurry = (range(streams), is_frame_waiting) if is_frame_waiting else ()
    return load_processor(
        files, weights.step_ns, [CameraView(weights.input)] * streams, [Refiner() for _ in range(streams)], *hurry
    )


def served(one: Estimator, frames: dict[int, NetworkInput]) -> dict[int, Pose]:
    """What the inference loop does with frames: their poses by stream, and then what they did not have to wait for."""
    poses = dict(one.poses(frames))
    one.catch_up()
    return poses


@pytest.fixture
def thin(thin_weights_of):
    """The shipped network's window and step, thin: when its motion is computed does not depend on what it is."""
    return thin_weights_of("two seconds")


def watched(one: TrainedStepEstimator) -> list[list[int]]:
    """Capture times of each run of the motion graph, as they begin."""
    runs, run = [], one.motion_parts

    def watch(batch, restart_steps):
        runs.append([frame.t_capture_ns for _, frame in batch])
        return run(batch, restart_steps)

    one.motion_parts = watch
    return runs


@pytest.mark.parametrize(
    ("kind", "runner"), [("window", "openvino"), ("causal", "openvino"), ("causal", "onnxruntime")]
)
def test_slow_frames_have_their_own_motion(thin_weights_of, kind, runner):
    """Where any motion before would be old, poses are those of the whole step."""
    weights, frames = thin_weights_of(kind), Frames(0)
    ahead, whole = estimator(weights, runner=runner), estimator(weights, (STEP_GRAPH,), runner=runner)
    for turn in range(1, 5):
        frame = frames.at(turn * (weights.window * weights.step_ns // 4 + MS))
        np.testing.assert_allclose(ahead.estimate(frame).joints, whole.estimate(frame).joints, atol=2e-5)


def test_streams_keep_their_motion_apart_in_batches(thin_weights_of):
    """Three streams at rates of their own, one with a break, in batches: the poses that each would have alone."""
    weights, rng = thin_weights_of("causal"), np.random.default_rng(0)
    together, alone = estimator(weights, sizes=(1, 2), streams=3), [estimator(weights) for _ in range(3)]
    frames, step = [Frames(n) for n in range(3)], weights.step_ns
    for turn in range(9):
        fresh = [n for n, every in enumerate((1, 2, 3)) if turn % every == 0]
        given = {
            int(n): frames[n].at((turn + 1) * step // 2 + int(n) * step // 9, int(n == 1 and turn >= 6))
            for n in rng.permutation(fresh)
        }
        poses = served(together, given)
        assert set(poses) == set(given)
        for number, frame in given.items():
            np.testing.assert_allclose(poses[number].joints, alone[number].estimate(frame).joints, atol=2e-5)
    assert [stream.resets for stream in together.streams] == [one.streams[0].resets for one in alone] == [0, 1, 0]


def test_motion_waits_for_frames_but_not_for_ever(thin):
    """At twice the trained rate, T = 32: every other frame when nobody waits, else shortly before it is too old."""
    step, poses = thin.step_ns, 35
    for is_waiting, every in ((False, 2), (True, 14)):
        one, frames = estimator(thin, is_frame_waiting=lambda: is_waiting), Frames(1)  # noqa: B023
        runs = watched(one)
        for n in range(poses):
            one.estimate(frames.at(step + n * step // 2))
        assert runs == [[step + n * step // 2] for n in range(0, poses, every)]


@pytest.mark.parametrize(("waited_ms", "every"), [(0, 2), (10, 14)])
def test_motion_is_not_begun_where_frames_come_late(thin, waited_ms, every):
    """Though none is waiting: of cameras that are served behind time, the next frame is still being decoded."""
    one, frames, step = estimator(thin, is_frame_waiting=lambda: False), Frames(7), thin.step_ns
    runs = watched(one)
    for n in range(29):
        one.estimate(frames.at(step + n * step // 2, waited_ms=waited_ms))
    assert runs == [[step + n * step // 2] for n in range(0, 29, every)]


def test_a_slow_stream_that_always_has_a_frame_waiting_waits_for_its_own_motion(thin):
    """A frame every three steps, of which motion may be eight old: that of every third frame, before its pose."""
    one, frames, step = estimator(thin, is_frame_waiting=lambda: True), Frames(14), thin.step_ns
    runs, waited = watched(one), []
    for n in range(10):
        assert len(dict(one.poses({0: frames.at(step + 3 * n * step, waited_ms=100)}))) == 1
        waited.append(len(runs))
        one.catch_up()
        assert len(runs) == waited[-1]
    assert waited == [1 + n // 3 for n in range(10)]


def test_motion_that_has_no_time_left_is_spread_over_frames(thin):
    """A camera at 60 fps that always has a frame waiting: a part after each pose, and none waits for its motion."""
    (one, parts), frames, left = busy_after(0, weights=thin), Frames(11), []
    for n in range(64):
        parts.clear()
        one.estimate(frames.at(10**9 + round(n * 1e9 / 60)))
        left.append(list(parts))
    first, others = left[0], left[1:]
    assert first == [0.75, 0.5, 0.25, 0] and all(len(one) <= 1 for one in others)
    assert sum(others, []) == first * 2 and others.index([0]) < 32 == round(0.25 * 32 * 4)  # a step is four frames


def busy_after(most: int, **options) -> tuple[TrainedStepEstimator, list[float]]:
    """An estimator with time for so many parts of motion, besides what cannot wait; and those parts, to be cleared."""
    parts: list[float] = []
    one = estimator(is_frame_waiting=lambda: len(parts) >= most, **options)
    run = one.motion_parts

    def count(batch, restart_steps):
        for left in run(batch, restart_steps):
            parts.append(left)
            yield left

    one.motion_parts = count
    return one, parts


def test_a_waiting_frame_is_served_between_parts(thin):
    """And the motion then goes on where it was: it is that of its own frame."""
    (one, parts), alone, frames, step = busy_after(5, weights=thin), estimator(thin), Frames(12), thin.step_ns
    first, second, third = (frames.at(n * step) for n in range(1, 4))
    for frame in (first, second):
        one.estimate(frame)
        alone.estimate(frame)
    assert parts == [0.75, 0.5, 0.25, 0, 0.75] and one.turns[0].taken_ns == step
    one.estimate(third)
    assert one.turns[0].taken_ns == step and one.begun.left == 0.75
    for before, ns in ((2, 2 * step), (0, 3 * step)):
        del parts[before:]
        assert served(one, {}) == {}
        assert one.turns[0].taken_ns == ns
        np.testing.assert_array_equal(one.turns[0].motion, alone.turns[0].motion)
        alone.estimate(third)


def test_motion_that_cannot_wait_is_not_held_up_by_what_had_begun(thin):
    """Of a camera that has ended: it is finished in time for the other's, which no pose waits for."""
    (one, parts), frames, left = busy_after(9, weights=thin, streams=2), Frames(15), []
    start, period = 10**9, 33 * MS
    for n in range(2):
        for number in (0, 1):
            assert len(served(one, {number: frames.at(start + n * 2 * period + number)})) == 1
    assert one.begun.left == 0.75 and one.begun.batch[0][0] == 0
    for n in range(4, 40):
        parts.clear()
        parts.extend([1.0] * 9)
        assert len(dict(one.poses({1: frames.at(start + n * period)}))) == 1
        assert len(parts) == 9, "its pose waited"
        one.catch_up()
        left.append(parts[9:])
    assert max(map(len, left)) <= 3 and sum(left, []) == [0.5, 0.25, 0.0] + [0.75, 0.5, 0.25, 0.0] * 2


def test_lost_frames_make_no_camera_a_slow_one(thin):
    """At 30 fps, three frames in ten lost: hardly a pose waits for its motion."""
    (one, parts), frames, rng, waited = busy_after(0, weights=thin), Frames(16), np.random.default_rng(0), 0
    kept = [n for n in range(300) if n == 0 or rng.random() > 0.3]
    for n in kept:
        parts.clear()
        assert len(dict(one.poses({0: frames.at(10**9 + n * 33 * MS)}))) == 1
        waited += bool(parts)
        one.catch_up()
    assert waited <= 4 and one.turns[0].frame_ns == 33 * MS


def test_a_gap_makes_no_camera_a_slow_one():
    """Five frames of 33 ms in one, of which motion may be sixteen old: by that distance alone it would be slow."""
    turn = MotionTurn(66 * MS, 16 * 33 * MS, 1)
    turn.took(0, np.zeros(1), restart_steps=True)
    times = [0, 33 * MS, 66 * MS, 9 * 33 * MS, 14 * 33 * MS]
    for before, now in zip(times, times[1:]):
        turn.saw(now, before)
    assert turn.is_pressing(1.0)


@pytest.mark.parametrize(("steps", "is_pressed"), [(8, True), (32, True), (1, False)])
def test_cameras_are_slow_by_how_old_their_motion_may_get(steps, is_pressed):
    turn = MotionTurn(33 * MS, steps * 33 * MS, 1)
    turn.took(0, np.zeros(1), restart_steps=True)
    for n in range(1, steps + 1):
        turn.saw(n * 33 * MS, (n - 1) * 33 * MS)
    assert turn.is_pressing(0.25) == is_pressed and not turn.is_old()


def test_a_first_frame_comes_between_the_parts_of_another_stream(thin):
    """It needs the same engine: what had begun is finished first, and nobody gets the other's motion."""
    (one, parts), alone, frames, step = (
        busy_after(6, weights=thin, streams=2),
        [estimator(thin) for _ in range(2)],
        Frames(13),
        thin.step_ns,
    )
    for n in (1, 2):
        frame = frames.at(n * step)
        alone[0].estimate(frame)
        assert len(served(one, {0: frame})) == 1
    assert one.begun.left == 0.5
    frame = frames.at(2 * step + MS)
    pose = served(one, {1: frame})[1]
    np.testing.assert_array_equal(pose.joints, alone[1].estimate(frame).joints)
    assert parts == [0.75, 0.5, 0.25, 0] * 3 and not one.begun
    frame = frames.at(3 * step)
    np.testing.assert_array_equal(served(one, {0: frame})[0].joints, alone[0].estimate(frame).joints)


def test_motion_that_was_put_off_is_computed_as_soon_as_nobody_waits(thin):
    """Two cameras, the second right behind the first: each has its motion once per step, of newest frames only."""
    waiting, step, times = [], thin.step_ns, [[], []]
    one, frames = estimator(thin, sizes=(1, 2), streams=2, is_frame_waiting=lambda: bool(waiting)), Frames(5)
    runs = watched(one)
    for turn in range(1, 9):
        for number, behind in enumerate((0, 3 * MS)):
            waiting[:] = [1 - number] * (1 - number)
            times[number].append(turn * step // 2 + behind)
            served(one, {number: frames.at(times[number][-1])})
    assert runs == [[times[number][n]] for n in (0, 2, 4, 6) for number in (0, 1)]


def test_a_recording_of_which_every_frame_is_wanted_is_never_hurried(thin):
    """Beside a camera that always has a frame waiting: its motion does not depend on that."""
    one, frames, step = (
        estimator(thin, sizes=(1, 2), streams=2, is_frame_waiting=lambda: True),
        Frames(8),
        thin.step_ns,
    )
    one.live_streams = [1]
    runs = watched(one)
    for n in range(1, 5):
        served(one, {k: frames.at(n * step + k) for k in (0, 1)})
    assert runs == [[step, step + 1], [2 * step], [3 * step], [4 * step]]


@pytest.mark.parametrize("begun", [False, True], ids=["put off", "begun"])
def test_a_reset_forgets_motion_that_is_not_ready(thin, begun):
    """By hand, between two frames: the next is a first one."""
    waiting = [0]
    one, frames = estimator(thin, is_frame_waiting=lambda: bool(waiting)), Frames(6)
    one.estimate(frames.at(thin.step_ns))
    one.estimate(frames.at(2 * thin.step_ns))
    assert len(one.due()) == 1
    waiting.clear()
    if begun:
        one.run_part()
        assert one.begun and not one.due()
    one.streams[0].reset()
    runs = watched(one)
    one.motion_engines[1][0].run_parts = lambda: pytest.fail("computed for nothing")
    assert served(one, {}) == {} and not runs and not one.begun
    del one.motion_engines[1][0].run_parts
    assert one.turns[0].taken_ns == thin.step_ns and one.streams[0].window.count == 0
    frame = frames.at(3 * thin.step_ns)
    np.testing.assert_array_equal(one.estimate(frame).joints, estimator(thin).estimate(frame).joints)


def test_a_reset_of_one_stream_forgets_its_share_of_a_begun_batch(thin):
    """Two cameras in step on a busy machine: the motion of both is begun together, and one of them is reset."""
    one, frames, period = (
        estimator(thin, sizes=(1, 2), streams=2, is_frame_waiting=lambda: True),
        Frames(17),
        33 * MS,
    )
    for n in range(40):
        assert len(served(one, {number: frames.at(10**9 + n * period + number) for number in (0, 1)})) == 2
        if one.begun:
            break
    assert len(one.begun.batch) == 2
    before, begun_ns = one.turns[0].taken_ns, one.begun.batch[1][1].t_capture_ns
    one.streams[0].reset()
    one.finish_begun()
    assert one.turns[0].taken_ns == before and one.streams[0].window.count == 0 and one.turns[1].taken_ns == begun_ns
    frame = frames.at(10**9 + (n + 1) * period)
    np.testing.assert_array_equal(served(one, {0: frame})[0].joints, estimator(thin).estimate(frame).joints)


def test_a_pose_is_out_before_its_motion_is_computed(thin):
    one, frames = estimator(thin), Frames(2)
    one.estimate(frames.at(thin.step_ns))
    runs = watched(one)
    assert len(dict(one.poses({0: frames.at(2 * thin.step_ns)}))) == 1 and not runs
    one.catch_up()
    assert runs == [[2 * thin.step_ns]]


@pytest.mark.parametrize("segment, back_ns", [(1, 0), (0, 3 * MS)], ids=["another segment", "time runs back"])
def test_a_break_forgets_the_motion(thin, segment, back_ns):
    """As in a stream that begins there: the frame's own motion, of itself alone."""
    one, frames = estimator(thin), Frames(3)
    for n in range(1, 4):
        one.estimate(frames.at(n * thin.step_ns // 3 + thin.step_ns))
    frame = frames.at(2 * thin.step_ns - back_ns, segment)
    np.testing.assert_array_equal(one.estimate(frame).joints, estimator(thin).estimate(frame).joints)
    assert one.streams[0].resets == 1
    runs = watched(one)
    for n in range(1, 5):  # and steps are counted from it on
        one.estimate(frames.at(frame.t_capture_ns + n * thin.step_ns // 2, segment))
    assert runs == [[frame.t_capture_ns + n * thin.step_ns] for n in (1, 2)]


def spoil(engine) -> Callable[[], None]:
    """From now on it gives nothing that is finite. Returns what ends that."""
    run = engine.run_parts

    def run_spoilt():
        for outputs in run():
            yield outputs and {name: np.full_like(value, np.nan) for name, value in outputs.items()}

    engine.run_parts = run_spoilt
    return lambda: setattr(engine, "run_parts", run)


def test_motion_that_is_not_finite_spoils_no_later_pose(thin):
    one, clean, frames = estimator(thin), estimator(thin), Frames(4)
    first, second, third = (frames.at(thin.step_ns + n * thin.step_ns) for n in range(3))
    one.estimate(first)
    mend = spoil(one.motion_engines[1][0])
    one.estimate(second)  # its own motion, for the pose after it, is lost
    mend()
    clean.estimate(first)
    clean.turns[0].motion[:] = np.nan  # as if nothing had been computed since
    runs = watched(one)
    recovered = dict(one.poses({0: third}))[0].joints
    assert runs == [[third.t_capture_ns]]  # it waited for its own: what ReLU makes of NaN looks like a pose
    assert np.isfinite(recovered).all()
    one.catch_up()
    np.testing.assert_allclose(recovered, clean.estimate(third).joints, atol=2e-5)
    assert np.isfinite(one.estimate(frames.at(4 * thin.step_ns)).joints).all()


def test_motion_that_is_never_finite_makes_no_pose(thin):
    one, frames = estimator(thin), Frames(9)
    mend = spoil(one.motion_engines[1][0])
    assert not any(np.isfinite(one.estimate(frames.at(n * thin.step_ns)).joints).any() for n in (1, 2, 3))
    mend()
    assert np.isfinite(one.estimate(frames.at(4 * thin.step_ns)).joints).all()


def test_presets_choose_it_unless_it_is_named(thin):
    for name, preset in PRESETS.items():
        expected = (STEP_GRAPH,) if preset.motion == "every-frame" else (MOTION_GRAPH, POSE_GRAPH)
        assert processor_graphs(RunConfig(preset=name), thin) == expected
        assert processor_graphs(RunConfig(preset=name, motion="every-frame"), thin) == (STEP_GRAPH,)
    assert PRESETS["accuracy"].motion == "every-frame"
    for motion in ("every-frame", "trained-step"):
        setup = prepare_run(
            RunConfig(weights=str(thin.folder), precision="fp32", backend="openvino", motion=motion), print
        )
        assert setup.motion == motion


@pytest.mark.parametrize("branch", ["use_tokens", "use_motion"])
def test_a_network_of_one_branch_has_no_halves(thin, branch):
    """Without heatmaps every pose would be the last motion's, without motion there is nothing to put off."""
    half = msgspec.structs.replace(thin, network=thin.network | {branch: False})
    assert processor_graphs(RunConfig(), half) == (STEP_GRAPH,)
    with pytest.raises(EgostreamError, match="--motion trained-step: .* has no heatmap or no motion branch"):
        processor_graphs(RunConfig(motion="trained-step"), half)


def test_a_folder_of_engines_without_the_halves_still_runs(thin, tmp_path):
    runner, said = backend("openvino"), []
    (step,) = ensure_engines(thin, (STEP_GRAPH,), runner, "fp32", 1)
    for path in (step.path, manifest_path(step.path)):
        shutil.copy(path, tmp_path)
    config = RunConfig(engines=str(tmp_path))
    (found,) = processor_engines(config, thin, runner, "fp32", 1, said.append)
    assert found.path == tmp_path / step.path.name and "motion between poses: it is computed on every frame" in said[0]
    with pytest.raises(EgostreamError, match="motion.* is not there"):
        processor_engines(msgspec.structs.replace(config, motion="trained-step"), thin, runner, "fp32", 1, said.append)


def test_a_recording_of_which_every_frame_is_wanted_waits_for_its_motion():
    assert not drops_frames(RunConfig(pace="every-frame"))
    for config in (RunConfig(), RunConfig(pace="max-rate"), RunConfig(source="0", pace="every-frame")):
        assert drops_frames(config)


def test_int8_costs_the_halves_no_more_than_the_step(quantised_weights):
    """They have the step's scales; what is rounded differently moves joints either way."""
    weights, runner = quantised_weights, backend("openvino")
    assert has_quantization(weights)
    engines = {}
    for precision, graph in (("fp32", STEP_GRAPH), ("int8", STEP_GRAPH), ("int8", MOTION_GRAPH), ("int8", POSE_GRAPH)):
        (file,) = ensure_engines(weights, (graph,), runner, precision, 1)
        engine, manifest = load_engine(file.path, file.fields, 0)
        engines[precision, graph] = (
            engine,
            {name: np.zeros(shape, dtype) for name, (dtype, shape) in manifest.inputs.items()},
        )
        engine.bind(engines[precision, graph][1])
    moved, poses = {STEP_GRAPH: [], POSE_GRAPH: []}, []
    for image in load_frames(None, weights, 8):
        for _, inputs in engines.values():
            inputs["frame"][:] = image
        engines["int8", POSE_GRAPH][1]["motion"][:] = engines["int8", MOTION_GRAPH][0].run()["motion"]
        expected = engines["fp32", STEP_GRAPH][0].run()["joints"]
        poses.append(expected.copy())
        for graph, errors in moved.items():
            errors.append(np.linalg.norm(engines["int8", graph][0].run()["joints"] - expected, axis=-1))
    assert 0 < np.mean(moved[POSE_GRAPH]) < 1.5 * np.mean(moved[STEP_GRAPH])
    spread = np.linalg.norm(poses - np.mean(poses, 0), axis=-1).mean()  # of an untrained network's poses
    assert np.mean(moved[STEP_GRAPH]) < spread


def test_a_look_gives_a_poses_keypoints_and_leaves_no_trace(thin):
    """Also in the midst of motion that is computed in parts."""
    weights, frames = thin, Frames(5)
    waiting = [False]
    asked, left_alone = (estimator(weights, is_frame_waiting=lambda: waiting[0]) for _ in range(2))
    for turn in range(6):
        frame = frames.at((turn + 1) * weights.step_ns)
        poses = [dict(one.poses({0: frame}))[0] for one in (asked, left_alone)]
        np.testing.assert_array_equal(poses[0].joints, poses[1].joints)
        for one in (asked, left_alone):
            one.run_part()
        peaks, heights = asked.look(frame.image)
        np.testing.assert_array_equal(asked.streams[0].view.keypoints_in_camera(peaks)[0], poses[0].keypoints)
        asked.look(frames.at(0).image)
        for one in (asked, left_alone):
            one.catch_up()
    assert asked.turns[0].taken_ns == left_alone.turns[0].taken_ns > 0
