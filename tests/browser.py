"""Chromium without a window, told what to do by its DevTools protocol."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest
from processes import wait_for
from websockets.sync.client import connect

NAMES = ("chromium", "chromium-browser", "google-chrome")


class Page:
    """A page in a browser of its own."""

    def __init__(self, url: str, profile: Path):
        program = next((name for name in NAMES if shutil.which(name)), None)
        if program is None:
            pytest.skip("no Chromium. On Debian: apt-get install chromium")
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--window-size=800,600"]
        command = [program, *flags, f"--user-data-dir={profile}", url]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        told = profile / "DevToolsActivePort"
        assert wait_for(lambda: told.exists() and "\n" in told.read_text(), 60), "Chromium did not start"
        port = told.read_text().split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=30) as answer:
            pages = [target for target in json.load(answer) if target["type"] == "page"]
        self.opened = contextlib.ExitStack()
        self.socket = self.opened.enter_context(connect(pages[0]["webSocketDebuggerUrl"], max_size=None))
        self.asked = 0

    def evaluate(self, script: str) -> object:
        """The value of a JavaScript expression, awaited."""
        self.asked += 1
        parameters = {"expression": script, "awaitPromise": True, "returnByValue": True}
        self.socket.send(json.dumps({"id": self.asked, "method": "Runtime.evaluate", "params": parameters}))
        while (answer := json.loads(self.socket.recv(30))).get("id") != self.asked:
            pass
        assert "exceptionDetails" not in answer["result"], answer
        return answer["result"]["result"].get("value")

    def close(self) -> None:
        self.opened.close()
        self.process.kill()
        self.process.wait()
