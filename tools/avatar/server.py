"""The page's server: its files, the packages, the avatar, and a socket that passes on the newest bones and pictures.

The page asks for what is newer than it has, so that nothing queues for a slow one.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from egostream.view.gate import is_our_host, is_own_origin, path_in
from tools.avatar.vmc import VmcReceiver

PAGE = Path(__file__).parent / "page"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".vrm": "model/gltf-binary"}
SOCKET_PATH, MODULES_PATH, AVATAR_PATH = "/socket", "/modules/", "/avatar.vrm"
LARGEST_ANSWER = 32 << 20  # a picture that a page sends of itself
#: What strangers send is no news for the terminal.
LOGGER = logging.getLogger("egostream.avatar")
LOGGER.addHandler(logging.NullHandler())
LOGGER.propagate = False
#: A picture newer than that of a number, and its own number.
Pictures = Callable[[int], Awaitable[tuple[int, bytes]]]


class Question(msgspec.Struct):
    """What a page asks for: "bones" or "picture", newer than the number that it has."""

    want: str
    have: int = 0


class AvatarServer:
    """Serves one avatar. pictures: None where there is no camera to show."""

    def __init__(self, avatar: bytes, modules: Path, vmc: VmcReceiver, pictures: Pictures | None = None):
        self.modules, self.vmc, self.pictures = modules.resolve(), vmc, pictures
        self.files = {f"/{path.name}": path.read_bytes() for path in PAGE.iterdir() if path.suffix in TYPES}
        self.files["/"] = self.files["/index.html"]
        self.files[AVATAR_PATH] = avatar
        self.policy = policy(self.files["/"].decode())
        self.pages: set[ServerConnection] = set()
        self.shots: asyncio.Queue[bytes] = asyncio.Queue()  # what pages sent of themselves

    def serving(self, host: str, port: int) -> AbstractAsyncContextManager[Server]:
        """The server, for ``async with``, which raises OSError where the port cannot be had."""
        return serve(
            self.serve_page,
            host,
            port,
            process_request=self.respond,
            max_size=LARGEST_ANSWER,
            compression=None,
            logger=LOGGER,
            server_header=None,
        )

    def respond(self, connection: ServerConnection, request: Request) -> Response | None:
        """A file, or a refusal; None lets the socket be opened."""
        hosts, path = request.headers.get_all("Host"), path_in(request.path)
        host = hosts[0] if len(hosts) == 1 else None
        if not is_our_host(host, "localhost"):
            return connection.respond(HTTPStatus.FORBIDDEN, "this page is not served under that name\n")
        if path is None:
            return connection.respond(HTTPStatus.BAD_REQUEST, "that is no path\n")
        path = unquote(path)
        if path == SOCKET_PATH:
            is_own = is_own_origin(request.headers.get_all("Origin"), host)
            return None if is_own else connection.respond(HTTPStatus.FORBIDDEN, "pages of other origins\n")
        body = self.file(path)
        if body is None:
            return connection.respond(HTTPStatus.NOT_FOUND, "no such file\n")
        kind = TYPES.get(Path(path).suffix, TYPES[".html"])
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close"}
        headers |= {"Content-Security-Policy": self.policy, "X-Content-Type-Options": "nosniff"}
        return Response(HTTPStatus.OK, HTTPStatus.OK.phrase, Headers(headers), body)

    def file(self, path: str) -> bytes | None:
        """One of the page's files, or of the packages' scripts."""
        if path in self.files:
            return self.files[path]
        wanted = (self.modules / path.removeprefix(MODULES_PATH)).resolve()
        is_script = path.startswith(MODULES_PATH) and wanted.suffix == ".js" and wanted.is_relative_to(self.modules)
        return wanted.read_bytes() if is_script and wanted.is_file() else None

    async def serve_page(self, page: ServerConnection) -> None:
        """Answer one page's questions; one of each kind at a time."""
        answering: dict[str, asyncio.Task[None]] = {}
        self.pages.add(page)
        try:
            async for text in page:
                if isinstance(text, bytes):
                    self.shots.put_nowait(text)
                    continue
                question = msgspec.json.decode(text, type=Question)
                if question.want not in answering or answering[question.want].done():
                    answering[question.want] = asyncio.create_task(self.answer(page, question))
        except (msgspec.MsgspecError, ConnectionClosed):
            await page.close(1008, "not a question of this page")
        finally:
            self.pages.discard(page)
            for task in answering.values():
                task.cancel()

    async def answer(self, page: ServerConnection, question: Question) -> None:
        """Send what is newer than a page has. The page may be gone by then."""
        try:
            if question.want == "bones":
                await page.send(msgspec.json.encode(await self.vmc.newer(question.have)).decode())
            elif question.want == "picture" and self.pictures is not None:
                number, data = await self.pictures(question.have)
                await page.send(number.to_bytes(8, "big") + data)
        except ConnectionClosed:
            pass

    async def shot(self) -> bytes:
        """What a page shows once it has drawn everything that was received: a PNG, or waits until there is a page."""
        while not self.pages:
            await asyncio.sleep(0.05)
        for page in self.pages:
            await page.send(msgspec.json.encode({"shoot": self.vmc.count}).decode())
        return await self.shots.get()


def policy(page: str) -> str:
    """What the page may load: of this server alone. Its one inline script, the map of the packages, by its hash."""
    found = re.search(r'<script type="importmap">(.*?)</script>', page, re.S)
    digest = hashlib.sha256(found[1].encode() if found else b"").digest()
    return (
        f"default-src 'none'; script-src 'self' 'sha256-{base64.b64encode(digest).decode()}'; style-src 'self'; "
        "img-src 'self' blob: data:; connect-src 'self' blob: data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
