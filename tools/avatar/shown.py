"""An avatar that is served: VMC comes in on one port, the page goes out on another, a run's pictures beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from egostream.errors import EgostreamError
from egostream.view.watch import Watch
from tools.avatar.server import AvatarServer, Pictures
from tools.avatar.vmc import VmcReceiver, listen

HOST = "127.0.0.1"


@dataclass(frozen=True)
class RunAddress:
    """The run whose camera is shown."""

    endpoint: str
    control: str
    stream: str


@dataclass(frozen=True)
class Shown:
    """What is served, and where."""

    server: AvatarServer
    vmc: VmcReceiver
    url: str
    vmc_port: int


@asynccontextmanager
async def showing(
    avatar: bytes, modules: Path, port: int = 0, vmc_port: int = 0, run: RunAddress | None = None
) -> AsyncIterator[Shown]:
    """Serve an avatar. port, vmc_port: 0 for free ones. Raises EgostreamError where a port cannot be had."""
    transport, vmc = await listen(HOST, vmc_port)
    watch = Watch(run.endpoint, run.control, run.stream, ("", "")) if run is not None else None
    pictures = pictures_of(watch, run.stream) if watch is not None and run is not None else None
    server = AvatarServer(avatar, modules, vmc, pictures)
    try:
        async with server.serving(HOST, port) as sockets:
            url = f"http://{HOST}:{sockets.sockets[0].getsockname()[1]}/"
            yield Shown(server, vmc, url, transport.get_extra_info("sockname")[1])
    except OSError as error:
        raise EgostreamError(
            f"port {port} of {HOST} cannot be had ({error.strerror or error}). Choose another: --port"
        ) from None
    finally:
        transport.close()
        if watch is not None:
            await watch.close()


def pictures_of(watch: Watch, stream: str) -> Pictures:
    """The newest pictures of a run's stream."""

    async def newer(count: int) -> tuple[int, bytes]:
        seen = watch.seen(stream)
        while (picture := await watch.picture(seen, count)) is None:
            seen = watch.seen(stream)
        return seen.picture_count, bytes(picture.data)

    return newer
