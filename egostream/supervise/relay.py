"""Control requests by TCP: passed on to the run's own Unix socket, within limits that libzmq does not have.

libzmq takes any number of connections, and keeps all parts of a request until its last one has come. Between a peer and
the Unix socket this relay counts bytes: a peer asks, and waits for its answer.
"""

from __future__ import annotations

import asyncio
import errno
import threading
from dataclasses import dataclass
from pathlib import Path

from egostream.publish.endpoints import unbound

#: Peers at a time, in and out: a page, a recorder, and whoever asks for a moment. More are closed at once.
MOST_PEERS = 32
#: Bytes of a peer that no answer has come for: a handshake and a request of 4 KiB have less.
MOST_UNANSWERED = 8192
#: A peer that says nothing for so long loses its place, seconds; one that does not read its answer, too.
IDLE_S, DEAF_S = 60.0, 10.0
PIECE = 65536
#: Of ZMTP 3 (rfc.zeromq.org/spec/23): what begins a connection, bytes; flags of a frame.
GREETING = 64
LONG, COMMAND = 2, 4


@dataclass
class Account:
    """What a peer has sent since its last answer, and where in the run's bytes to it a frame begins."""

    unanswered: int = 0  # bytes
    left: int = GREETING  # bytes of the present frame that are to come
    is_message: bool = False  # whether that frame is part of an answer, not a handshake or a sign of life
    head: bytes = b""  # of the next frame, as far as it came

    def answer(self, data: bytes) -> None:
        """Take note of what the run sends. With a part of an answer, the request before it is dealt with."""
        while data:
            if self.left:
                self.left, data = max(0, self.left - len(data)), data[self.left :]
            else:
                self.head, data = self.head + data[:1], data[1:]
                if len(self.head) < (9 if self.head[0] & LONG else 2):
                    continue
                self.left, self.is_message = int.from_bytes(self.head[1:]), not self.head[0] & COMMAND
                self.head = b""
            if self.is_message:
                self.unanswered = 0


class Relay:
    """Listens at an endpoint ``tcp://ADDRESS:PORT`` in a thread. Raises EgostreamError where that cannot be had."""

    def __init__(self, endpoint: str, path: Path):
        self.path, self.peers = path, 0
        host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda loop, context: None)  # no file descriptors: it goes on in a second
        try:
            listening = asyncio.start_server(self.serve, host.strip("[]"), int(port), limit=PIECE)
            self.server = self.loop.run_until_complete(listening)
        except OSError as error:
            self.loop.close()
            raise unbound(endpoint, "control", error.errno == errno.EADDRINUSE, error.strerror or str(error)) from None
        self.thread = threading.Thread(target=self.loop.run_forever, name="control-relay", daemon=True)
        self.thread.start()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a peer, if there is a place for it."""
        if self.peers >= MOST_PEERS:
            writer.transport.abort()
            return
        self.peers += 1
        inner: asyncio.StreamWriter | None = None
        try:
            answers, inner = await asyncio.open_unix_connection(self.path, limit=PIECE)
            await relayed(reader, writer, answers, inner)
        except (OSError, TimeoutError):
            pass  # the peer went away, or the run comes to its end
        finally:
            self.peers -= 1
            for one in (writer, inner):
                if one is not None:
                    one.transport.abort()

    def close(self) -> None:
        """End all connections and listen no more."""
        asyncio.run_coroutine_threadsafe(self.finish(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    async def finish(self) -> None:
        """Close the server and end what serves."""
        self.server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


async def relayed(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    answers: asyncio.StreamReader,
    inner: asyncio.StreamWriter,
) -> None:
    """Pass bytes both ways until one side ends or a limit is reached."""
    account = Account()
    ways = {
        asyncio.ensure_future(pass_requests(reader, inner, account)),
        asyncio.ensure_future(pass_answers(answers, writer, account)),
    }
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def pass_requests(reader: asyncio.StreamReader, inner: asyncio.StreamWriter, account: Account) -> None:
    """Pass on what a peer sends, until it is too much, too little, or over."""
    while data := await asyncio.wait_for(reader.read(MOST_UNANSWERED), IDLE_S):
        account.unanswered += len(data)
        if account.unanswered > MOST_UNANSWERED:
            return
        inner.write(data)
        await inner.drain()


async def pass_answers(answers: asyncio.StreamReader, writer: asyncio.StreamWriter, account: Account) -> None:
    """Pass on what the run answers, until the peer does not read it."""
    while data := await answers.read(PIECE):
        account.answer(data)
        writer.write(data)
        await asyncio.wait_for(writer.drain(), DEAF_S)
