"""tools/show_avatar.py beside its page: the avatar that it makes, what it receives, whom it refuses, what it says."""

from __future__ import annotations

import http.client
import os
import socket
from pathlib import Path

import numpy as np
import pytest
from made_avatars import make_avatar
from served_avatars import Served
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect

from egostream.bridge.avatar import load_avatar
from egostream.bridge.osc import encode_bundle
from egostream.errors import EgostreamError
from tools import draw_avatar, show_avatar
from tools.avatar.packages import PACKAGES, packages_folder
from tools.avatar.person import make_person
from tools.avatar.server import AvatarServer
from tools.avatar.vmc import HUMANOID_BONES, VmcReceiver

pytest.importorskip("pythonosc", reason="pip install python-osc")
PLACE = [0.1, 0.2, 0.3, 0.0, 0.0, 0.0, 1.0]


@pytest.fixture
def packages(tmp_path) -> Path:
    """A folder that looks like one with the packages."""
    for name in PACKAGES:
        (tmp_path / "node_modules" / name).mkdir(parents=True)
        (tmp_path / "node_modules" / name / "package.json").write_text("{}")
    (tmp_path / "node_modules" / "three" / "three.js").write_text("export {}")
    (tmp_path / "node_modules" / "three" / "secret.txt").write_text("no script")
    (tmp_path / "outside.js").write_text("not a package")
    return tmp_path


def test_the_person_that_is_made_is_an_avatar_that_stands_on_the_floor(tmp_path):
    path = tmp_path / "person.vrm"
    show_avatar.main(["--make", str(path)])
    avatar = load_avatar(path)
    assert len(avatar.names) == 19 and 0.7 < avatar.hips_height < 1.1
    reach = dict(zip(avatar.names, avatar.translations))
    assert reach["LeftLowerArm"][0] < -0.2 < 0.2 < reach["RightLowerArm"][0]  # a T-pose: left is towards -x here
    np.testing.assert_allclose(reach["LeftLowerArm"][1:], 0, atol=1e-6)
    assert make_person() == path.read_bytes()  # the same each time


def test_messages_of_other_types_move_nothing():
    receiver = VmcReceiver()
    bone = "/VMC/Ext/Bone/Pos"
    wrong = [
        ["Hips", *PLACE[:6]], ["Hips", *PLACE[:6], 1], ["Hips", *PLACE[:6], float("inf")], ["Hips", *map(str, PLACE)],
        [3, *PLACE], [["Hips"], *PLACE], [], ["Hips"],
    ]  # fmt: skip
    assert not any(receiver.take(bone, values) for values in wrong) and receiver.bones == {}
    assert receiver.take(bone, ["Hips", *PLACE]) and receiver.take(bone, ["Hips", *PLACE, 1.0, 1.0])
    assert receiver.bones == {"Hips": PLACE}
    assert not receiver.take("/VMC/Ext/Blend/Apply", [])
    receiver.take("/VMC/Ext/OK", [1, 2, 0])
    assert not receiver.is_calibrated
    receiver.take("/VMC/Ext/OK", [1])
    assert receiver.is_calibrated


def test_strangers_names_are_not_kept():
    receiver = VmcReceiver()
    for number in range(1000):
        receiver.take("/VMC/Ext/Bone/Pos", [f"stranger {number}", *PLACE])
    assert receiver.bones == {} and receiver.count == 0
    for bone in HUMANOID_BONES:
        assert receiver.take("/VMC/Ext/Bone/Pos", [bone, *PLACE])
    assert len(receiver.bones) == len(HUMANOID_BONES) == 55


def test_broken_datagrams_are_left_alone():
    """Random bytes, and bundles of the bridge's with bytes changed, cut or added."""
    rng = np.random.default_rng(0)
    whole = encode_bundle([("/VMC/Ext/OK", (1, 3, 0, 1)), ("/VMC/Ext/Bone/Pos", ("Hips", *PLACE))] * 3)
    receiver = VmcReceiver()
    receiver.datagram_received(whole, ("127.0.0.1", 1))
    assert receiver.bones["Hips"] == pytest.approx(PLACE)
    for n in range(2000):
        data = bytearray(whole[: rng.integers(1, len(whole) + 1)] if n % 2 else rng.bytes(rng.integers(0, 64)))
        for place in rng.integers(0, max(len(data), 1), 3)[: len(data)]:
            data[place] = rng.integers(256)
        receiver.datagram_received(bytes(data), ("127.0.0.1", 1))
    assert receiver.unreadable > 500 and receiver.bones.keys() <= HUMANOID_BONES
    assert all(np.isfinite(values).all() for values in receiver.bones.values())


def test_packages_serve_their_scripts_and_nothing_else(packages):
    server = AvatarServer(b"avatar", packages / "node_modules", VmcReceiver())
    assert server.file("/modules/three/three.js") == b"export {}"
    for path in (
        "/modules/three/secret.txt", "/modules/../outside.js", "/modules/three/../../outside.js", "/modules/three",
        "/modules//etc/passwd", "/three/three.js", "/modules/none.js",
    ):  # fmt: skip
        assert server.file(path) is None, path
    assert server.file("/avatar.vrm") == b"avatar" and b"importmap" in server.file("/")


def test_other_hosts_and_origins_are_refused(packages):
    """A page of the web that makes its own name point here, and one that opens our socket."""
    served = Served(b"avatar", packages / "node_modules")
    try:
        place = served.shown.url.split("/")[2]
        for host, status in ((place, 200), ("evil.example", 403)):
            client = http.client.HTTPConnection(place)
            client.request("GET", "/", headers={"Host": host})
            assert client.getresponse().status == status
            client.close()
        with pytest.raises(InvalidStatus) as refused:
            connect(f"ws://{place}/socket", origin="http://evil.example")
        assert refused.value.response.status_code == 403
        with connect(f"ws://{place}/socket", origin=f"http://{place}") as page:
            page.send("no question")
            with pytest.raises(ConnectionClosedError) as closed:
                page.recv(10)
        assert closed.value.rcvd.code == 1008
    finally:
        served.close()


def error_of(main, *arguments) -> str:
    with pytest.raises(EgostreamError) as caught:
        main([*map(str, arguments)])
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_shown_is_said_in_one_line(packages, tmp_path, monkeypatch):
    avatar = make_avatar(tmp_path / "me.vrm")
    text = tmp_path / "text.vrm"
    text.write_text("hello")
    monkeypatch.setenv("EGOSTREAM_CACHE", str(tmp_path / "cache"))
    show = show_avatar.main
    assert "no binary glTF" in error_of(show, text)
    assert "Leave out the file" in error_of(show, avatar, "--make", tmp_path / "x.vrm")
    assert "lacks three" in error_of(show, avatar, "--packages", tmp_path / "nowhere")
    assert "lacks base.obj" in error_of(show, "--bodies", tmp_path)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert f"port {port}" in error_of(show, avatar, "--packages", packages, "--control", "", "--vmc-port", port)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        options = ["--packages", packages, "--control", "", "--vmc-port", 0, "--port", port]
        assert f"port {port}" in error_of(show, avatar, *options)
    assert "expected a .webp or a .gif" in error_of(draw_avatar.main, "-o", "x.png")


def test_npm_that_is_missing_or_fails_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("EGOSTREAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EgostreamError, match="npm is missing"):
        packages_folder(None)
    if os.name != "posix":
        return
    program = tmp_path / "npm"
    program.write_text("#!/bin/sh\necho no network >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(EgostreamError, match="npm cannot bring three, @pixiv/three-vrm: no network"):
        packages_folder(None)
    assert not (tmp_path / "cache" / "avatar" / "node_modules").exists()
