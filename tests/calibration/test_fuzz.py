"""Damaged calibration files: a line that says what is wrong, or a camera; never anything else, and at once.

EGOSTREAM_FUZZ=2000 tries so many accidents with each sample instead of the few that every test run has time for.
"""

from __future__ import annotations

import os
import random
import resource
import time

import numpy as np
import pytest
from calibration_files import ASKED, SAMPLES
from mutations import mutated

from egostream.calibration.file import load_calibration
from egostream.errors import EgostreamError

#: Of each sample: about 2,000 in all, which take 5 s on a quiet machine.
ACCIDENTS = int(os.environ.get("EGOSTREAM_FUZZ", "65"))
SLOWEST_S = 5.0  # of one file; the largest that is read takes so long on a busy machine
MOST_GROWTH_KB = 100_000


@pytest.mark.filterwarnings("error")  # a decoder's or NumPy's own lines would reach the terminal
@pytest.mark.parametrize("name", SAMPLES)
def test_damage_is_said_or_read(tmp_path, name):
    sample, rng, read = SAMPLES[name], random.Random(name), 0
    path, before_kb = tmp_path / "damaged.json", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(ACCIDENTS):
        data = mutated(sample.text, rng)
        path.write_bytes(data)
        started = time.monotonic()
        try:
            camera = load_calibration(f"{path}{sample.asked}")
        except EgostreamError as error:
            assert "\n" not in str(error) and len(str(error)) < 600 + len(str(path)), data
        else:
            read += 1
            is_sound(camera, data)
        assert time.monotonic() - started < SLOWEST_S, data
    assert read > ACCIDENTS / 20, "hardly any damage is left to the readers: the mutations are too coarse"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < MOST_GROWTH_KB


def is_sound(camera, data):
    """What was read is a camera: finite numbers everywhere, and pixels that come back from their rays."""
    (pixels, _), (width, height) = camera.lens.project(ASKED), camera.size
    assert np.isfinite(pixels).all() and 0 <= camera.lens.cx < width and 0 <= camera.lens.cy < height, data
    rays, seen = camera.lens.unproject(
        np.array([[camera.lens.cx + 1, camera.lens.cy], [width / 2, height / 3], [-1e6, 5]])
    )
    assert np.isfinite(rays).all() and seen[0], data
    assert camera.name.isprintable() and camera.name.encode(), data
