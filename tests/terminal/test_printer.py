"""A run's lines: no reader, slow, gone or without room, holds up whoever says them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time

import pytest
from conftest import ROOT
from processes import wait_for
from rich.console import Console

from egostream.publish.client import PoseSubscriber
from egostream.publish.control import request
from egostream.terminal.printer import MOST_WAITING, Printer


def test_lines_are_printed_in_their_order():
    file = io.StringIO()
    printer = Printer(Console(file=file))
    for n in range(100):
        printer.say(f"line {n} [bold]")
    assert printer.close()
    assert file.getvalue().splitlines() == [f"line {n} [bold]" for n in range(100)]


class Blocking(io.StringIO):
    """A file whose writes wait until they are let go."""

    def __init__(self):
        super().__init__()
        self.go = threading.Event()

    def write(self, text: str) -> int:
        self.go.wait()
        return super().write(text)


def test_what_cannot_be_printed_is_left_out_and_counted():
    file = Blocking()
    printer = Printer(Console(file=file))
    for n in range(MOST_WAITING + 50):
        printer.say(f"line {n}")
    assert 48 <= printer.left_out <= 50
    missing = printer.left_out
    file.go.set()
    assert wait_for(lambda: not printer.waiting.qsize())
    assert printer.close()
    assert file.getvalue().splitlines()[-1] == f"{missing} lines were left out, since nobody read them"


def test_a_file_that_cannot_be_written_fails_nobody(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "w", buffering=1) as full:
        printer = Printer(Console(file=full))
        printer.say("a line")
        assert wait_for(lambda: printer.has_failed)
        printer.say("another")
        assert printer.close()
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())


def test_a_run_whose_lines_nobody_reads_streams_answers_and_ends(tmp_path):
    """Its standard error is a pipe that is full from the beginning."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    while True:
        try:
            os.write(write_end, b"x" * 4096)
        except BlockingIOError:
            break
    os.set_blocking(write_end, True)
    endpoints = [f"ipc://{tmp_path}/{name}" for name in ("poses", "control")]
    run = subprocess.Popen(
        [sys.executable, "-m", "egostream", "run", "--publish", endpoints[0], "--control", endpoints[1]],
        cwd=ROOT,
        stderr=write_end,
    )
    os.close(write_end)
    try:
        with PoseSubscriber(endpoints[0]) as poses:
            assert wait_for(lambda: poses.newest(1.0) is not None, 60)
        assert request(endpoints[1], {"cmd": "stop"})["ok"]
        assert run.wait(30) == 0
    finally:
        run.kill()
        run.wait()
        os.close(read_end)


def test_a_run_whose_reader_has_gone_goes_on(tmp_path):
    endpoints = [f"ipc://{tmp_path}/{name}" for name in ("poses", "control")]
    run = subprocess.Popen(
        [sys.executable, "-m", "egostream", "run", "--publish", endpoints[0], "--control", endpoints[1]],
        cwd=ROOT,
        stderr=subprocess.PIPE,
    )
    run.stderr.close()  # as head does after its first line
    try:
        with PoseSubscriber(endpoints[0]) as poses:
            first = None
            deadline = time.monotonic() + 60
            while first is None and time.monotonic() < deadline:
                first = poses.newest(1.0)
            assert first is not None
            assert request(endpoints[1], {"cmd": "reset"})["ok"]
            assert poses.newest(5.0) is not None
        assert request(endpoints[1], {"cmd": "stop"})["ok"]
        assert run.wait(30) == 0
    finally:
        run.kill()
        run.wait()
