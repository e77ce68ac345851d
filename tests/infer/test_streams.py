"""Several cameras in one run: batches, fairness, isolation, and the settings that ask for them."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from conftest import ROOT, receive_all
from processes import wait_for, workers

from egostream.calibration.view import CameraView
from egostream.config import MAX_STREAMS, RunConfig, StreamConfig, as_toml, load_config, stream_configs, stream_flags
from egostream.engine.backends import backend
from egostream.engine.batch_sizes import processor_batch_sizes
from egostream.engine.build import ensure_engines, wanted_fields
from egostream.engine.load import load_engine
from egostream.errors import EgostreamError
from egostream.files import asset
from egostream.graph.ports import STEP_GRAPH
from egostream.handover.board import CameraState, RunBoard, StreamBoard
from egostream.handover.frame_ring import FrameRing
from egostream.handover.worker import StreamLink, Worker
from egostream.infer.every_frame import EveryFrameEstimator
from egostream.infer.main import run
from egostream.infer.taker import FrameTaker
from egostream.publish.feed import Feed
from egostream.publish.figures import StreamStats
from egostream.supervise.control import request
from egostream.supervise.prepare import prepare_run
from egostream.supervise.supervisor import MAX_RESTARTS, STUCK_S, Supervisor
from egostream.terminal import bench
from egostream.types import NetworkInput, Pose

CONTEXT = multiprocessing.get_context("spawn")
SAMPLE = asset("sample", "sample.avi")


# -- settings --------------------------------------------------------------------------------------------------------


def test_streams_take_what_they_leave_out_from_the_run():
    config = RunConfig(
        fps=30.0, loop=True, streams=(StreamConfig(source="a"), StreamConfig(source="b", stream="left", loop=False))
    )
    first, second = stream_configs(config)
    assert (first.source, first.stream, first.loop, first.fps) == ("a", "0", True, 30.0)
    assert (second.source, second.stream, second.loop, second.fps) == ("b", "left", False, 30.0)
    assert stream_configs(RunConfig(source="a")) == [RunConfig(source="a")]


def test_settings_with_streams_survive_toml(tmp_path):
    config = RunConfig(
        publish="ipc:///tmp/x",
        streams=(StreamConfig(source='a "quoted"', loop=True), StreamConfig(source="b", fps=15.0)),
    )
    path = tmp_path / "run.toml"
    path.write_text(as_toml(config))
    assert load_config(path, {}) == config


def test_a_flag_goes_before_the_tables_or_is_refused(tmp_path):
    path = tmp_path / "two.toml"
    path.write_text(
        as_toml(RunConfig(streams=(StreamConfig(source="a", fps=15.0, loop=True), StreamConfig(source="b"))))
    )
    config = load_config(path, {"fps": 60.0})
    assert [(one.source, one.fps, one.loop) for one in stream_configs(config)] == [
        ("a", 60.0, True),
        ("b", 60.0, False),
    ]
    for flags in ({"source": "sample"}, {"stream": "x"}):
        with pytest.raises(EgostreamError, match="two.toml has .*streams.*which one is meant"):
            load_config(path, flags)
    assert len(load_config(path, {"streams": [{"source": "c"}]}).streams) == 1


@pytest.mark.parametrize(
    "given, expected",
    [
        ((["0"], [], []), {"source": "0"}),
        (([], ["head"], ["c.json"]), {"stream": "head", "calibration": "c.json"}),
        ((["0", "1"], [], ["c.json"]), {"calibration": "c.json", "streams": [{"source": "0"}, {"source": "1"}]}),
        (
            (["0", "1"], ["l", "r"], ["a", "b"]),
            {
                "streams": [
                    {"source": "0", "stream": "l", "calibration": "a"},
                    {"source": "1", "stream": "r", "calibration": "b"},
                ]
            },
        ),
    ],
)
def test_repeated_options_make_streams(given, expected):
    assert stream_flags(*given) == expected


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--camera", "sample", "--camera", "sample", "--stream", "a"], "2 cameras and 1 times --stream"),
        (
            ["--camera", "sample", "--camera", "sample", "--camera", "sample", *["--calibration", "a"] * 2],
            "3 cameras and 2 times --calibration",
        ),
        (["--camera", "sample", "--camera", "sample", "--stream", "a", "--stream", "a"], "two streams are named 'a'"),
        (["--camera", "sample", "--camera", "nowhere.mp4"], "no source 'nowhere.mp4'"),
        (["--camera", "sample"] * (MAX_STREAMS + 1), f"up to {MAX_STREAMS}"),
        (["--camera", "sample", "--batch-wait-ms", "nan"], "batch_wait_ms"),
    ],
)
def test_streams_that_do_not_fit_are_one_clear_line(arguments, message):
    done = subprocess.run(
        [sys.executable, "-m", "egostream", "run", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1 and message in done.stderr
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


# -- batches ---------------------------------------------------------------------------------------------------------


def test_any_number_of_streams_is_made_up_of_the_compiled_batches():
    found = [processor_batch_sizes(n) for n in (1, 2, 3, 7, 8, 32)]
    assert found == [[1], [1, 2], [1, 2], [1, 2, 4], [1, 2, 4], [1, 2, 4]]


def estimator(weights, sizes, streams):
    runner = backend("openvino")
    engines = {}
    for size in sizes:
        path = ensure_engines(weights, [STEP_GRAPH], runner, "fp32", size)[0].path
        engines[size] = load_engine(path, wanted_fields(weights, STEP_GRAPH, runner, "fp32", size), 0)
    return EveryFrameEstimator(engines, weights.step_ns, [CameraView(weights.input)] * streams)


@pytest.mark.parametrize("kind", ["window", "causal"])
def test_streams_run_in_batches_as_each_would_alone(weights_of, kind):
    """Three streams at rates of their own, one with a break: nobody sees another's past, whatever batch it was in."""
    weights, rng = weights_of(kind), np.random.default_rng(0)
    together = estimator(weights, (1, 2), 3)
    alone = [estimator(weights, (1,), 1) for _ in range(3)]
    step, sizes = weights.step_ns, []
    for turn in range(9):
        fresh = [number for number, every in enumerate((1, 2, 3)) if turn % every == 0]
        frames = {}
        for number in rng.permutation(fresh):
            segment = int(number == 1 and turn >= 6)
            t_ns = (turn + 1) * step + int(number) * step // 3
            frames[int(number)] = NetworkInput(
                turn, segment, t_ns, rng.integers(0, 256, (256, 256, 3), np.uint8), {}, 0
            )
        sizes.append(len(frames))
        poses = dict(together.estimate_batch(frames))
        assert set(poses) == set(frames)
        for number, frame in frames.items():
            expected = alone[number].estimate(frame)
            np.testing.assert_allclose(poses[number].joints, expected.joints, atol=2e-5)
            np.testing.assert_allclose(poses[number].keypoints, expected.keypoints, atol=1e-2)
            assert (poses[number].seq, poses[number].t_capture_ns) == (frame.seq, frame.t_capture_ns)
    assert set(sizes) == {1, 2, 3}
    assert [stream.resets for stream in together.streams] == [one.streams[0].resets for one in alone] == [0, 1, 0]


@pytest.fixture
def worker():
    """The inference process's view of four streams, in this process."""
    links = [StreamLink(CONTEXT.Semaphore(0), StreamBoard(), FrameRing()) for _ in range(4)]
    board = RunBoard()
    for link in links:
        link.board["capture_state"] = CameraState.STREAMING
    yield Worker("infer", board, links, CONTEXT.Semaphore(0), None)
    for link in links:
        link.close()
    board.close()


def write(worker, number, t_ns, seq=1):
    image = np.full((256, 256, 3), number, np.uint8)
    worker.links[number].ring.write(
        NetworkInput(seq, 0, t_ns, image, {"grab": 0, "decode": 0, "rectify": 0}, t_ns), worker.ready
    )


def test_every_fresh_stream_is_in_the_batch_the_oldest_frame_first(worker):
    for number, t_ns in ((2, 30), (0, 10), (3, 20)):
        write(worker, number, t_ns)
    write(worker, 2, 40, seq=2)  # newest wins
    taker = FrameTaker(worker, wait_s=0.0)
    assert taker.has_fresh([0, 1]) and not taker.has_fresh([1])
    frames = taker.take(idle_s=0.0, limit=4)
    assert [(number, frame.t_capture_ns) for number, frame in frames.items()] == [(0, 10), (3, 20), (2, 40)]
    assert all((frame.image == number).all() for number, frame in frames.items())
    assert not taker.take(idle_s=0.01, limit=4) and not taker.has_fresh(range(4))


def test_the_estimator_is_told_who_is_hurried_and_whether_they_wait(worker, monkeypatch, tmp_path):
    """Of a camera-like recording beside one of which every frame is wanted."""
    told = []

    def load(setup, say, beat, live_streams, busy):
        for number in (None, 1, 0):
            if number is not None:
                write(worker, number, 10)
            told.append((list(live_streams), busy()))
        return SimpleNamespace(streams=[None, None], manifest=None, motion="", most_at_once=1)

    monkeypatch.setattr("egostream.infer.main.load_estimator", load)
    worker.parent = SimpleNamespace(is_alive=lambda: False)  # it ends before its first frame
    streams = (StreamConfig(), StreamConfig(pace="every-frame"))
    run(prepare_run(RunConfig(streams=streams, publish=f"ipc://{tmp_path}/poses", control=""), print), worker)
    assert told == [([0], False), ([0], False), ([0], True)]


def test_whoever_waited_longest_is_served_first(worker):
    """Every stream always has a fresh frame, and one batch holds three of the four: each gets the same share."""
    taker, served = FrameTaker(worker, wait_s=1.0), []
    for turn in range(8):
        for number in range(4):
            write(worker, number, 100 * turn + number + 1, seq=turn)
        frames = taker.take(idle_s=0.0, limit=3)
        assert len(frames) == 3 and all(frame.seq == turn for frame in frames.values()), (
            "the newest frames, without waiting"
        )
        served += frames
    assert [served.count(number) for number in range(4)] == [6, 6, 6, 6]


def test_a_slow_camera_is_waited_for_only_so_long(worker):
    wait_s = 0.2
    write(worker, 0, 10)
    started = time.monotonic()
    assert set(FrameTaker(worker, wait_s).take(1.0, 4)) == {0}
    assert time.monotonic() - started >= wait_s  # the others are streaming: they had their chance

    for number in (1, 2, 3):
        worker.links[number].board["capture_state"] = CameraState.LOST
    write(worker, 0, 20, seq=2)
    started = time.monotonic()
    assert set(FrameTaker(worker, wait_s=30.0).take(1.0, 4)) == {0}
    assert time.monotonic() - started < 15  # nobody waits for a camera that is gone


@pytest.mark.parametrize(("fps", "is_waited_for"), [(1000 / 60, True), (0.01, False)])
def test_a_camera_is_waited_for_when_its_frame_is_about_to_come(worker, fps, is_waited_for):
    """Two cameras whose frames come together, and the second of which shows the next 60 ms later or long after."""
    for number in (2, 3):
        worker.links[number].board["capture_state"] = CameraState.LOST
    taker = FrameTaker(worker, wait_s=10.0)
    for number in (0, 1):
        worker.links[number].board["capture_fps"] = fps
        write(worker, number, time.monotonic_ns())
    assert set(taker.take(1.0, 4)) == {0, 1}
    write(worker, 0, time.monotonic_ns(), seq=2)
    later = threading.Timer(0.06, lambda: write(worker, 1, time.monotonic_ns(), seq=2))
    later.start()
    assert set(taker.take(1.0, 4)) == ({0, 1} if is_waited_for else {0})
    later.join()


@pytest.fixture
def supervisor(monkeypatch):
    """Of six streams; its children are never really started."""
    setup = prepare_run(RunConfig(control=""), lambda line: None)
    said: list[str] = []
    streams = tuple(dataclasses.replace(setup.streams[0], config=RunConfig(stream=str(n))) for n in range(6))
    one = Supervisor(dataclasses.replace(setup, streams=streams), said.append)
    one.said = said

    def start(watched):
        watched.process, watched.started_s = SimpleNamespace(exitcode=None), time.monotonic()

    monkeypatch.setattr(one, "start", start)
    yield one
    one.cleanup.close()


def test_children_start_a_few_at_a_time(supervisor, monkeypatch):
    monkeypatch.setattr("egostream.supervise.supervisor.AT_ONCE", 2)
    for watched in supervisor.watched:
        supervisor.watch(watched)
    started = lambda: [watched for watched in supervisor.watched if watched.process]
    assert started() == supervisor.watched[:2] and started()[0] is supervisor.infer
    supervisor.run_board.beat("infer")
    for watched in supervisor.watched:
        supervisor.watch(watched)
    assert started() == supervisor.watched[:3]


def test_a_camera_whose_process_hangs_or_dies_does_not_stream(supervisor):
    """Its board says what it last wrote; status must not repeat that."""
    hung, dead, ended = supervisor.captures[:3]
    killed = []
    for watched in (hung, dead, ended):
        watched.process = SimpleNamespace(exitcode=None, kill=lambda: killed.append(1), join=lambda: None)
        watched.board["capture_state"], watched.board["capture_fps"] = CameraState.STREAMING, 30.0
    hung.started_s = time.monotonic() - 1000
    supervisor.watch(hung)
    assert killed and hung.board["capture_state"] == CameraState.LOST and hung.board["capture_fps"] == 0
    supervisor.watch(hung)
    assert len(killed) == 1 and len(supervisor.said) == 1
    hung.killed_s -= STUCK_S + 1  # still there long after: it hangs in the kernel
    for _ in range(2):
        supervisor.watch(hung)
    assert len(supervisor.said) == 2 and "cannot be ended" in supervisor.said[-1]
    dead.process.exitcode, dead.started_s = -9, time.monotonic()
    supervisor.watch(dead)
    assert dead.board["capture_state"] == CameraState.LOST and dead.start_at_s > 0
    ended.board["capture_state"], ended.process.exitcode = CameraState.ENDED, 1
    supervisor.watch(ended)
    assert ended.board["capture_state"] == CameraState.ENDED


def test_a_pose_that_is_not_finite_is_not_published_and_said_once():
    feed, said, published = Feed.__new__(Feed), [], []
    feed.stream, feed.manifest = SimpleNamespace(config=RunConfig(stream="left")), SimpleNamespace(precision="fp16")
    feed.board, feed.stats, feed.clip_error = {}, StreamStats(), None
    feed.say, feed.said = said.append, set()

    def publish_pose(stream, pose, dropped):
        published.append(pose.seq)
        return SimpleNamespace(t_publish_ns=1, stages_ns={"network": 1})

    feed.publisher = SimpleNamespace(publish_pose=publish_pose)
    for seq in range(4):
        joints = np.full((15, 3), np.nan if seq in (1, 2) else 0.5, np.float32)
        feed.stats.arrived(seq)
        feed.publish(Pose(seq, seq, joints, np.zeros((15, 2)), np.ones(15), {}, 0))
    assert (
        published == [0, 3]
        and len(said) == 1
        and "stream left: " in said[0]
        and "fp16" in said[0]
        and "--precision fp32" in said[0]
    )


def test_a_capture_that_keeps_failing_is_given_up_and_the_last_ends_the_run(supervisor):
    for number, watched in enumerate(supervisor.captures):
        watched.restarts_in_a_row, watched.started_s = MAX_RESTARTS, time.monotonic()
        if number < 5:
            supervisor.plan_restart(watched, time.monotonic(), "it broke")
            assert (
                watched.board["capture_state"] == CameraState.FAILED
                and f"stream {number} is given up" in supervisor.said[-1]
            )
        else:
            with pytest.raises(EgostreamError, match="failed 9 times in a row; last: it broke"):
                supervisor.plan_restart(watched, time.monotonic(), "it broke")


def test_bench_keeps_what_it_measured_before_a_failure(monkeypatch, capsys):
    def pipeline(config, *_):
        if len(config.streams) > 2:
            raise EgostreamError("too many")
        return {"streams": len(config.streams)}, None

    monkeypatch.setattr(bench, "bench_pipeline", pipeline)
    configs = [bench.with_streams(RunConfig(), count) for count in (1, 2, 4, 2)]
    assert [result["streams"] for result, _ in bench.bench_each(configs, 1, 1)] == [0, 2]
    assert "4 streams: too many" in capsys.readouterr().err
    with pytest.raises(EgostreamError, match="too many"):
        bench.bench_each(configs[2:], 1, 1)


# -- whole runs ------------------------------------------------------------------------------------------------------


def test_each_stream_has_its_topic_status_and_window(pipeline, tmp_path):
    """Two recordings in one run give each the poses that it gets alone."""
    frames = []
    video = cv2.VideoCapture(str(SAMPLE))
    for _ in range(24):
        frames.append(video.read()[1])
    folders = {"forward": frames[:12], "backward": frames[:11:-1]}
    for name, images in folders.items():
        (tmp_path / name).mkdir()
        for i, image in enumerate(images):
            cv2.imwrite(str(tmp_path / name / f"{i:03}.png"), image)
    common = {"assume_canonical": True, "pace": "every-frame", "fps": 15.0, "precision": "fp32", "temporal": "causal"}

    def poses_of(**settings):
        run = pipeline(**common, **settings)
        with run.subscribe_to(None, every=True) as poses:
            got = {}
            for pose in receive_all(run, poses):
                got.setdefault(pose.stream, {})[pose.seq] = pose.joints
        assert run.wait(30) == 0, run.output()
        return got, run.output()

    streams = [StreamConfig(source=str(tmp_path / name), stream=name) for name in folders]
    together, output = poses_of(streams=tuple(streams))
    assert set(together) == set(folders)
    for name in folders:
        assert f"stream {name}: source" in output and f"stream {name}: 12 poses" in output
        alone, _ = poses_of(source=str(tmp_path / name))
        assert set(together[name]) == set(alone["0"]) == set(range(12))
        for seq, joints in alone["0"].items():
            np.testing.assert_allclose(together[name][seq], joints, atol=1e-4)


def test_a_camera_that_cannot_be_used_takes_nobody_with_it(pipeline, tmp_path):
    (tmp_path / "small").mkdir()
    cv2.imwrite(str(tmp_path / "small" / "0.png"), np.zeros((64, 64, 3), np.uint8))
    bad = StreamConfig(source=str(tmp_path / "small"), stream="bad", assume_canonical=True)
    run = pipeline(streams=(StreamConfig(source="sample", stream="good"), bad))
    with run.subscribe_to("good") as good, run.subscribe_to("bad") as other:
        first = run.wait_first(good)
        assert wait_for(lambda: "stream bad is given up" in run.output(), 30), run.output()
        assert wait_for(lambda: (status := other.status(1.0)) and status.camera.state == "failed")
        assert wait_for(lambda: (pose := good.newest(1.0)) and pose.seq > first.seq)
    assert run.process.poll() is None
    assert request(run.control, {"cmd": "status", "stream": "bad"})["camera"] == "failed"
    assert request(run.control, {"cmd": "status", "stream": "good"})["camera"] == "streaming"
    assert "no stream 'nobody'" in request(run.control, {"cmd": "status", "stream": "nobody"})["error"]


def test_a_killed_capture_process_of_one_stream_comes_back(pipeline):
    run = pipeline(streams=(StreamConfig(source="sample", stream="a"), StreamConfig(source="sample", stream="b")))
    with run.subscribe_to("a") as a, run.subscribe_to("b") as b:
        run.wait_first(a), run.wait_first(b)
        workers(run)["capture"].kill()  # one of the two
        t_ns = time.monotonic_ns()
        for poses in (a, b):
            assert wait_for(lambda: (pose := poses.newest(1.0)) and pose.t_capture_ns > t_ns + 10**9, 30), run.output()  # noqa: B023
        assert wait_for(lambda: sorted(one.status(1.0).restarts["capture"] for one in (a, b)) == [0, 1])
    assert "capture process of stream" in run.output() and "Traceback" not in run.output()


def test_bench_measures_several_streams(tmp_path):
    command = [
        sys.executable,
        "-m",
        "egostream",
        "bench",
        "--seconds",
        "4",
        "--warmup",
        "1",
        "--streams",
        "2",
        "--json",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert set(result["streams"]) == {"0", "1"}
    rates = [stream["poses_per_second"] for stream in result["streams"].values()]
    assert result["poses_per_second"] == pytest.approx(sum(rates)) and 0 < result["fairness"] <= 1
    assert result["fairness"] == pytest.approx(min(rates) / np.mean(rates))
    for text in ("0", "1,x", ""):
        done = subprocess.run([*command[:-3], "--streams", text], cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and "a number of streams" in done.stderr


def test_all_streams_are_received_every_message_or_not_at_all():
    from egostream.publish.client import PoseSubscriber

    with pytest.raises(EgostreamError, match="every=True"):
        PoseSubscriber("ipc:///tmp/egostream-test-none", None)
