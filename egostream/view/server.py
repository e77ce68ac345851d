"""The page's server: one port for its files and its socket."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from importlib.resources import files

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from egostream.errors import EgostreamError
from egostream.view.gate import POLICY, has_token, is_our_host, is_own_origin, path_in
from egostream.view.lanes import Lanes
from egostream.view.settings import ViewSettings
from egostream.view.watch import Watch

TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
SOCKET_PATH = "/socket"
MAX_QUESTION = 1024  # bytes
MAX_PAGES = 16
#: The socket's own codes of closing, which the page puts into words.
WRONG_TOKEN, TOO_MANY = 4001, 4002
STOP_POLL_S = 0.1
PATIENCE_S = 2.0  # with a browser that does not finish its request, or does not let a connection go
#: What strangers send is no news for the terminal.
LOGGER = logging.getLogger("egostream.view")
LOGGER.addHandler(logging.NullHandler())
LOGGER.propagate = False


async def show(settings: ViewSettings, should_stop: Callable[[], bool], say: Callable[[str], None]) -> None:
    """Serve the page until told to stop. say: called with each line worth showing.

    Raises EgostreamError where the port cannot be had.
    """
    watch = Watch(settings.endpoint, settings.control, settings.stream, settings.keys)
    try:
        async with PageServer(settings, watch).serving() as server:
            say(f"the page is on {settings.url(server.sockets[0].getsockname()[1])}")
            while not should_stop():
                await asyncio.sleep(STOP_POLL_S)
    except OSError as error:
        raise EgostreamError(unbindable(settings.host, settings.port, error)) from None
    finally:
        await watch.close()


class PageServer:
    """Serves the page's files and answers its sockets."""

    def __init__(self, settings: ViewSettings, watch: Watch):
        self.settings, self.watch = settings, watch
        self.files = page_files()
        self.pages = 0

    def serving(self) -> AbstractAsyncContextManager[Server]:
        """The server, for ``async with``, which raises OSError where the port cannot be had."""
        return serve(
            self.serve_page,
            self.settings.host,
            self.settings.port,
            process_request=self.respond,
            max_size=MAX_QUESTION,
            compression=None,  # pictures are compressed
            open_timeout=PATIENCE_S,
            close_timeout=PATIENCE_S,
            logger=LOGGER,
            server_header=None,
        )

    def respond(self, connection: ServerConnection, request: Request) -> Response | None:
        """A file, or a refusal; None lets the socket be opened."""
        hosts = request.headers.get_all("Host")
        host = hosts[0] if len(hosts) == 1 else None
        if not is_our_host(host, self.settings.host):
            return refused(connection, HTTPStatus.FORBIDDEN, "this page is not served under that name")
        if (path := path_in(request.path)) is None:
            return refused(connection, HTTPStatus.BAD_REQUEST, "that is no path")
        if path != SOCKET_PATH:
            return self.file(connection, path)
        if not is_own_origin(request.headers.get_all("Origin"), host):
            return refused(connection, HTTPStatus.FORBIDDEN, "pages of other origins are not answered")
        return None

    def file(self, connection: ServerConnection, path: str) -> Response:
        """One of the page's files."""
        name = path.removeprefix("/") or "index.html"
        if (body := self.files.get(name)) is None:
            return refused(connection, HTTPStatus.NOT_FOUND, "no such file")
        headers = Headers(
            {
                "Content-Type": f"{TYPES[name.rpartition('.')[2]]}; charset=utf-8",
                "Content-Length": str(len(body)),
                "Content-Security-Policy": POLICY,
                "X-Content-Type-Options": "nosniff",
                "Referrer-Policy": "no-referrer",
                "Cache-Control": "no-cache",
                "Connection": "close",
            }
        )
        return Response(HTTPStatus.OK, HTTPStatus.OK.phrase, headers, body)

    async def serve_page(self, page: ServerConnection) -> None:
        """Answer one page's socket."""
        if not has_token(page.request.path if page.request else "", self.settings.token):
            return await page.close(WRONG_TOKEN, "wrong token")
        if self.pages >= MAX_PAGES:
            return await page.close(TOO_MANY, "too many pages")
        self.pages += 1
        try:
            await Lanes(page, self.watch).serve()
        finally:
            self.pages -= 1


def page_files() -> dict[str, bytes]:
    """The page's files by name."""
    folder = files("egostream.view").joinpath("page")
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.name.rpartition(".")[2] in TYPES}


def refused(connection: ServerConnection, status: HTTPStatus, reason: str) -> Response:
    """A refusal in a line."""
    return connection.respond(status, f"{reason}\n")


def unbindable(host: str, port: int, error: OSError) -> str:
    """Why a port could not be had, and what to type."""
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is taken by another program (another egostream view?). Choose another: --port"
    return f"the page cannot be served on {host} port {port}: {error.strerror or error}. Choose others: --host, --port"
