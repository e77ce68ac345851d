"""Small runs of tools/make_synthetic.py, and a camera other than the canonical one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
from conftest import ROOT

from egostream.calibration.file import Calibration, load_calibration
from egostream.errors import EgostreamError
from tools import make_synthetic

KANNALA_BRANDT = {
    "name": "kb",
    "model": "kannala_brandt",
    "size": [800, 600],
    "focal": [210.0, 214.0],
    "center": [402.0, 297.0],
    "k": [-0.02, 0.004, 0.0, 0.0],
}
SMALL = ("--train", 2, "--val", 1, "--test", 1, "--frames", 3, "--fps", 10, "--seed", 7)


def kannala_brandt(tmp_path: Path) -> Calibration:
    """The calibration of KANNALA_BRANDT, read from a file."""
    path = tmp_path / "kb.json"
    path.write_text(json.dumps(KANNALA_BRANDT))
    return load_calibration(path)


def make(out: Path, *flags, fails: str | None = None) -> None:
    """Run the command; ``fails`` is part of the one line that it must end with."""
    command = [sys.executable, str(ROOT / "tools/make_synthetic.py"), "--out", str(out), "--jobs", "1"]
    done = subprocess.run([*command, *map(str, flags)], capture_output=True, text=True, timeout=300)
    if fails is None:
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 1 and fails in done.stderr and "Traceback" not in done.stderr, done.stderr


def make_here(out: Path, *flags, fails: str | None = None) -> None:
    """As ``make``, but in this process, which spares starting two others and importing everything in both."""
    arguments = ["--out", str(out), "--jobs", "1", *map(str, flags)]
    render_here = lambda settings, jobs, workers: map(make_synthetic.render_one, jobs)
    with mock.patch.object(make_synthetic, "render_all", render_here):
        if fails is None:
            make_synthetic.main(arguments)
            return
        with pytest.raises(EgostreamError, match=re.escape(fails)) as error:
            make_synthetic.main(arguments)
        assert "\n" not in str(error.value)
