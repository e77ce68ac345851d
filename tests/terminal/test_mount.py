"""``egostream mount``: measured from a stream of a wearer who stands, or typed in."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import numpy as np
import pytest
import zmq
from conftest import ROOT
from processes import egostream
from scipy.spatial.transform import Rotation
from standing_wearer import seen_from, tracked

from egostream.calibration.file import load_calibration
from egostream.head.standing import typed_rotation
from egostream.publish.message import pack


@pytest.fixture
def calibration(tmp_path):
    path = tmp_path / "my_headset.json"
    data = json.loads((ROOT / "calib" / "canonical.json").read_text()) | {"fit": {"kept": 1}, "comment": "mine"}
    path.write_text(json.dumps(data))
    return path


def standing_stream(endpoint: str, transform: np.ndarray, ended: threading.Event) -> None:
    """Publish a wearer who stands, until told."""
    poses = tracked(seen_from(transform), stream="0", seq=1).message
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        socket.linger = 0
        socket.bind(endpoint)
        while not ended.wait(0.02):
            socket.send(pack("pose", poses))


def test_a_standing_wearer_is_measured(tmp_path, calibration):
    transform = np.eye(4)
    transform[:3, :3] = typed_rotation(75, 4, -2)
    endpoint, ended = f"ipc://{tmp_path}/poses", threading.Event()
    publisher = threading.Thread(target=standing_stream, args=(endpoint, transform, ended))
    publisher.start()
    try:
        command = [
            "mount",
            str(calibration),
            "--endpoint",
            endpoint,
            "--delay",
            "0",
            "--position",
            "0.01",
            "0.05",
            "-0.1",
        ]
        done = subprocess.run(
            [sys.executable, "-m", "egostream", *command], input="\n", capture_output=True, text=True, cwd=ROOT
        )
    finally:
        ended.set()
        publisher.join()
    assert done.returncode == 0 and "look ahead" in done.stdout and "below the horizon" in done.stdout, done.stderr
    found = np.array(load_calibration(calibration).T_head_camera)
    assert np.degrees(Rotation.from_matrix(found[:3, :3] @ transform[:3, :3].T).magnitude()) < 0.5
    assert found[:3, 3].tolist() == [0.01, 0.05, -0.1]
    data = json.loads(calibration.read_text())
    assert data["fit"] == {"kept": 1} and data["comment"] == "mine"


def test_a_mount_is_typed_in_and_keeps_the_place(calibration):
    for arguments in (["--angles", "90", "0", "0", "--position", "0", "0.06", "-0.05"], ["--angles", "80", "0", "0"]):
        done = egostream("mount", str(calibration), *arguments)
        assert done.returncode == 0, done.stderr
    found = np.array(load_calibration(calibration).T_head_camera)
    assert np.allclose(found[:3, :3], typed_rotation(80, 0, 0)) and found[:3, 3].tolist() == [0, 0.06, -0.05]
    assert "looks 80.0 degrees below the horizon" in done.stdout


def test_without_a_typed_place_it_is_said_what_was_assumed(calibration, monkeypatch, capsys):
    from egostream.terminal import mount as command

    transform = np.eye(4)
    transform[:3, :3], transform[:3, 3] = typed_rotation(75, 0, 0), [0.0, 0.05, -0.1]
    monkeypatch.setattr(command, "standing_poses", lambda how: [tracked(seen_from(transform))] * 20)
    how = command.Measuring("", "0", 0.0, ("", ""))
    command.mount(str(calibration), None, (75.0, 0.0, 0.0), how)
    assert "taken for the headset's origin" in capsys.readouterr().out
    data = json.loads(calibration.read_text())
    del data["T_head_camera"]
    calibration.write_text(json.dumps(data))
    command.mount(str(calibration), None, None, how)
    assert "is a guess" in capsys.readouterr().out
    found = load_calibration(calibration).T_head_camera
    assert np.abs(np.array(found)[:3, 3] - transform[:3, 3]).max() < 0.1
    command.mount(str(calibration), (0.01, 0.02, -0.03), None, how)  # what is typed counts
    command.mount(str(calibration), None, None, how)  # and stays
    assert "guess" not in capsys.readouterr().out
    assert np.array(load_calibration(calibration).T_head_camera)[:3, 3].tolist() == [0.01, 0.02, -0.03]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--angles", "80", "0", "0", "--position", "0", "60", "0"], "give metres"),
        (["--endpoint", "ipc:///tmp/egostream-test-nobody"], "nobody pressed Enter"),
    ],
)
def test_what_cannot_be_is_one_line(calibration, arguments, problem):
    before = calibration.read_text()
    done = egostream("mount", str(calibration), *arguments, stdin=subprocess.DEVNULL)
    assert done.returncode == 1 and problem in done.stderr and len(done.stderr.splitlines()) == 1
    assert calibration.read_text() == before


def test_another_programs_file_stays_as_it_is(tmp_path):
    path = tmp_path / "camchain.yaml"
    path.write_text(
        "cam0:\n  camera_model: pinhole\n  distortion_model: equidistant\n  distortion_coeffs: [0.1, 0, 0, 0]\n"
        "  intrinsics: [300, 300, 640, 512]\n  resolution: [1280, 1024]\n"
    )
    done = egostream("mount", str(path), "--angles", "80", "0", "0")
    assert done.returncode == 1 and "egostream lens" in done.stderr and "T_head" not in path.read_text()
