"""The LSL bridge: an inlet in another process finds names, units, and the published joints in LSL's time."""

from __future__ import annotations

import time
import uuid

import numpy as np
import pytest
from bridges import TESTS, Program, best_turn_deg, bridge, directions

from egostream.skeleton import BONES, JOINTS


def has_liblsl() -> bool:
    try:
        import pylsl
    except (ImportError, OSError, RuntimeError):
        return False
    return bool(pylsl.library_version())


pytestmark = pytest.mark.skipif(not has_liblsl(), reason="pip install pylsl")


def test_an_inlet_finds_the_published_joints(stage):
    stream, start = stage
    name = f"test-{uuid.uuid4()}"
    bridge(start, stream, "lsl", "--name", name)
    inlet = start(str(TESTS / "lsl_inlet.py"), name)
    source, kind, rate, channels, facts = inlet.json(60)
    assert (source, kind, rate) == ("egostream-0", "MoCap", 0.0)
    assert channels[:3] == [[f"neck_{axis}", "meters", f"Position{axis}"] for axis in "XYZ"]
    assert channels[45:] == [[f"{joint}_confidence", "normalized", "Confidence"] for joint in JOINTS]
    assert float(facts["publisher_clock_offset_ns"]) == pytest.approx(time.time_ns() - time.monotonic_ns(), abs=1e9)
    samples = [inlet.json() for _ in range(20)]
    joints = np.array(samples[0][0][:45]).reshape(15, 3)
    np.testing.assert_allclose(joints, stream.joints, atol=1e-5)
    assert best_turn_deg(directions(stream.joints, BONES), directions(joints, BONES)) < 0.1
    assert samples[0][0][45:] == [1.0] * 15
    stamps = np.array([stamp for _, stamp, _ in samples])
    assert (np.diff(stamps) > 0).all() and np.median(np.diff(stamps)) == pytest.approx(1 / 30, abs=0.02)
    ages = [now - stamp for _, stamp, now in samples]
    assert 0 < min(ages) < 1  # the capture's time by LSL's own clock, not another's


def test_a_library_that_is_missing_is_named_with_its_pip_line(tmp_path):
    """As on a machine without the extra: the import is made to fail."""
    for module, command in (("pylsl", "lsl"), ("websockets", "websocket")):
        code = (
            f"import sys; sys.modules[{module!r}] = None; sys.argv = ['egostream', 'bridge', {command!r}]; "
            "from egostream.terminal.cli import main; main()"
        )
        program = Program("-c", code)
        try:
            assert program.process.wait(60) == 1 and program.says("pip install 'egostream[bridge]'", 1)
            assert len(program.errors) == 1
        finally:
            program.close()
