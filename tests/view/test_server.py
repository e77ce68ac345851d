"""The viewer's server, talked to without a browser: its files, its lanes, and what it refuses."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request

import pytest
import zmq
from made_messages import pose_message
from processes import egostream
from sample_clip import sample_images
from senders import free_port
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from egostream.publish.message import pack


def socket_to(viewer, **options):
    return connect(f"ws://{viewer.place}/socket", max_size=None, **options)


def ask(page, want: str, stream: str = "") -> None:
    page.send(json.dumps({"want": want, "stream": stream}))


def answer(page) -> tuple[dict, bytes]:
    """The next answer: its JSON, and the picture where it has one."""
    data = page.recv(30)
    if isinstance(data, str):
        return json.loads(data), b""
    end = 4 + int.from_bytes(data[:4], "big")
    return json.loads(data[4:end]), data[end:]


def wait_streams(page) -> dict:
    """The first state that has a stream with a status."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        ask(page, "state")
        state = answer(page)[0]
        if state["streams"] and all("camera" in stream for stream in state["streams"]):
            return state
    raise AssertionError("no stream")


def test_each_picture_is_the_cameras_own_and_comes_with_its_own_keypoints(made_run, viewer):
    run = made_run("left", "right")
    clip = {image.tobytes() for image in sample_images()}
    with socket_to(viewer(run)) as page:
        state = wait_streams(page)
        assert {stream["name"] for stream in state["streams"]} <= {"left", "right"}
        for _ in range(5):
            ask(page, "picture", "left")
            head, picture = answer(page)
            assert head["stream"] == "left" and picture in clip
            row = head["seq"] % len(run.truth)
            truth = [[round(v, 1) for v in point] for point in run.truth.keypoints[row].tolist()]
            assert head["keypoints"] == [*truth[:-1], [None, None]]  # the camera does not see the last one
        ask(page, "pose", "left")
        pose = answer(page)[0]
        row = pose["seq"] % len(run.truth)
        assert pose["joints"][3] == pytest.approx(run.truth.joints[row][3], abs=1e-4)
        assert list(pose["stages_ms"]) == state["stages"]


def test_a_question_asked_twice_is_answered_once_and_nothing_comes_unasked(made_run, viewer):
    run = made_run()
    with socket_to(viewer(run)) as page:
        wait_streams(page)
        for _ in range(50):
            ask(page, "pose", "0")
        first = answer(page)[0]["seq"]
        ask(page, "pose", "0")
        assert answer(page)[0]["seq"] > first
        ask(page, "pose", "no such stream")
        ask(page, "nonsense")
        with pytest.raises(TimeoutError):
            page.recv(0.5)


def test_a_page_of_another_origin_and_a_borrowed_name_are_refused(made_run, viewer):
    started = viewer(made_run())
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}):
        with pytest.raises(InvalidStatus) as refusal, socket_to(started, additional_headers=headers):
            pass
        assert refusal.value.response.status_code == 403
    with socket_to(started, origin=f"http://{started.place}") as page:
        assert wait_streams(page)


def test_files_come_with_a_policy_that_forbids_every_other_host(made_run, viewer):
    started = viewer(made_run())
    with urllib.request.urlopen(started.url) as page:
        text, policy = page.read().decode(), page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "http" not in policy and "*" not in policy
    named = re.findall(r'(?:src|href)="([^"]+)"', text)
    for name in {*named, "canvas.js", "words.js"}:
        with urllib.request.urlopen(started.url + name) as file:
            assert file.headers["X-Content-Type-Options"] == "nosniff" and "//" not in re.sub("(//|ws:).*", "", name)
    for path in ("no.such", "../settings.py", "%2e%2e/settings.py", "page/index.html", "socket"):
        with pytest.raises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(started.url + path)
        assert refusal.value.code in (404, 426), path


@pytest.mark.parametrize("garbage", ["", "{", "[]", '{"want": 3}', b"\xff\xff", "x" * 5000])
def test_what_is_no_question_ends_that_page_alone(made_run, viewer, garbage):
    started = viewer(made_run())
    with socket_to(started) as good, socket_to(started) as bad:
        bad.send(garbage)
        with pytest.raises(ConnectionClosed):
            bad.recv(30)
        assert wait_streams(good)


def test_a_token_keeps_others_out(made_run, viewer):
    started = viewer(made_run(), "--host", "0.0.0.0")
    token = started.url.split("token=")[1]
    place = f"127.0.0.1:{started.port}"
    for query in ("", "?token=", f"?token={token[:-1]}"):
        with connect(f"ws://{place}/socket{query}") as page:
            with pytest.raises(ConnectionClosed) as refusal:
                page.recv(30)
            assert refusal.value.rcvd.code == 4001
    with connect(f"ws://{place}/socket?token={token}") as page:
        assert wait_streams(page)


def test_what_is_no_message_of_a_run_is_said_and_does_no_harm(made_run, viewer, tmp_path):
    """Whoever publishes at that endpoint may be another program, or another version."""
    endpoint, context = f"ipc://{tmp_path}/others", zmq.Context()
    few = pose_message(joints=[[0.0] * 3] * 7)
    with context.socket(zmq.PUB) as publisher:
        publisher.bind(endpoint)
        with socket_to(viewer(None, "--endpoint", endpoint, "--control", endpoint)) as page:
            for message, reason in (
                (b"pose/1\0garbage", "malformed message on 'pose/1'"),
                (b"status/1\0\xc1", "malformed message on 'status/1'"),
                (pack("pose", few), "length >= 15"),
                (pack("pose", pose_message(v=2)), "speaks message version 2"),
            ):
                state, deadline = {"words": []}, time.monotonic() + 20
                while (
                    not any(reason in word["text"].lower() for word in state["words"]) and time.monotonic() < deadline
                ):
                    publisher.send(message)
                    ask(page, "state")
                    state = answer(page)[0]
                assert any(reason in word["text"].lower() for word in state["words"]) and not state["streams"], state
    context.term()


def test_a_port_that_is_taken_is_one_line(tmp_path, viewer):
    started = viewer(None, "--endpoint", f"ipc://{tmp_path}/poses", "--control", "")
    port = started.port
    done = egostream("view", "--port", port, "--endpoint", f"ipc://{tmp_path}/poses", "--control", "")
    assert done.returncode == 1 and done.stdout == ""
    assert re.fullmatch(rf"egostream: port {port} on 127.0.0.1 is taken by another program .*--port\n", done.stderr)
    done = egostream("view", "--host", "no.such.host.invalid", "--port", str(free_port()))
    assert done.returncode == 1 and done.stderr.startswith(
        "egostream: the page cannot be served on no.such.host.invalid"
    )
    assert done.stderr.count("\n") == 1
