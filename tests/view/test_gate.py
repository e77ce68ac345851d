"""Who may look at the page."""

from __future__ import annotations

import socket

import pytest

from egostream.config import DEFAULT_CONTROL
from egostream.errors import EgostreamError
from egostream.view.gate import has_token, is_our_host, is_own_origin
from egostream.view.settings import control_of, is_local_host, view_settings


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("127.0.0.1:5580", True),
        ("localhost:8080", True),  # through a tunnel
        ("LOCALHOST", True),
        ("[::1]:5580", True),
        ("192.168.1.7:5580", True),
        (socket.gethostname(), True),
        ("rig.lan:5580", True),
        ("evil.example:5580", False),
        ("127.0.0.1.evil.example", False),
        ("evil.example@127.0.0.1", True),  # nothing but the address counts
        ("127.0.0.1@evil.example", False),
        ("[::1", False),
        ("", False),
        (None, False),
    ],
)
def test_a_name_that_others_can_point_here_is_refused(host, is_ours):
    assert is_our_host(host, "rig.lan") is is_ours


@pytest.mark.parametrize(
    ("origins", "is_own"),
    [
        ([], True),  # no page: a program on this machine
        (["http://127.0.0.1:5580"], True),
        (["https://127.0.0.1:5580"], True),
        (["http://127.0.0.1:5581"], False),
        (["http://evil.example"], False),
        (["null"], False),
        ([""], False),
        (["http://127.0.0.1:5580", "http://evil.example"], False),
    ],
)
def test_only_our_own_page_may_connect(origins, is_own):
    assert is_own_origin(origins, "127.0.0.1:5580") is is_own


def test_a_token_is_needed_where_there_is_one():
    assert has_token("/socket", "") and has_token("/socket?token=a%2Bb&x=1", "a+b")
    assert not any(
        has_token(path, "right") for path in ("/socket", "/socket?token=", "/socket?token=wrong", "/?token=é")
    )


def test_a_host_that_others_reach_gets_a_token_and_loopback_none():
    hosts = {"127.0.0.1": True, "localhost": True, "::1": True, "0.0.0.0": False, "::": False, "192.168.1.7": False}
    for host, is_local in hosts.items():
        settings = view_settings("tcp://127.0.0.1:5570", None, host, 5580)
        assert is_local_host(host) is is_local and bool(settings.token) is not is_local
        assert settings.token in settings.url(5580) and settings.token not in repr(settings) or not settings.token
    assert view_settings("tcp://h:1", None, "::1", 5580).url(7) == "http://[::1]:7/"
    to_all = view_settings("tcp://h:1", None, "0.0.0.0", 5580).url(7)
    assert view_settings("tcp://h:1", None, "127.0.0.1", 5580, wants_token=True).token
    assert to_all.startswith(f"http://{socket.gethostname()}:7/?token=")


def test_pictures_are_asked_for_where_the_run_has_its_control_socket():
    assert control_of("tcp://127.0.0.1:5570", None) == DEFAULT_CONTROL
    assert control_of("tcp://127.0.0.1:6570", None) == "" == control_of("ipc:///tmp/poses", None)
    assert control_of("tcp://127.0.0.1:6570", "") == "" and control_of("ipc://a", "ipc://b") == "ipc://b"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"port": 70000}, "--port 70000"),
        ({"endpoint": "5570"}, "--endpoint '5570' is not of the form"),
        ({"keys": ("no-such.key", "")}, "no-such.key is not a CURVE certificate"),
    ],
)
def test_settings_that_cannot_work_are_named(changes, said):
    settings = {"endpoint": "tcp://127.0.0.1:5570", "control": None, "host": "127.0.0.1", "port": 5580, "stream": ""}
    with pytest.raises(EgostreamError, match=said):
        view_settings(**{**settings, "keys": ("", ""), **changes})
