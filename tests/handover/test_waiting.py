"""Waiting by the monotonic clock, whatever the time of day does."""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time

import pytest

from egostream.handover import waiting
from egostream.handover.waiting import clock_wait, wait


@pytest.fixture(params=["as it is here", "as where the C library has no such wait"], autouse=True)
def library(request, monkeypatch):
    """With and without glibc's own wait."""
    if request.param != "as it is here":
        monkeypatch.setattr(waiting, "clock_wait", lambda: None)


def test_what_is_there_is_taken_and_what_is_not_is_waited_for():
    semaphore = multiprocessing.get_context("spawn").Semaphore(0)
    semaphore.release()
    assert wait(semaphore, 5.0) and not wait(semaphore, 0.0)
    begun = time.monotonic()
    assert not wait(semaphore, 0.05) and time.monotonic() - begun >= 0.05
    threading.Timer(0.05, semaphore.release).start()
    assert wait(semaphore, 30.0)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_the_c_library_of_linux_has_it():
    assert clock_wait() is not None
