"""The clients that read a WebSocket, behind a real `egostream bridge websocket` and a real publisher."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from built_clients import RunningClient
from conftest import ROOT
from live_publisher import STREAM
from senders import free_port


@pytest.fixture(scope="module")
def url(live):
    """A bridge beside the live stream."""
    port = free_port()
    command = ["bridge", "websocket", "--to", f"127.0.0.1:{port}", "--endpoint", live.endpoint, "--stream", STREAM]
    process = subprocess.Popen([sys.executable, "-m", "egostream", *command], cwd=ROOT, stderr=subprocess.PIPE)
    yield f"ws://127.0.0.1:{port}"
    process.kill()
    process.wait()
    process.stderr.close()


@pytest.mark.parametrize("name", ["csharp", "javascript"])
def test_poses_come_through_the_bridge(live, url, commands, name):
    client = RunningClient(commands(name), url)
    try:
        client.wait(lambda: live.publish() >= 0 and (len(client.lines) > 5 or "not defined" in "".join(client.notes)))
        if not client.lines:
            pytest.skip("this Node has no WebSocket: version 20.10 or later has")
        line = client.lines[-1]
        assert line.stream == STREAM and line.confidence == 0.75 and np.isfinite(line.places).all()
        assert 0 < line.age_ms < 60_000 and not client.skipped()
    finally:
        client.close()
