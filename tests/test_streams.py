"""Several cameras in one run: batches, fairness, isolation, and the settings that ask for them."""

from __future__ import annotations

import multiprocessing
import time

import cv2
import numpy as np
from conftest import receive_all
from processes import wait_for, workers

from egostream.config import StreamConfig
from egostream.files import asset
from egostream.publish.control import request

CONTEXT = multiprocessing.get_context("spawn")
SAMPLE = asset("sample", "sample.avi")


def test_each_stream_has_its_topic_status_and_window(pipeline, thin_weights_of, tmp_path):
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
    common = {"assume_canonical": True, "pace": "every-frame", "fps": 15.0, "precision": "fp32"}
    common["weights"] = str(thin_weights_of("causal").folder)

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
            is_back = lambda poses=poses: (pose := poses.newest(1.0)) and pose.t_capture_ns > t_ns + 10**9
            assert wait_for(is_back, 30), run.output()
        assert wait_for(lambda: sorted(one.status(1.0).restarts["capture"] for one in (a, b)) == [0, 1])
    assert "capture process of stream" in run.output() and "Traceback" not in run.output()
