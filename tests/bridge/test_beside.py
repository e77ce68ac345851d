"""Bridges that a run starts beside itself."""

from __future__ import annotations

import socket

import pytest
from processes import wait_for

from egostream.bridge.beside import KINDS, bridges_beside
from egostream.config import RunConfig, StreamConfig, as_toml, load_config
from egostream.errors import EgostreamError
from egostream.terminal.companions import companions_of


@pytest.mark.parametrize("text", ["", "vcm", "=127.0.0.1:1", "VMC", "vmc:9000"])
def test_what_is_no_bridge_is_named_before_anything_starts(text):
    with pytest.raises(EgostreamError, match="is no bridge; known: vmc, vrchat, vmt, websocket, lsl"):
        companions_of(RunConfig(bridge=(text,)))


def test_a_bridge_gets_the_runs_endpoint_stream_and_public_key():
    config = RunConfig(
        publish="tcp://*:7000", server_key="keys/server.key_secret", bridge=("vmc=10.0.0.2:39539", "lsl"),
        streams=(StreamConfig(source="0", stream="left"), StreamConfig(source="1", stream="right")),
    )  # fmt: skip
    vmc, lsl = bridges_beside(config)
    assert (vmc.kind, vmc.to, lsl.kind, lsl.to) == ("vmc", "10.0.0.2:39539", "lsl", "")
    assert (vmc.options.endpoint, vmc.options.stream) == ("tcp://127.0.0.1:7000", "left")
    assert vmc.options.server_key == "keys/server.key_secret"  # whose public half is read


def test_bridges_stand_in_a_configuration_file(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(as_toml(RunConfig(bridge=("vmc", "websocket=127.0.0.1:5600"))))
    assert load_config(path, {}).bridge == ("vmc", "websocket=127.0.0.1:5600")
    assert load_config(path, {"bridge": ["lsl"]}).bridge == ("lsl",)


@pytest.mark.parametrize(
    "asked", [{"bridge": ("vmc",)}, {"view": True}, {"record": "walk.mcap"}], ids=lambda one: [*one][0]
)
def test_a_run_for_known_clients_only_starts_no_companion_without_a_key(asked):
    with pytest.raises(EgostreamError, match=f"--{[*asked][0]} has no key.* another terminal, with a key of yours"):
        companions_of(RunConfig(**asked, server_key="k", client_keys="clients"))


def test_every_kind_of_bridge_is_known():
    assert set(KINDS) == {"vmc", "vrchat", "vmt", "websocket", "lsl"}


def test_a_run_moves_an_avatar_beside_a_bridge_that_cannot_work(pipeline):
    """VMC arrives at a socket; a host that does not resolve costs one line, and the stream goes on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(60)
        place = f"127.0.0.1:{receiver.getsockname()[1]}"
        run = pipeline(bridge=(f"vmc={place}", "vrchat=no-such-host.invalid:9000"))
        datagram = receiver.recv(2000)
        assert datagram.startswith(b"#bundle\0") and b"/VMC/Ext/Bone/Pos\0" in datagram and len(datagram) < 1500
        assert wait_for(lambda: "bridge vrchat is given up, the stream goes on" in run.output(), 30), run.output()
        with run.subscribe() as poses:
            run.wait_first(poses)
    run.process.terminate()
    assert run.wait(20) == 0
