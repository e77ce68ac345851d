"""Serving figures over HTTP, to as many askers at a time as are threads for."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry, MetricsHandler

from egostream.errors import EgostreamError
from egostream.metrics.settings import MetricsSettings

#: Connections at a time, each with a thread; a Prometheus server needs one. More are closed at once.
MOST_ASKERS = 8
#: An asker has so long for each of its requests, seconds, before it loses its place.
PATIENCE_S = 5.0


class Server(ThreadingHTTPServer):
    """The server. Who asks too slowly, or comes when all places are taken, is closed."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64  # connections that wait until it is looked at them: with too few, the system has them retry

    def __init__(self, settings: MetricsSettings, registry: CollectorRegistry):
        handler = MetricsHandler.factory(registry)
        handler.timeout = PATIENCE_S  # type: ignore[attr-defined]
        self.places = threading.BoundedSemaphore(MOST_ASKERS)
        self.address_family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        super().__init__((settings.host, settings.port), handler)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether there is a place for one more asker, which then has it."""
        return self.places.acquire(blocking=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer an asker, and give its place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: an asker that went away, or sent nonsense, is no fault of the run's."""


@contextlib.contextmanager
def serving(settings: MetricsSettings, registry: CollectorRegistry) -> Iterator[None]:
    """Serve figures for as long as this lasts. Raises EgostreamError where the port cannot be had."""
    try:
        server = Server(settings, registry)
    except OSError as error:
        raise EgostreamError(
            f"metrics cannot be served on {settings.host}:{settings.port}: {error.strerror or error}. "
            "Choose another place: --metrics 127.0.0.1:PORT"
        ) from None
    thread = threading.Thread(target=server.serve_forever, name="metrics-server", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
