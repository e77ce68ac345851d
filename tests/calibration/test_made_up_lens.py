"""A lens model that no module knows by name is read, viewed and augmented by its contract alone.

It is drawn in tests/tools/synthetic, after the tests that load what does not bear an OpenGL context before it.
"""

from __future__ import annotations

import numpy as np
import pytest
from lenses import LEANING, LENSES, SIZE, SKEWED, BrownLens, angle, direction_grid

from egostream.calibration import file
from egostream.calibration.file import Calibration, load_calibration
from egostream.calibration.view import CameraView, InputGeometry
from egostream.errors import EgostreamError
from tools.training import augment
from tools.training.augment import Augmenter, Turn, Turner

GEOMETRY = InputGeometry("made_up", "crop")


@pytest.fixture
def canonical(monkeypatch):
    """Makes a lens the canonical one, as ``augment`` sees it."""

    def put(lens):
        monkeypatch.setattr(augment, "canonical_calibration", lambda name: Calibration(name, SIZE, lens))

    return put


def test_a_new_model_is_one_line_in_the_table(monkeypatch, tmp_path):
    monkeypatch.setitem(file.MODELS, "brown", lambda data: BrownLens(**data["numbers"]))
    path = tmp_path / "brown.json"
    text = '{"model": "brown", "size": [640, 480], "numbers": {"fx": 300, "fy": 301, "cx": %d, "cy": 239}}'
    path.write_text(text % 320)
    assert load_calibration(path).lens == BrownLens(300, 301, 320, 239)
    path.write_text(text % 700)
    with pytest.raises(EgostreamError, match=r"brown.json: the optical centre \(700.0, 239.0\) lies outside.*README"):
        load_calibration(path)
    path.write_text('{"model": "browne", "size": [640, 480]}')
    with pytest.raises(EgostreamError, match="known: .*brown. See"):
        load_calibration(path)


def test_its_pixels_are_those_of_the_canonical_directions():
    view = CameraView(InputGeometry("canonical", "crop"), Calibration("brown", SIZE, SKEWED))
    rays = direction_grid(30)
    uv, _ = view.canonical.lens.project(rays)
    pixels, valid = view.camera_from_canonical(uv)
    assert valid.all() and angle(SKEWED.unproject(pixels)[0], rays).max() < 1e-3


@pytest.mark.parametrize("turn", [Turn(0.3), Turn(0.0, True), Turn(-0.2, True)], ids=str)
@pytest.mark.parametrize(
    ("lens", "reach"),
    [(lens, reach) for _, lens, reach in LENSES if lens.is_symmetric],
    ids=[name for name, lens, _ in LENSES if lens.is_symmetric],
)
def test_a_symmetric_lens_is_turned_exactly(canonical, lens, reach, turn):
    """What stands in the turned picture is where the lens projects the turned world."""
    canonical(lens)
    turner = Turner(GEOMETRY)
    rays = direction_grid(min(reach, 60))
    turned = np.concatenate([rays[..., :2] @ turn.matrix.T, rays[..., 2:]], -1)
    principal = np.array([lens.cx, lens.cy])
    found = (lens.project(rays)[0] - principal) @ turner.pixel_matrix(turn).T + principal
    np.testing.assert_allclose(found, lens.project(turned)[0], atol=1e-6)


@pytest.mark.parametrize("lens", [SKEWED, LEANING], ids=repr)
def test_a_tangential_lens_is_not_turned(canonical, lens):
    canonical(lens)
    for settings in ({}, {"mirror": 0}, {"rotate_deg": 0}):
        with pytest.raises(EgostreamError, match="made_up.*not symmetric.*--rotate 0 --mirror 0"):
            Augmenter(GEOMETRY, **settings)
    still = Augmenter(GEOMETRY, rotate_deg=0, mirror=0)
    image, joints, keypoints = np.ones((8, 8, 3)), np.ones((15, 3)), np.ones((15, 2))
    assert still.turned(Turn(), image, joints, keypoints) == (image, joints, keypoints)
