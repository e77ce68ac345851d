"""What a service manager is told, at a socket of its kind."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys

import pytest
from conftest import ROOT

from egostream.supervise.notify import Notifier

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="systemd's sockets are Unix's")


@pytest.fixture
def manager(tmp_path, monkeypatch):
    """A service manager's socket, which wants a sign of life every 20 ms."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "notify"))
        made.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "20000")
        yield made


def heard(manager) -> list[str]:
    """What was sent to it since."""
    found = []
    try:
        while True:
            found.append(manager.recv(100).decode())
    except BlockingIOError:
        return found


def test_a_run_is_ready_when_its_first_pose_is_out_and_shows_signs_of_life(manager):
    notifier = Notifier()
    notifier.tick(has_poses=False)
    assert heard(manager) == ["WATCHDOG=1"]
    notifier.next_s = 0
    notifier.tick(has_poses=True)
    notifier.tick(has_poses=True)
    assert heard(manager)[:2] == ["READY=1", "WATCHDOG=1"]
    notifier.stopping()
    assert heard(manager)[-1] == "STOPPING=1"


def test_a_manager_that_is_gone_or_does_not_read_ends_nothing(manager, tmp_path):
    notifier = Notifier()
    for _ in range(2000):
        notifier.next_s = 0
        notifier.tick(has_poses=True)
    (tmp_path / "notify").unlink()
    notifier.stopping()


def test_systemd_takes_the_unit_of_the_documentation(tmp_path):
    """All but the path of the program, which is another on each machine."""
    if (analyze := shutil.which("systemd-analyze")) is None:
        pytest.skip("apt-get install systemd")
    page = (ROOT / "docs" / "operations.md").read_text()
    (unit,) = re.findall(r"```ini\n(.*?)```", page, re.DOTALL)
    path = tmp_path / "egostream.service"
    path.write_text(re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", unit))
    done = subprocess.run([analyze, "verify", str(path)], capture_output=True, text=True)
    assert done.returncode == 0 and path.name not in done.stderr, done.stderr


def test_without_a_manager_nothing_is_sent(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", "nonsense")
    notifier = Notifier()
    monkeypatch.setattr(notifier, "send", lambda text: pytest.fail(text))
    notifier.tick(has_poses=True)
    notifier.stopping()
