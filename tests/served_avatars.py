"""The avatar's page as tests serve it, from a thread."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from tools.avatar.shown import showing


class Served:
    """The tool's page, served from a thread; ``run`` runs a coroutine there."""

    def __init__(self, avatar: bytes, modules: Path):
        self.loop, self.is_there = asyncio.new_event_loop(), threading.Event()
        self.thread = threading.Thread(target=self.loop.run_until_complete, args=(self.serve(avatar, modules),))
        self.thread.start()
        assert self.is_there.wait(30)

    async def serve(self, avatar, modules):
        self.ended = asyncio.Event()
        async with showing(avatar, modules) as self.shown:
            self.is_there.set()
            await self.ended.wait()

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    def close(self):
        self.loop.call_soon_threadsafe(self.ended.set)
        self.thread.join(30)
