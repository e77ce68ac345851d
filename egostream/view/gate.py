"""Who may look at the page: by the host that the browser names, by the page that asks, by the token.

A page of the web that is open in the same browser can send requests to this machine. The host's name keeps out one that
makes its own name point here (DNS rebinding). The origin keeps out one that connects to the socket. The token keeps out
other machines.
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import parse_qs, urlsplit

#: May load nothing from anywhere else, run no inline script, and stand in nobody's frame.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def is_our_host(host: str | None, served_on: str) -> bool:
    """Whether a Host header names this machine: an address, localhost, its own name, or what we are served on."""
    name = host_name(host)
    if name in {"localhost", served_on.lower(), socket.gethostname().lower()}:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True  # nobody can make an address point elsewhere


def host_name(host: str | None) -> str:
    """The name or address in a Host header, without its port; empty where it is none."""
    try:
        return (urlsplit(f"//{host or ''}").hostname or "").lower()
    except ValueError:
        return ""


def is_own_origin(origins: Iterable[str], host: str | None) -> bool:
    """Whether a connection comes from our own page, or from no page at all. origins: every Origin header of it."""
    return all(origin in (f"http://{host}", f"https://{host}") for origin in origins)


def has_token(path: str, token: str) -> bool:
    """Whether a request's path carries the token, where one is needed."""
    try:
        given = parse_qs(urlsplit(path).query).get("token", [""])[0]
    except ValueError:
        return False
    return not token or hmac.compare_digest(given.encode(errors="replace"), token.encode())


def path_in(address: str) -> str | None:
    """The path in what a browser asks for; None where it is no address."""
    try:
        return urlsplit(address).path
    except ValueError:
        return None
