"""Headless Chromium, driven over its DevTools protocol: pages, their scripts, pixels, keys, and every request."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--mute-audio",
    "--remote-debugging-port=0", "--disable-dev-shm-usage",
)  # fmt: skip
#: In a window of its own, since a tab behind another is hidden.
NEW_WINDOW = {"url": "about:blank", "newWindow": True}
START_S, ANSWER_S = 60.0, 40.0


def find_chromium() -> str | None:
    """Debian's Chromium, or any other of that name."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Chromium:
    """A browser of its own, with an empty profile."""

    def __init__(self, folder: Path, *flags: str):
        self.profile = folder / "profile"
        self.profile.mkdir(parents=True)
        self.process = subprocess.Popen(
            [find_chromium(), *FLAGS, *flags, f"--user-data-dir={self.profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.address = self.wait_address()
        self.tabs: list[Tab] = []

    def wait_address(self) -> str:
        port_file, deadline = self.profile / "DevToolsActivePort", time.monotonic() + START_S
        while time.monotonic() < deadline:
            lines = port_file.read_text().split() if port_file.exists() else []
            if len(lines) == 2:
                return f"127.0.0.1:{lines[0]}"
            assert self.process.poll() is None, "Chromium ended at once"
            time.sleep(0.05)
        raise AssertionError("Chromium did not start")

    def open(self, url: str, width: int = 1280, height: int = 800, scheme: str = "dark") -> Tab:
        """A new tab at an address, as large as asked, of a system that is dark or light."""
        with connect(f"ws://{self.address}{(self.profile / 'DevToolsActivePort').read_text().split()[1]}") as browser:
            browser.send(json.dumps({"id": 1, "method": "Target.createTarget", "params": NEW_WINDOW}))
            target = json.loads(browser.recv(ANSWER_S))["result"]["targetId"]
        tab = Tab(f"ws://{self.address}/devtools/page/{target}")
        self.tabs.append(tab)
        tab.resize(width, height)
        tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        for domain in ("Page", "Runtime", "Network", "Log"):
            tab.call(f"{domain}.enable")
        tab.call("Page.navigate", url=url)
        return tab

    def close(self) -> None:
        for tab in self.tabs:
            tab.close()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Tab:
    """One page. ``requests``: the address of every request that it made. ``errors``: what its scripts threw."""

    def __init__(self, address: str):
        # No pings: a browser that draws in software on a busy machine may be late by more than any limit of theirs.
        self.connection = connect(address, max_size=None, ping_interval=None)
        self.socket = self.connection.__enter__()
        self.numbers = itertools.count(1)
        self.answers: dict[int, dict] = {}
        self.arrived = threading.Condition()
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.is_open = True
        threading.Thread(target=self.read, daemon=True).start()

    def read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            for text in self.socket:
                self.take(json.loads(text))
        with self.arrived:
            self.is_open = False
            self.arrived.notify_all()

    def take(self, message: dict) -> None:
        with self.arrived:
            if "id" in message:
                self.answers[message["id"]] = message
            else:
                self.note(message["method"], message["params"])
            self.arrived.notify_all()

    def note(self, event: str, what: dict) -> None:
        if event == "Network.requestWillBeSent":
            self.requests.append(what["request"]["url"])
        elif event == "Network.webSocketCreated":
            self.requests.append(what["url"])
        elif event == "Runtime.exceptionThrown":
            self.errors.append(what["exceptionDetails"].get("exception", {}).get("description", str(what)))
        elif event == "Log.entryAdded" and what["entry"]["source"] == "security":
            self.errors.append(what["entry"]["text"])

    def call(self, method: str, **params) -> dict:
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        with self.arrived:
            self.arrived.wait_for(lambda: number in self.answers or not self.is_open, ANSWER_S)
            assert number in self.answers, f"no answer to {method}, the page is {'open' if self.is_open else 'gone'}"
            answer = self.answers.pop(number)
        assert "error" not in answer, f"{method}: {answer}"
        return answer["result"]

    def run(self, script: str):
        """The value of an expression, which may be a promise."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, script: str, limit: float = 30.0) -> None:
        """Wait until an expression is true. One that throws is not true yet."""
        script = f"(() => {{ try {{ return !!({script}) }} catch {{ return false }} }})()"
        deadline = time.monotonic() + limit
        while not self.run(script):
            assert time.monotonic() < deadline, f"never true: {script}; the page says {self.text()!r}, {self.errors}"
            time.sleep(0.1)

    def text(self) -> str:
        return self.run("document.body.innerText") or ""

    def pixels(self, selector: str) -> np.ndarray:
        """What a canvas shows once it has been drawn, uint8 RGB [H, W, 3], black where it is transparent."""
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        text = self.run(f"document.querySelector({selector!r}).toDataURL('image/png')")
        image = cv2.imdecode(np.frombuffer(base64.b64decode(text.split(",")[1]), np.uint8), cv2.IMREAD_UNCHANGED)
        return np.ascontiguousarray(image[..., 2::-1] * (image[..., 3:] > 0))

    def composed(self, selector: str) -> np.ndarray:
        """A part of the page as people see it, uint8 RGB [H, W, 3]."""
        box = self.run(
            f"(({{x, y, width, height}}) => ({{x: x + scrollX, y: y + scrollY, width, height}}))"
            f"(document.querySelector({selector!r}).getBoundingClientRect())"
        )
        return simplejpeg.decode_jpeg(self.screenshot("jpeg", clip={**box, "scale": 1}, quality=95), "RGB")

    def screenshot(self, format: str = "png", **options) -> bytes:
        return base64.b64decode(self.call("Page.captureScreenshot", format=format, **options)["data"])

    def resize(self, width: int, height: int, scale: float = 1) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False
        )

    def drag(self, selector: str, right: float, down: float) -> None:
        """Press on the middle of an element, and move the mouse."""
        x, y = self.run(
            f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])"
            f"(document.querySelector({selector!r}).getBoundingClientRect())"
        )
        mouse = {"button": "left", "buttons": 1, "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, **mouse)
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x + right, y=y + down, **mouse)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", x=x + right, y=y + down, **mouse)

    def touch(self, selector: str, *fingers: tuple[tuple[float, float], tuple[float, float]]) -> None:
        """Put fingers on an element and move them: each from one place to another, counted from its middle."""
        x, y = self.run(
            f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])"
            f"(document.querySelector({selector!r}).getBoundingClientRect())"
        )
        at = lambda end: [{"x": x + f[end][0], "y": y + f[end][1], "id": n} for n, f in enumerate(fingers)]
        for kind, points in (("touchStart", at(0)), ("touchMove", at(1)), ("touchEnd", [])):
            self.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def leave(self) -> None:
        """Close the page. A page may be gone before it answers."""
        with contextlib.suppress(ConnectionClosed):
            self.socket.send(json.dumps({"id": next(self.numbers), "method": "Page.close", "params": {}}))
        self.close()

    def close(self) -> None:
        self.socket.close()
