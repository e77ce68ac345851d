"""The adapter for VRChat: an OSCQuery client of another library finds it, and sends as VRChat does."""

from __future__ import annotations

import importlib.util
import json
import urllib.request

import numpy as np
import pytest
from processes import wait_for
from scipy.spatial.transform import Rotation

if any(importlib.util.find_spec(name) is None for name in ("zeroconf", "pythonosc")):
    pytest.skip("pip install 'egostream[vrchat]'", allow_module_level=True)

from pythonosc.osc_message_builder import OscMessageBuilder
from pythonosc.udp_client import SimpleUDPClient

from egostream.errors import EgostreamError
from egostream.head.rotations import matrix
from egostream.head.vrchat import ADDRESS, HeadService, unity_pose, values_of


@pytest.fixture(scope="module")
def service():
    one = HeadService()
    yield one
    one.close()


def asked(service: HeadService, path: str) -> dict:
    with urllib.request.urlopen(f"http://127.0.0.1:{service.http.server_port}{path}", timeout=10) as answer:
        return json.load(answer)


def test_a_client_of_oscquery_finds_the_address_and_sends_to_it(service):
    pytest.importorskip("pythonoscquery")
    from pythonoscquery.osc_query_browser import OSCQueryBrowser
    from pythonoscquery.osc_query_client import OSCQueryClient

    browser = OSCQueryBrowser()
    try:
        ours = lambda: [one for one in browser.get_discovered_oscquery() if one.port == service.http.server_port]
        if not wait_for(ours, 20):
            pytest.skip("this machine's network carries no multicast DNS")
        client = OSCQueryClient(ours()[0])
        info = client.get_host_info()
    finally:
        browser.zc.close()
    sender = SimpleUDPClient(info.osc_ip, info.osc_port)
    sender.send_message(ADDRESS, [0.5, 1.6, -0.2, 10.0, 20.0, 30.0])
    assert np.allclose(service.receive(5.0), [(0.5, 1.6, -0.2, 10.0, 20.0, 30.0)])


def test_the_tree_is_described_from_its_root(service):
    tree = asked(service, "/")
    for part in ADDRESS.strip("/").split("/"):
        assert tree["ACCESS"] == 0 and list(tree["CONTENTS"]) == [part]
        tree = tree["CONTENTS"][part]
    assert tree == asked(service, ADDRESS) and (tree["TYPE"], tree["ACCESS"]) == ("ffffff", 2)
    assert asked(service, f"{ADDRESS}?TYPE") == {"TYPE": "ffffff"}
    assert asked(service, "/?HOST_INFO")["OSC_PORT"] == service.port
    with pytest.raises(urllib.error.HTTPError, match="404"):
        asked(service, "/nothing")


@pytest.mark.parametrize("angles", [(10, 20, 30), (-80, 170, -5), (0, 0, 0), (90, 45, 0)])
def test_unitys_axes_become_openxrs(angles):
    """Unity turns about z, then x, then y, in a left-handed room; its z is forward, OpenXR's is backward."""
    pose = unity_pose((0.5, 1.6, -0.2, *angles))
    unity = Rotation.from_euler("YXZ", np.array(angles)[[1, 0, 2]], degrees=True).as_matrix()
    mirror = np.diag([1, 1, -1])
    assert np.allclose(matrix(pose.orientation), mirror @ unity @ mirror)
    assert tuple(pose.position) == (0.5, 1.6, 0.2)


def test_a_head_that_turns_right_and_nods():
    """By hand: Unity's yaw +90 looks along +x, pitch +90 looks down."""
    forward = lambda *degrees: matrix(unity_pose((0, 0, 0, *degrees)).orientation) @ [0, 0, -1]
    assert np.allclose(forward(0, 90, 0), [1, 0, 0]) and np.allclose(forward(90, 0, 0), [0, -1, 0])


def datagram(*values: object, address: str = ADDRESS) -> bytes:
    builder = OscMessageBuilder(address)
    for value in values:
        builder.add_arg(value)
    return builder.build().dgram


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\xff" * 60,
        b"#bundle\0" + bytes(30),
        datagram(1.0, 2.0),
        datagram("a", "b", "c", "d", "e", "f"),
        datagram(float("nan"), 0.0, 0.0, 0.0, 0.0, 0.0),
        datagram(*[0.0] * 6, address="/tracking/vrsystem/leftwrist/pose"),
        datagram(*[0.0] * 6)[:-3],
    ],
)
def test_garbage_is_left_out(service, garbage):
    assert values_of(garbage) == []
    sender = SimpleUDPClient("127.0.0.1", service.port)
    sender._sock.sendto(garbage, ("127.0.0.1", service.port))
    sender.send_message(ADDRESS, [1.0] * 6)
    assert wait_for(lambda: service.receive(1.0) == [(1.0,) * 6])


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(EgostreamError, match="--host"):
        HeadService("192.0.2.1")
