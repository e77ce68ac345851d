"""The browser's page in a real browser: what it says, and what it draws."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from pathlib import Path

import msgpack
import numpy as np
import pytest
from browser import Page
from made_messages import pose_message
from pose_sockets import Bridge
from processes import wait_for

from egostream.publish.message import pack

PIXELS = """(() => {
    const canvas = document.getElementById("picture"), {width, height} = canvas;
    const data = canvas.getContext("2d").getImageData(0, 0, width, height).data, found = [];
    for (let n = 0; n < data.length; n += 4)
        if (data[n + 3] > 60) found.push([(n / 4) % width, Math.floor(n / 4 / width), data[n] > data[n + 2] ? 1 : 0]);
    return {width, height, found};
})()"""
#: How far below the camera the joints of a wearer are who stands. The camera looks down: along its z.
BELOW = {0: 0.1, 1: 0.2, 2: 0.5, 3: 0.8, 4: 0.2, 5: 0.5, 6: 0.8, 7: 0.7, 8: 1.1, 9: 1.5, 10: 1.5, 11: 0.7}
BELOW |= {12: 1.1, 13: 1.5, 14: 1.5}
RIGHT = (1, 2, 3, 7, 8, 9, 10)


def standing(seq: int) -> bytes:
    joints = [[(0.3 if n in RIGHT else -0.3) * (n > 0), 0.0, below] for n, below in BELOW.items()]
    return pack("pose", pose_message(seq=seq, joints=joints))


def in_room(seq: int) -> dict:
    """The same wearer by a bridge: y up, from the floor."""
    fields = msgpack.unpackb(standing(seq).partition(b"\0")[2])
    del fields["frame"]
    return fields | {"axes": "openxr", "joints": [[x, 1.6 - below, 0.0] for x, _, below in fields["joints"]]}


def serve(folder: Path) -> http.server.ThreadingHTTPServer:
    """The folder's files, as `python -m http.server` serves them."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    handler.func.log_message = lambda *_: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture
def page(commands, tmp_path):
    """The page with its packages, and the bridge that it reads."""
    folder, bridge = Path(commands("javascript")[-1]).parent, Bridge()
    server = serve(folder)
    url = f"http://127.0.0.1:{server.server_port}/?url=ws://127.0.0.1:{bridge.port}"
    shown = Page(url, tmp_path / "profile")
    assert wait_for(lambda: bridge.sockets, 30)
    yield shown, bridge
    shown.close()
    bridge.stop()
    server.shutdown()
    server.server_close()


def says(page: Page, element: str, words: str) -> bool:
    return wait_for(lambda: words in page.evaluate(f"document.getElementById('{element}').textContent"), 30)


def test_the_page_draws_the_skeleton_and_goes_on_after_garbage(page):
    shown, bridge = page
    bridge.send(standing(4))
    assert says(shown, "figures", "seq 4")
    assert wait_for(lambda: shown.evaluate(PIXELS)["found"], 30)
    check_standing(shown)
    bridge.send(b"\x91" * 1000)
    assert says(shown, "note", "message skipped")
    bridge.send(json.dumps(in_room(9)))
    assert says(shown, "figures", "seq 9, missed 4")
    shown.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    check_standing(shown)


def check_standing(shown: Page) -> None:
    """The figure stands upright, and is seen from behind."""
    pixels = shown.evaluate(PIXELS)
    x, y, is_right = np.array(pixels["found"]).T
    assert x[is_right == 1].mean() - x[is_right == 0].mean() > 50  # seen from behind, right is right
    # The figure's height is that of 1.4 m where the shorter side shows 2.4 m, tilted by the view. The neck is up.
    assert abs(np.ptp(y) - 1.4 / 2.4 * min(pixels["width"], pixels["height"])) < 60
    middle = pixels["width"] / 2
    assert abs(x[y.argmin()] - middle) < 20 < abs(x[y.argmax()] - middle)
