"""Names that are not text, in files, settings and on terminals that lack characters."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import ROOT
from processes import egostream

from egostream.capture.sources import SAMPLE
from egostream.capture.video import Video
from egostream.config import LONGEST_NAME, load_config
from egostream.errors import EgostreamError
from tools.calibration.pictures import frames_of, pictures_from

LATIN = b"caf\xe9 \xb1.avi"  # no UTF-8


@pytest.fixture
def latin_video(tmp_path) -> Path:
    """The sample under a name in Latin-1."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + LATIN))
    try:
        path.write_bytes(SAMPLE.read_bytes())
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    return path


def test_videos_of_any_name_are_read(latin_video):
    video = Video(latin_video)
    video.open()
    assert video.read().size > 1000
    video.close()
    assert next(frames_of(latin_video)).shape == (1024, 1280)
    assert len(pictures_from(latin_video)) > 1


def test_pictures_of_any_name_are_read(tmp_path):
    from tools.calibration.pictures import Picture

    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe9.png"))
    path.write_bytes(cv2.imencode(".png", np.full((8, 9), 7, np.uint8))[1].tobytes())
    assert (Picture(path).read() == 7).all()
    path.write_bytes(b"")
    assert Picture(path).read() is None


def test_a_run_over_a_name_that_is_no_text_shows_it_as_far_as_it_can(latin_video, tmp_path):
    done = subprocess.run(
        [
            sys.executable, "-m", "egostream", "run", "--source", os.fsencode(latin_video), "--assume-canonical",
            "--seconds", "4", "--publish", f"ipc://{tmp_path}/poses", "--control", "",
        ],
        cwd=ROOT,
        capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0 and b"caf" in done.stderr and b"Traceback" not in done.stderr, done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize("command", [("doctor",), ("run", "--help"), ("lens", "calib/canonical.json")])
def test_a_terminal_that_lacks_characters_ends_no_command(encoding, command):
    done = egostream(*command, env={**os.environ, "PYTHONIOENCODING": encoding}, errors="replace")
    assert "Error" not in done.stderr, done.stderr
    assert done.stdout


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a\0", "a\nb", "\ud800", "x" * (LONGEST_NAME + 1), "é" * 150])
def test_streams_have_names_that_topics_can_carry(name):
    with pytest.raises(EgostreamError, match="a printable name"):
        load_config(None, {"stream": name})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a = " + "[" * 2000 + "]" * 2000, "nested too deeply"),
        ("a = " + "1" * 5000, "is not readable TOML"),
        ("\udce9".encode(errors="surrogateescape"), "is not readable TOML"),
        ("stream = [[[[]]]]", "stream"),
    ],
)
def test_a_config_that_cannot_be_read_is_one_line(tmp_path, text, problem):
    path = tmp_path / "run.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(EgostreamError, match=problem) as caught:
        load_config(path, {})
    assert "\n" not in str(caught.value)
