"""A WebSocket server that sends what a test tells it, as the bridge does: one message per pose."""

from __future__ import annotations

import threading

from senders import free_port
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve


class Bridge:
    """Sends a message to everybody who is connected, and to nobody what was sent before."""

    def __init__(self):
        self.port = free_port()
        self.start()

    def start(self) -> None:
        self.sockets, self.paths = [], []
        self.server = serve(self.keep, "127.0.0.1", self.port)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def keep(self, socket) -> None:
        self.paths.append(socket.request.path)
        self.sockets.append(socket)
        for _ in socket:  # until it is closed
            pass

    def send(self, message: bytes | str) -> None:
        for socket in self.sockets:
            try:
                socket.send(message)
            except ConnectionClosed:
                pass

    def stop(self) -> None:
        self.server.shutdown()
        for socket in self.sockets:
            socket.close()
