"""What is drawn lies where the lens puts it."""

from __future__ import annotations

import numpy as np
import pytest
from rendered_people import kannala_brandt

from egostream.calibration.file import Calibration, canonical_calibration
from egostream.calibration.pinhole import PinholeLens
from egostream.errors import EgostreamError
from tools.synthetic.picture.shapes import Mesh, box, grid

pytest.importorskip("moderngl")

from tools.synthetic.picture.render import MAX_LIGHTS, TEXTURE_SIZE, Looks, Renderer  # noqa: E402


def glowing(count: int) -> Looks:
    """Materials that glow white by themselves, in a room without any light."""
    return Looks(
        tint=np.tile([1.0, 1, 1, 0], (count, 1)),
        surface=np.tile([1.0, 0, 0, 1], (count, 1)),
        textures=np.full((1, TEXTURE_SIZE, TEXTURE_SIZE, 3), 128, np.uint8),
        sky=np.zeros(3),
        ground=np.zeros(3),
        light_at=np.array([[0, 9.0, 0]] * MAX_LIGHTS),
        light_colour=np.zeros((MAX_LIGHTS, 3)),
    )


@pytest.mark.parametrize("lens", ["canonical", "kannala_brandt"])
@pytest.mark.parametrize("mapping", ["crop", "squash", None])
def test_what_is_drawn_lies_where_the_lens_projects_it(context, tmp_path, lens, mapping):
    calibration = canonical_calibration() if lens == "canonical" else kannala_brandt(tmp_path)
    renderer = Renderer(calibration, tuple(calibration.size) if mapping is None else (256, 256), mapping)
    rng = np.random.default_rng(5)
    nothing = grid(np.array([0, 0, -50.0]), np.array([0.01, 0, 0]), np.array([0, 0.01, 0]), (1, 1), 0)
    dot = box(np.zeros(3), (0.03,) * 3, 0)
    renderer.set_scene(nothing, dot.faces, len(dot.vertices), glowing(1))
    worst = 0.0
    for theta in np.radians(np.linspace(0, 80, 12 if mapping else 4)):
        phi = rng.uniform(0, 2 * np.pi)
        point = rng.uniform(0.5, 1.2) * np.array(
            [np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)]
        )
        expected, inside = renderer.pixels(point)
        if not inside or (np.abs(expected - np.array(renderer.size) / 2) > np.array(renderer.size) / 2 - 5).any():
            continue
        moved = Mesh((dot.vertices + point).astype("f4"), dot.normals, dot.uv, dot.materials, dot.faces)
        colour, distance = renderer.draw(moved, np.eye(4), np.zeros(3))
        weight = colour.sum(-1)
        y, x = np.nonzero(weight > 0)
        found = np.array([np.average(x, weights=weight[y, x]), np.average(y, weights=weight[y, x])])
        worst = max(worst, float(np.linalg.norm((found - expected) / renderer.scale)))
        assert distance.max() == pytest.approx(np.linalg.norm(point), abs=0.02)
    assert 0 < worst < 0.5 * max(1 / renderer.scale.min(), 1), worst  # half a drawn pixel, in the camera's pixels


def test_a_tangential_lens_is_refused_where_it_would_be_drawn_wrongly(context):
    lens = PinholeLens(500.0, 500.0, 320.0, 240.0, (0.1, 0.0, 0.002, 0.0))
    with pytest.raises(EgostreamError, match="tangential distortion is not rendered.*--frame-size camera"):
        Renderer(Calibration("mine", (640, 480), lens), (640, 480), mapping=None)
