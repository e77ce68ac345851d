"""What the metrics' process is told: which run to watch, and where to be asked."""

from __future__ import annotations

from dataclasses import dataclass

from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.publish.endpoints import is_loopback, local_endpoint

CUSTOMARY = "127.0.0.1:9570"


@dataclass(frozen=True)
class MetricsSettings:
    """Settings of the metrics of a run."""

    endpoint: str  # the run's poses and status
    host: str  # address that figures are served on
    port: int
    server_key: str = ""  # the publisher's CURVE certificate


def metrics_beside(config: RunConfig) -> MetricsSettings:
    """Settings of the metrics that a run asks for. Raises EgostreamError for what could not work.

    HTTP is not encrypted and asks nobody who he is: an address that others can reach has to be wanted.
    """
    host, port = host_and_port(config.metrics)
    if not (is_loopback(f"tcp://[{host}]:{port}") or config.insecure):
        raise EgostreamError(
            f"--metrics {config.metrics} can be reached from outside, in the clear: serve them on {CUSTOMARY}, behind "
            "a server that encrypts, or say --insecure"
        )
    if config.client_keys:
        raise EgostreamError(
            "--metrics is no client that --client-keys admits. For scripts, the control socket tells the same: "
            "egostream status --json"
        )
    return MetricsSettings(local_endpoint(config.publish), host, port, config.server_key)


def host_and_port(text: str) -> tuple[str, int]:
    """The parts of HOST:PORT; an IPv6 address stands in brackets. Raises EgostreamError for anything else."""
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise EgostreamError(f"--metrics {text!r} is not of the form HOST:PORT, such as {CUSTOMARY}")
    if host.startswith("[") and host.endswith("]"):
        return host[1:-1], int(port)
    if ":" in host:
        raise EgostreamError(f"--metrics {text!r}: put an IPv6 address in brackets, such as [::1]:{port}")
    return host, int(port)
