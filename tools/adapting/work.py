"""One command of a part: run in a process of its own, its words kept in a log, its progress told, ended with us."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from egostream.errors import EgostreamError

ROOT = Path(__file__).resolve().parents[2]
LOOK_S = 0.25  # seconds between looks at a command
STOP_S = 120.0  # seconds that a stopped training gets for its last checkpoint
PR_SET_PDEATHSIG = 1  # of Linux's prctl.h
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def python(*arguments: object) -> list[str]:
    """The command that runs Python, as this process does, with some arguments."""
    return [sys.executable, "-u", *map(str, arguments)]


def tool(name: str, *arguments: object) -> list[str]:
    """The command of a tool of this folder's parent."""
    return python(ROOT / "tools" / f"{name}.py", *arguments)


def end_with_parent() -> None:
    """In a child: be told to stop when the parent ends, even by SIGKILL. Linux alone knows such a thing."""
    if LIBC:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Words:
    """What a command prints: all of it in a log, the newest line to show."""

    def __init__(self, stream: IO[bytes], log: Path):
        self.newest = ""
        log.parent.mkdir(parents=True, exist_ok=True)
        self.thread = threading.Thread(target=self.read, args=(stream, log), daemon=True)
        self.thread.start()

    def read(self, stream: IO[bytes], log: Path) -> None:
        """Copy until the command closes its end."""
        with open(log, "ab") as kept:
            for line in stream:
                kept.write(line)
                kept.flush()
                if text := line.decode(errors="replace").replace("\r", "\n").strip():
                    self.newest = text.splitlines()[-1].strip()

    def last(self) -> str:
        """The last line, when the command has ended."""
        self.thread.join(5)
        return self.newest


def run_command(
    command: list[str],
    log: Path,
    look: Callable[[float, str], None],
    output: Path | None = None,
    lock: int | None = None,
) -> None:
    """Run a command to its end, in a session of its own: Ctrl-C reaches this process, which stops the command.

    log: file that its words are added to. look: called a few times a second with the seconds so far and the newest
    line. output: file for its stdout. lock: a descriptor that it keeps open. Raises EgostreamError with its last line.
    """
    begun = time.monotonic()
    with open(output or os.devnull, "wb") as stdout:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stdout if output else subprocess.PIPE,
            stderr=subprocess.PIPE if output else subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=end_with_parent if LIBC else None,
            pass_fds=() if lock is None else (lock,),
            cwd=ROOT,
        )
    stream = process.stderr if output else process.stdout
    assert stream is not None
    words = Words(stream, log)
    try:
        while process.poll() is None:
            look(time.monotonic() - begun, words.newest)
            time.sleep(LOOK_S)
    except BaseException:
        stop(process)
        raise
    if process.returncode:
        raise EgostreamError(f"{words.last() or f'it ended with status {process.returncode}'} (all of it: {log})")


def stop(process: subprocess.Popen) -> None:
    """Stop a command in order, so that a training keeps what it has done; by force when it takes too long."""
    process.terminate()
    try:
        process.wait(STOP_S)
    except BaseException:
        process.kill()
        process.wait()
        raise
