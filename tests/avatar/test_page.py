"""The page of tools/show_avatar.py in a real browser: VMC in, bones as they were sent, pixels that change."""

from __future__ import annotations

import contextlib
import socket

import numpy as np
import pytest
from bridges import CROOKED
from chromium import Chromium, find_chromium
from made_avatars import make_avatar
from made_bodies import joints_of, posed
from scipy.spatial.transform import Rotation
from served_avatars import Served

from egostream.body.bones import BONES, PARENT_OF
from egostream.body.solve import BodySolver
from egostream.bridge.vmc import VmcOptions, VmcReceiver
from egostream.head.bodies import GuessedRoom
from egostream.skeleton import JOINTS

osc_bundle_builder = pytest.importorskip("pythonosc.osc_bundle_builder", reason="pip install python-osc")
from pythonosc.osc_message_builder import OscMessageBuilder  # noqa: E402

from tools.avatar.film import FLAGS, Frame  # noqa: E402
from tools.avatar.person import make_person  # noqa: E402
from tools.avatar.shown import HOST  # noqa: E402

#: Unity's axes are left-handed; VRM 1.0's models have x the other way.
MIRROR = np.diag([-1.0, 1.0, 1.0])
LIMBS = {"UpperArm": ("shoulder", "elbow"), "LowerArm": ("elbow", "wrist"),
         "UpperLeg": ("hip", "knee"), "LowerLeg": ("knee", "ankle")}  # fmt: skip
ENDS = {"UpperArm": "LowerArm", "LowerArm": "Hand", "UpperLeg": "LowerLeg", "LowerLeg": "Foot"}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if find_chromium() is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    browser = Chromium(tmp_path_factory.mktemp("browser"), *FLAGS)
    yield browser
    browser.close()


@contextlib.contextmanager
def opened(browser, avatar, node_packages):
    """(served, tab) of an avatar's page."""
    served = Served(avatar.read_bytes(), node_packages.folder / "node_modules")
    try:
        tab = browser.open(f"{served.shown.url}?size=200", 240, 240)
        tab.wait("document.querySelector('.note').textContent == 'waiting for VMC'", 60)
        yield served, tab
        assert tab.errors == []
        tab.leave()
    finally:
        served.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory, browser, node_packages):
    """(served, tab, path of the avatar): of VRM 1.0"""
    avatar = tmp_path_factory.mktemp("avatar") / "person.vrm"
    avatar.write_bytes(make_person())
    with opened(browser, avatar, node_packages) as (served, tab):
        yield served, tab, avatar


def message(address, *values):
    builder = OscMessageBuilder(address)
    for value in values:
        builder.add_arg(value)
    return builder.build()


def bundle(messages) -> bytes:
    builder = osc_bundle_builder.OscBundleBuilder(osc_bundle_builder.IMMEDIATELY)
    for one in messages:
        builder.add_content(one)
    return builder.build().dgram


def send(served, *datagrams):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for datagram in datagrams:
            sender.sendto(datagram, (HOST, served.shown.vmc_port))


def wait_taken(served, tab, count):
    """Until the page has taken so many datagrams more than there were at first."""
    tab.wait(f"egostream.count() >= {count}")


def test_bones_lie_as_they_were_sent(page):
    """By python-osc, whose datagrams share nothing with the bridge. Garbage between them changes nothing."""
    served, tab, _ = page
    before, count = tab.pixels(".stage"), served.shown.vmc.count
    rng = np.random.default_rng(4)
    sent = {bone: Rotation.from_rotvec(rng.normal(0, 0.5, 3)) for bone in BONES}
    place = tab.run("egostream.avatar.node('Hips').position.toArray()")
    messages = [message("/VMC/Ext/OK", 1, 3, 0, 1), message("/VMC/Ext/T", 1.5)]
    for bone, turn in sent.items():
        here = place if bone == "Hips" else tab.run(f"egostream.avatar.node('{bone}').position.toArray()")
        here = [-here[0], here[1], here[2]]
        messages.append(message("/VMC/Ext/Bone/Pos", bone, *map(float, here), *map(float, turn.as_quat())))
    garbage = [
        b"\xff\x00garbage /,",
        message("/VMC/Ext/Bone/Pos", "Hips", float("nan"), *[0.0] * 6).dgram,
        message("/VMC/Ext/Bone/Pos", "Head").dgram,
        message("/VMC/Ext/Bone/Pos", 7, *[0.0] * 7).dgram,
        message("/elsewhere", 1).dgram,
    ]
    send(served, *garbage, bundle(messages[:11]), bundle(messages[11:]), *garbage)
    wait_taken(served, tab, count + 2)
    found = tab.run("egostream.avatar.bones()")
    world = {}
    for bone, parent in PARENT_OF.items():
        world[bone] = world[parent] * sent[bone] if parent else sent[bone]
        wanted = Rotation.from_matrix(MIRROR @ world[bone].as_matrix() @ MIRROR)
        got = Rotation.from_quat(found[bone[0].lower() + bone[1:]]["turn"])
        assert np.degrees((wanted.inv() * got).magnitude()) < 1, bone
    assert (np.abs(tab.pixels(".stage").astype(int) - before).max(-1) > 30).mean() > 0.01
    assert served.shown.vmc.count == count + 2 and served.shown.vmc.unreadable >= 1


def test_the_bridges_own_datagrams_move_it_as_the_joints_lie(page):
    """Joints, solver, room, the VMC bridge's sender, the page: bones point as joints do, and feet are on the floor."""
    served, tab, avatar = page
    check_bones(served, tab, avatar)
    image = served.run(served.shown.server.shot())
    assert image[:8] == b"\x89PNG\r\n\x1a\n"


def test_an_avatar_of_vrm_0_moves_alike(tmp_path, browser, node_packages):
    """Its model looks the other way, and its axes are others. On the stage it stands as one of VRM 1.0 does."""
    avatar = make_avatar(tmp_path / "sticks.vrm", version=0)
    with opened(browser, avatar, node_packages) as (served, tab):
        check_bones(served, tab, avatar)


def check_bones(served, tab, avatar):
    """Send a pose of made joints: bones point as joints do, within a degree, and ankles are above the floor."""
    joints = joints_of(posed(**CROOKED))
    solver, room = BodySolver(), GuessedRoom()
    placed = room(solver(0, joints), joints, solver.body)
    sender = VmcReceiver(VmcOptions(to=f"{HOST}:{served.shown.vmc_port}", avatar=str(avatar)))
    count = served.shown.vmc.count
    sender.send(Frame(placed, solver.body))
    sender.close()
    wait_taken(served, tab, count + 2)
    places = {bone: np.array(one["place"]) for bone, one in tab.run("egostream.avatar.bones()").items()}
    for side in ("left", "right"):
        for bone, (start, end) in LIMBS.items():
            wanted = placed.joints[JOINTS.index(f"{side}_{end}")] - placed.joints[JOINTS.index(f"{side}_{start}")]
            got = (places[side + ENDS[bone]] - places[side + bone]) * [-1, -1, 1]
            cosine = got @ wanted / np.linalg.norm(got) / np.linalg.norm(wanted)
            assert np.degrees(np.arccos(np.clip(cosine, -1, 1))) < 1, side + bone
    assert min(places[f"{side}Foot"][1] for side in ("left", "right")) == pytest.approx(0.08, abs=0.05)
