"""A browser for all tests of the page, viewers and made runs."""

from __future__ import annotations

import pytest
from chromium import Chromium, find_chromium
from made_run import MadeRun
from viewers import Viewer


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    if find_chromium() is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    browser = Chromium(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture
def browse(chromium):
    """Open pages; they are closed at the end of the test, and must not have thrown anything."""
    tabs = []

    def open(url: str, **options):
        tabs.append(chromium.open(url, **options))
        return tabs[-1]

    yield open
    for tab in tabs:
        assert tab.errors == []
        tab.leave()


@pytest.fixture
def made_run(tmp_path):
    """Start made runs, all at one place: one after another."""
    runs = []

    def start(*names: str, **options) -> MadeRun:
        runs.append(MadeRun(tmp_path, *names, **options))
        return runs[-1]

    yield start
    for run in runs:
        run.close()


@pytest.fixture
def viewer():
    """Start viewers; each must end at Ctrl-C, without a complaint."""
    viewers = []

    def start(run=None, *arguments: str) -> Viewer:
        endpoints = ("--endpoint", run.endpoint, "--control", run.control) if run is not None else ()
        viewers.append(Viewer(*endpoints, *arguments))
        return viewers[-1]

    yield start
    for one in viewers:
        if one.process.poll() is None:
            assert one.end() == (0, "")
