"""Pictures of an avatar, pose by pose: poses go through the VMC bridge's own sender, and a headless Chromium draws."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import cv2
import numpy as np

from egostream.body.measure import Body
from egostream.bridge.scene import Scene
from egostream.bridge.vmc import VmcOptions, VmcReceiver
from egostream.errors import EgostreamError
from egostream.head.bodies import Placed
from tools.avatar.shown import HOST, Shown, showing

FLAGS = (
    "--headless", "--no-first-run", "--disable-sync", "--disable-background-networking", "--mute-audio",
    "--disable-dev-shm-usage", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist",
)  # fmt: skip
PATIENCE_S = 120.0
DATAGRAMS = 2  # of a frame


@dataclass(frozen=True)
class Frame:
    """One pose in the room, and the wearer's bones: what the bridge sends."""

    placed: Placed
    body: Body


class Film:
    """Draws frame after frame."""

    def __init__(self, shown: Shown, sender: VmcReceiver):
        self.shown, self.sender = shown, sender

    async def shot(self, frame: Frame) -> np.ndarray:
        """The avatar in a frame's pose, uint8 RGB [H, W, 3]. Raises EgostreamError where the browser does not draw."""
        before = self.shown.vmc.count
        self.sender.send(cast(Scene, frame))
        try:
            async with asyncio.timeout(PATIENCE_S):
                while self.shown.vmc.count < before + DATAGRAMS:
                    await asyncio.sleep(0.001)
                data = await self.shown.server.shot()
        except TimeoutError:
            raise EgostreamError(f"the browser drew nothing for {PATIENCE_S:g} s") from None
        return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB))


@asynccontextmanager
async def filming(
    avatar: Path, modules: Path, size: int, view: str = "free", distance: float = 3.4
) -> AsyncIterator[Film]:
    """A film of an avatar, of square pictures. Raises EgostreamError where there is no Chromium."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        raise EgostreamError("Chromium is missing, which draws the avatar (Debian: apt-get install chromium)")
    async with showing(avatar.read_bytes(), modules) as shown:
        sender = VmcReceiver(VmcOptions(to=f"{HOST}:{shown.vmc_port}", avatar=str(avatar)))
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            flags = [*FLAGS, *(["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else [])]
            page = f"{shown.url}?view={view}&distance={distance:g}&size={size}"
            process = subprocess.Popen(
                [browser, *flags, f"--user-data-dir={profile}", page],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                yield Film(shown, sender)
            finally:
                sender.close()
                process.terminate()
                process.wait()
