"""Viewers for tests: ``egostream view`` in a process of its own, on a port that is free."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

from conftest import ROOT


class Viewer:
    """A running ``egostream view``. ``url`` is what it printed, ``place`` its host and port, ``port`` its port."""

    def __init__(self, *arguments: str):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "egostream", "view", "--port", "0", *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        line = self.process.stdout.readline()
        assert (found := re.search(r"http://\S+?(?=\.? Ctrl-C|$)", line)), line + self.process.stderr.read()
        self.url = found[0].rstrip(".")
        self.place = self.url.split("/")[2]
        self.port = self.place.rpartition(":")[2]

    def end(self) -> tuple[int, str]:
        """Ctrl-C: exit status and what it complained of."""
        self.process.send_signal(signal.SIGINT)
        errors = self.process.communicate(timeout=30)[1]
        return self.process.returncode, errors
