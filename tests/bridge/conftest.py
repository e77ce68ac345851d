"""A stream, and programs beside it."""

from __future__ import annotations

import pytest
from bridges import Program, Stream, pose_joints


@pytest.fixture
def stage(tmp_path):
    """(stream, start a bridge, start a receiver); all are ended after the test."""
    (tmp_path / "stream").mkdir()
    stream = Stream(tmp_path / "stream", pose_joints())
    started = []

    def start(*command):
        started.append(Program(*command))
        return started[-1]

    yield stream, start
    for program in started:
        program.close()
    stream.close()
