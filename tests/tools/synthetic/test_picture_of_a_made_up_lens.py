"""A lens model that the renderer does not know by name is drawn right, or refused where it would be drawn wrongly."""

from __future__ import annotations

import numpy as np
import pytest
from lenses import LEANING, SIZE, SKEWED, STRAIGHT

from egostream.calibration.file import Calibration
from egostream.errors import EgostreamError

pytest.importorskip("moderngl")

from tools.synthetic.picture.render import Looks, Mesh, Renderer  # noqa: E402


def renderer_of(lens, size=SIZE):
    """A renderer of the lens's full frames; skips where there is no OpenGL at all."""
    try:
        return Renderer(Calibration("made_up", SIZE, lens), size, mapping=None)
    except EgostreamError as error:
        if "no OpenGL" not in str(error):
            raise
        pytest.skip(str(error))


@pytest.mark.parametrize("lens", [SKEWED, LEANING], ids=repr)
def test_a_tangential_lens_is_not_drawn_as_if_it_were_symmetric(lens):
    with pytest.raises(EgostreamError, match="made_up: tangential distortion is not rendered.*--frame-size camera"):
        renderer_of(lens)


def test_a_symmetric_lens_is_drawn_where_it_projects():
    renderer = renderer_of(STRAIGHT)
    corners = np.array([[-0.01, -0.01, 0], [0.01, -0.01, 0], [0.01, 0.01, 0], [-0.01, 0.01, 0]])
    faces = np.array([[0, 1, 2], [0, 2, 3], [2, 1, 0], [3, 2, 0]], "i4")  # seen from either side

    def patch(center):
        return Mesh(
            (corners + center).astype("f4"), np.tile([0, 0, -1.0], (4, 1)), np.zeros((4, 2)), np.zeros(4), faces
        )

    white, dark = np.tile([1.0, 1, 1, 0], (1, 1)), np.zeros(3)
    glow, grey = np.array([[1.0, 0, 0, 1]]), np.full((1, 256, 256, 3), 128, np.uint8)
    looks = Looks(white, glow, grey, dark, dark, np.array([[0, 9.0, 0]] * 4), np.zeros((4, 3)))
    renderer.set_scene(patch([0, 0, -50.0]), faces, len(corners), looks)
    for point in np.array([[0.0, 0, 1], [0.4, 0.2, 1], [-0.5, 0.3, 1], [0.2, -0.6, 1]]):
        colour, _ = renderer.draw(patch(point), np.eye(4), np.zeros(3))
        weight = colour.sum(-1)
        y, x = np.nonzero(weight > 0)
        found = np.array([np.average(x, weights=weight[y, x]), np.average(y, weights=weight[y, x])])
        np.testing.assert_allclose(found, STRAIGHT.project(point)[0], atol=0.5)
