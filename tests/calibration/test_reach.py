"""What is said of a camera that sees too little, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from egostream.calibration.file import Calibration, canonical_calibration
from egostream.calibration.kannala_brandt import KannalaBrandtLens
from egostream.calibration.pinhole import PinholeLens
from egostream.calibration.reach import (
    NETWORKS_VIEW,
    blind_part,
    check_reach,
    coverage,
    reach_warnings,
    seen_by_network,
)
from egostream.calibration.view import CameraView
from egostream.errors import EgostreamError

#: The lens of a public report: its radius stops growing at 48.6 degrees, inside its own picture.
SHORT = Calibration(
    "short",
    (1920, 1200),
    KannalaBrandtLens(1133.11191, 1128.01793, 960.73323, 600.81623, (-1.152516, 2.913204, -2.482336, 0.178503)),
)
HALF = Calibration("half", (1280, 720), KannalaBrandtLens(407.0, 407.0, 640.0, 360.0, (0.03, -0.01, 0.002, 0.0)))
WIDE = Calibration("wide", (848, 800), KannalaBrandtLens(286.0, 286.0, 417.0, 403.0, (-0.006, 0.049, -0.046, 0.009)))
TELE = Calibration("tele", (640, 480), PinholeLens(1500.0, 1500.0, 320.0, 240.0))
NARROW = Calibration("narrow", (640, 480), PinholeLens(450.0, 450.0, 320.0, 240.0))


def view(camera):
    return CameraView(NETWORKS_VIEW, camera)


def test_a_lens_that_stops_inside_its_picture_is_refused_and_says_why():
    assert coverage(view(SHORT)) == pytest.approx(0.16, abs=0.01) and blind_part(SHORT) == pytest.approx(0.30, abs=0.01)
    with pytest.raises(EgostreamError, match=r"camera short covers only 16% .*stops growing 49 degrees .*--force"):
        check_reach(view(SHORT), is_forced=False)
    lines = check_reach(view(SHORT), is_forced=True)
    assert len(lines) == 2 and "30% of the pixels have no direction" in lines[0] and "covers only 16%" in lines[1]


def test_a_narrow_camera_is_refused_unless_forced():
    with pytest.raises(EgostreamError, match=r"camera narrow covers only \d+% of the network's view\. Calibrate"):
        check_reach(view(NARROW), is_forced=False)
    (line,) = check_reach(view(NARROW), is_forced=True)
    assert "covers only" in line


def test_another_lenss_calibration_is_refused_even_if_forced():
    with pytest.raises(EgostreamError, match="belongs to another lens"):
        check_reach(view(TELE), is_forced=True)


def test_cameras_that_see_enough_are_left_alone():
    assert check_reach(view(canonical_calibration()), is_forced=False) == []
    assert check_reach(view(WIDE), is_forced=False) == []
    (line,) = check_reach(view(HALF), is_forced=False)
    assert "it covers only 45% of the network's view" in line


def test_warnings_of_the_file_are_repeated():
    camera = Calibration(WIDE.name, WIDE.size, WIDE.lens, warnings=("the rim was not covered",))
    assert reach_warnings(camera) == check_reach(view(camera), is_forced=False) == ["the rim was not covered"]


def test_what_the_network_sees_of_the_picture():
    """The crop of the canonical camera: its centred square."""
    u = np.array([100.0, 127.0, 128.0, 640.0, 1151.0, 1152.5])
    seen = seen_by_network(view(canonical_calibration()), np.stack([u, np.full_like(u, 512.0)], -1))
    assert seen.tolist() == [False, False, True, True, True, False]
