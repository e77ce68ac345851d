"""The clients, each built once, beside a live stream."""

from __future__ import annotations

import json
import subprocess
import sys

import live_publisher
import pytest
from built_clients import AXES, BUILDERS, RunningClient
from live_publisher import STREAM
from senders import free_port


class LiveStream:
    """A publisher in another process, and the number of the pose that it sent last."""

    def __init__(self):
        self.endpoint = f"tcp://127.0.0.1:{free_port()}"
        self.start()

    def start(self) -> None:
        """Start it, or start it anew: numbers begin at 0."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([sys.executable, live_publisher.__file__, self.endpoint], **pipes)
        assert self.process.stdout.readline() == "ready\n"
        self.seq = -1

    def command(self, command: object) -> None:
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def publish(self, count: int = 1, skip: int = 0) -> int:
        """Publish poses, the first of them after a gap. Returns the last one's number."""
        first = self.seq + 1 + skip
        self.seq = first + count - 1
        self.command([first, self.seq])
        return self.seq

    def send(self, frame: bytes) -> None:
        """Send a frame as it is."""
        self.command(frame.hex())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def reach(self, client: RunningClient) -> None:
        """Publish until a client hears it, and has printed the newest."""
        client.wait(lambda: self.publish() >= 0 and client.lines)
        client.line_of(self.seq)


@pytest.fixture(scope="session")
def commands(tmp_path_factory):
    """The command of each client by name; skips where it cannot be built, which is tried once."""
    made: dict[str, list[str] | BaseException] = {}

    def command(name: str) -> list[str]:
        if name not in made:
            try:
                made[name] = BUILDERS[name](tmp_path_factory.mktemp(name))
            except (pytest.skip.Exception, AssertionError) as outcome:
                made[name] = outcome
        if isinstance(made[name], BaseException):
            raise made[name]
        return made[name]

    return command


@pytest.fixture(scope="session")
def live():
    """One publisher for all."""
    stream = LiveStream()
    yield stream
    stream.close()


@pytest.fixture(params=list(AXES), scope="module")
def name(request) -> str:
    """Each client's name."""
    return request.param


@pytest.fixture(scope="module")
def client(name, commands, live):
    """Each client, subscribed to the stream."""
    # A locale that writes 0,5 for 0.5 changes no line.
    running = RunningClient(commands(name), live.endpoint, STREAM, LANG="de_DE.UTF-8", LC_ALL="de_DE.UTF-8")
    try:
        live.reach(running)
        yield running
    finally:
        running.close()
