"""What the page's server is told: which run to show, and who may look."""

from __future__ import annotations

import ipaddress
import re
import secrets
import socket
from dataclasses import dataclass, field, replace

from egostream.config import DEFAULT_CONTROL, RunConfig
from egostream.errors import EgostreamError
from egostream.publish import curve
from egostream.publish.client import DEFAULT_ENDPOINT
from egostream.publish.endpoints import is_loopback, local_endpoint

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 5580


@dataclass(frozen=True)
class ViewSettings:
    """Settings of ``egostream view``."""

    endpoint: str = DEFAULT_ENDPOINT  # the run's poses and status
    control: str = DEFAULT_CONTROL  # the run's control socket, which has the pictures; empty: no pictures
    stream: str = ""  # show this one only; empty: all of the run
    host: str = DEFAULT_HOST  # address that the page is served on
    port: int = DEFAULT_PORT  # 0: any that is free
    token: str = field(default="", repr=False)  # who opens the page needs it; empty: anybody on this machine may
    server_key: str = ""  # the publisher's public CURVE certificate
    client_key: str = ""  # this client's secret CURVE certificate

    @property
    def keys(self) -> tuple[str, str]:
        """Both certificates, as ``PoseSubscriber`` takes them."""
        return self.server_key, self.client_key

    def url(self, port: int) -> str:
        """Where the page is once it is served on a port, for other machines too where these can reach it."""
        host = socket.gethostname() if is_any_address(self.host) else self.host
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{port}/" + (f"?token={self.token}" if self.token else "")


def view_settings(
    endpoint: str,
    control: str | None,
    host: str,
    port: int,
    stream: str = "",
    keys: tuple[str, str] = ("", ""),
    wants_token: bool = False,
) -> ViewSettings:
    """Checked settings. control: as of ``control_of``. wants_token: of who looks from this machine, too.

    A host that others can reach always gets a token. Raises EgostreamError for what could not work.
    """
    if not 0 <= port < 65536:
        raise EgostreamError(f"--port {port} is none; 1 to 65535 is possible, and 0 for any that is free")
    if not re.fullmatch(r"tcp://.+:\d+|ipc://.+", endpoint):
        raise EgostreamError(f"--endpoint {endpoint!r} is not of the form tcp://ADDRESS:PORT or ipc://PATH")
    for key, needs_secret in zip(keys, (False, True)):
        if key:
            curve.load_key(key, needs_secret)
    settings = ViewSettings(endpoint, control_of(endpoint, control), stream, host, port, "", *keys)
    if wants_token or not is_local_host(host):
        settings = replace(settings, token=secrets.token_urlsafe(16))
    return settings


def settings_beside(config: RunConfig) -> ViewSettings:
    """Settings of a page that shows the run of these settings, from the same machine."""
    return ViewSettings(
        local_endpoint(config.publish), config.control, port=config.view_port, server_key=config.server_key
    )


def control_of(endpoint: str, control: str | None) -> str:
    """The control endpoint of a run: given, or the default one beside the default endpoint of poses; else unknown."""
    if control is not None:
        return control
    return DEFAULT_CONTROL if endpoint == DEFAULT_ENDPOINT else ""


def is_local_host(host: str) -> bool:
    """Whether only this machine can reach what is served on a host."""
    return is_loopback(f"tcp://[{host}]:0")


def is_any_address(host: str) -> bool:
    """Whether a host stands for all addresses of this machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
