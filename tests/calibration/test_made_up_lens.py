"""A lens model that no module knows by name is calibrated, viewed, augmented and rendered by its contract alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from lenses import LENSES, SIZE, SKEWED, STRAIGHT, BrownLens, angle, direction_grid

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
    with pytest.raises(EgostreamError, match="known: ocam, kannala_brandt, pinhole, brown. See"):
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


@dataclass(frozen=True)
class LeaningLens(BrownLens):
    """A lens before a sensor that leans, so that pictures grow to one side."""

    lean: tuple[float, float] = (0.0, 0.0)

    def bent(self, flat: np.ndarray) -> np.ndarray:
        return flat * (1 + flat @ np.array(self.lean))[..., None]

    @property
    def is_symmetric(self) -> bool:
        return not any(self.lean)


@pytest.mark.parametrize("lens", [SKEWED, LeaningLens(610.0, 590.0, 633.0, 498.0, lean=(0.02, 0.0))], ids=repr)
def test_a_tangential_lens_is_not_turned(canonical, lens):
    canonical(lens)
    for settings in ({}, {"mirror": 0}, {"rotate_deg": 0}):
        with pytest.raises(EgostreamError, match="made_up.*not symmetric.*--rotate 0 --mirror 0"):
            Augmenter(GEOMETRY, **settings)
    still = Augmenter(GEOMETRY, rotate_deg=0, mirror=0)
    image, joints, keypoints = np.ones((8, 8, 3)), np.ones((15, 3)), np.ones((15, 2))
    assert still.turned(Turn(), image, joints, keypoints) == (image, joints, keypoints)


def renderer_of(lens, size=SIZE):
    """A renderer of the lens's full frames; skips where there is no OpenGL at all."""
    pytest.importorskip("moderngl")
    from tools.synthetic.picture.render import Renderer

    try:
        return Renderer(Calibration("made_up", SIZE, lens), size, mapping=None)
    except EgostreamError as error:
        if "no OpenGL" not in str(error):
            raise
        pytest.skip(str(error))


@pytest.mark.parametrize("lens", [SKEWED, LeaningLens(610.0, 590.0, 633.0, 498.0, lean=(0.02, 0.0))], ids=repr)
def test_a_tangential_lens_is_not_drawn_as_if_it_were_symmetric(lens):
    with pytest.raises(EgostreamError, match="made_up: tangential distortion is not rendered.*--frame-size camera"):
        renderer_of(lens)


def test_a_symmetric_lens_is_drawn_where_it_projects():
    renderer = renderer_of(STRAIGHT)
    from tools.synthetic.picture.render import Looks, Mesh

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
