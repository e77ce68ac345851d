"""The cache: what is listed, what goes first, and what is left alone."""

from __future__ import annotations

import json
import os
import time

import pytest
from processes import egostream

from egostream.locks import lock
from egostream.terminal.cache import ABANDONED_S, entries, too_many

MIB = 1 << 20


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Three engines of 1, 2 and 3 MiB, the first the oldest; a draft that somebody makes, and one that nobody does."""
    monkeypatch.setenv("EGOSTREAM_CACHE", str(tmp_path))
    now = time.time()
    for name, size, age_s in (
        ("engines/w/one", 1, 3e6), ("engines/w/two", 2, 2e6), ("engines/v/three", 3, 1e6),
        ("engines/v/.four-x", 1, 2 * ABANDONED_S), ("engines/v/.five-x", 1, 10),
    ):  # fmt: skip
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "engine.blob").write_bytes(bytes(size * MIB))
        for path in (folder / "engine.blob", folder):
            os.utime(path, (now - age_s, now - age_s))
    claim = lock(tmp_path / "engines/v/.four-x")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "infer.log").write_text("a traceback")
    (tmp_path / "mine.txt").write_text("not ours")
    yield tmp_path
    os.close(claim)


def names(found) -> list[str]:
    """Their places in the cache."""
    return [entry.name for entry in found]


def test_entries_are_listed_by_age_with_their_sizes(cache):
    found = entries()
    assert names(found)[:3] == ["engines/w/one", "engines/w/two", "engines/v/three"]
    assert [entry.nbytes for entry in found[:3]] == [MIB, 2 * MIB, 3 * MIB]


def test_the_oldest_goes_first_and_a_draft_in_the_making_stays(cache):
    found = entries()
    assert names(too_many(found, None)) == ["engines/v/.five-x"]
    assert names(too_many(found, 4.5 / 1024)) == ["engines/v/.five-x", "engines/w/one", "engines/w/two"]
    assert "engines/v/.four-x" not in names(too_many(found, 0))


def test_the_command_clears_what_is_ours_alone(cache):
    told = json.loads(egostream("cache", "--json", "--keep", "0.0045").stdout)
    assert told["cleared_bytes"] == 4 * MIB and (cache / "engines/v/three").exists()
    cleared = egostream("cache", "--clear")
    assert cleared.returncode == 0 and "cleared" in cleared.stdout
    assert not (cache / "engines/v/three").exists() and (cache / "mine.txt").exists()
    assert (cache / "engines/v/.four-x").exists()
