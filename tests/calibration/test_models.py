"""The closed and the bent models against their papers' formulas, written anew, and against other libraries' numbers."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from lenses import (
    AFFINE,
    DOUBLE_SPHERE,
    EUCM,
    FOV,
    KB,
    LENSES,
    MEI,
    MEI_PURE,
    PINHOLE,
    PRISM,
    RATIONAL,
    SKEWED_KB,
    SKEWED_PINHOLE,
    THIN_PRISM,
    TILTED,
    direction_grid,
)

from egostream.calibration.bend import Bend
from egostream.calibration.double_sphere import DoubleSphereLens
from egostream.calibration.eucm import EucmLens
from egostream.calibration.fov import FovLens
from egostream.calibration.kannala_brandt import KannalaBrandtLens
from egostream.calibration.mei import MeiLens
from egostream.calibration.pinhole import PinholeLens
from egostream.calibration.thin_prism_fisheye import ThinPrismFisheyeLens

#: The directions that other libraries were asked for.
ASKED = np.array([[0.1, -0.2, 1.0], [0.9, 0.7, 1.0], [-1.5, 0.4, 0.8], [0.3, 1.9, 0.6]])
NEW = [DOUBLE_SPHERE, EUCM, FOV, MEI, MEI_PURE, THIN_PRISM]
REACH = {id(lens): reach for _, lens, reach in LENSES}
of_new_lenses = pytest.mark.parametrize("lens", NEW, ids=lambda lens: type(lens).__name__)


def double_sphere(lens, p):
    x, y, z = p
    d1 = np.sqrt(x**2 + y**2 + z**2)
    d2 = np.sqrt(x**2 + y**2 + (lens.xi * d1 + z) ** 2)
    below = lens.alpha * d2 + (1 - lens.alpha) * (lens.xi * d1 + z)
    return lens.fx * x / below + lens.cx, lens.fy * y / below + lens.cy


def eucm(lens, p):
    x, y, z = p
    below = lens.alpha * np.sqrt(lens.beta * (x**2 + y**2) + z**2) + (1 - lens.alpha) * z
    return lens.fx * x / below + lens.cx, lens.fy * y / below + lens.cy


def fov(lens, p):
    x, y, z = p
    ru = np.sqrt(x**2 + y**2) / z
    scale = np.arctan(2 * ru * np.tan(lens.w / 2)) / (lens.w * ru)
    return lens.fx * scale * x / z + lens.cx, lens.fy * scale * y / z + lens.cy


def mei(lens, p):
    unit = np.array(p) / np.sqrt(sum(c**2 for c in p))
    x, y = unit[0] / (unit[2] + lens.xi), unit[1] / (unit[2] + lens.xi)
    k1, k2, p1, p2 = lens.distortion
    r2 = x**2 + y**2
    xd = x * (1 + k1 * r2 + k2 * r2**2) + 2 * p1 * x * y + p2 * (r2 + 2 * x**2)
    yd = y * (1 + k1 * r2 + k2 * r2**2) + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y
    return lens.fx * xd + lens.skew * yd + lens.cx, lens.fy * yd + lens.cy


def thin_prism(lens, p):
    x, y, z = p
    n = np.sqrt(x**2 + y**2)
    theta = np.arctan2(n, z)
    r = theta + sum(k * theta ** (2 * i + 3) for i, k in enumerate(lens.k))
    xr, yr = r * x / n, r * y / n
    (p0, p1), (s0, s1, s2, s3), r2 = lens.p, lens.prism, xr**2 + yr**2
    u = xr + 2 * xr * (p0 * xr + p1 * yr) + r2 * p0 + s0 * r2 + s1 * r2**2
    v = yr + 2 * yr * (p0 * xr + p1 * yr) + r2 * p1 + s2 * r2 + s3 * r2**2
    return lens.fx * u + lens.cx, lens.fy * v + lens.cy


FORMULAS = {
    DoubleSphereLens: double_sphere, EucmLens: eucm, FovLens: fov, MeiLens: mei, ThinPrismFisheyeLens: thin_prism,
}  # fmt: skip


@of_new_lenses
def test_pixels_are_those_of_the_papers_formula(lens):
    rays = direction_grid(REACH[id(lens)])
    expected = np.stack(FORMULAS[type(lens)](lens, np.moveaxis(rays, -1, 0)), -1)
    np.testing.assert_allclose(lens.project(rays)[0], expected, atol=1e-9)


@pytest.mark.parametrize(
    ("lens", "expected"),
    [  # cv2.omnidir.projectPoints of opencv-contrib-python 5.0.0
        (
            MeiLens(620.5, 618.25, 640.2, 511.7, 0.8, (-0.19, 0.05, 0.0011, -0.0007), 1.7),
            [[673.9969032967947, 443.97741271988303], [881.1154729029796, 698.2714932434595],
             [250.97799294374647, 615.4738887913504], [715.7815576892375, 983.0556883637096]],
        ),
        (
            MeiLens(620.5, 618.25, 640.2, 511.7, 1.35, (-0.19, 0.05, 0.0011, -0.0007), 1.7),
            [[666.0389421796606, 459.92416943247486], [819.0981912257441, 650.18571381196],
             [357.94081580228675, 586.8875956144936], [693.8423676485028, 845.5583387206682]],
        ),
        (  # pycolmap 4.2.1, EUCM
            EucmLens(401.3, 399.2, 639.1, 512.4, 0.62, 1.08),
            [[678.5778296773096, 433.85751504020936], [908.3686293930502, 720.7352044676854],
             [215.33542574954322, 624.8125379455319], [718.1996597469002, 1010.7429680607097]],
        ),
        (  # pycolmap 4.2.1, FOV
            FovLens(401.3, 399.2, 639.1, 512.4, 0.93),
            [[681.69121100763, 427.6633369835739], [929.4615791994102, 737.0549815640368],
             [181.99779706280134, 633.6560507766623], [724.5285551768056, 1050.6162183778015]],
        ),
        (  # projectaria_tools 2.3.0, FISHEYE624
            ThinPrismFisheyeLens(
                241.6, 241.6, 321.2, 236.9, (-0.02, 0.1, -0.07, 0.012, 0.0013, -0.0003), (0.0007, -0.0004),
                (0.0005, -0.0001, -0.0003, 0.0002),
            ),
            [[344.9723302250266, 189.37518675686493], [486.1586974259816, 364.94430359410455],
             [59.66581615650455, 306.59329305896847], [370.54411333384525, 546.6010930906008]],
        ),
        (  # pycolmap 4.2.1, RAD_TAN_THIN_PRISM_FISHEYE
            ThinPrismFisheyeLens(
                241.6, 242.3, 321.2, 236.9, (-0.02, 0.1, -0.07, 0.012, 0.0013, -0.0003), (0.0007, -0.0004),
                (0.0005, -0.0001, -0.0003, 0.0002),
            ),
            [[344.9723302250266, 189.23749069200488], [486.1586974259816, 365.3152928843193],
             [59.66581615650449, 306.7952189908446], [370.54411333384525, 547.498405860317]],
        ),
        (  # gtsam 4.3.0, Cal3Fisheye
            KB,
            [[671.8121490496966, 447.7818000374854], [857.6998911192538, 681.3456092301382],
             [296.2405750157821, 603.5226123707652], [704.7528920783454, 921.9529101409562]],
        ),
    ],
    ids=["omnidir .8", "omnidir 1.35", "eucm", "fov", "aria", "colmap's thin prism", "gtsam"],
)  # fmt: skip
def test_pixels_are_those_of_other_libraries(lens, expected):
    pixels, valid = lens.project(ASKED)
    assert valid.all()
    np.testing.assert_allclose(pixels, expected, atol=1e-6)


@pytest.mark.parametrize("lens", [PINHOLE, RATIONAL, PRISM, TILTED, SKEWED_PINHOLE], ids=repr)
def test_pinholes_are_opencvs(lens):
    rays = direction_grid(30).reshape(-1, 3)
    matrix = np.array([[lens.fx, 0, lens.cx], [0, lens.fy, lens.cy], [0, 0, 1]])
    expected = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), matrix, np.array(lens.distortion))[0][:, 0]
    expected[:, 0] += lens.skew * (expected[:, 1] - lens.cy) / lens.fy
    np.testing.assert_allclose(lens.project(rays)[0], expected, atol=1e-9)


def test_a_fisheyes_skew_is_opencvs_alpha():
    rays = direction_grid(60).reshape(-1, 1, 3)
    matrix = np.array([[SKEWED_KB.fx, 0, SKEWED_KB.cx], [0, SKEWED_KB.fy, SKEWED_KB.cy], [0, 0, 1]])
    alpha = SKEWED_KB.skew / SKEWED_KB.fx
    expected, _ = cv2.fisheye.projectPoints(rays, np.zeros(3), np.zeros(3), matrix, np.array(SKEWED_KB.k), alpha=alpha)
    np.testing.assert_allclose(SKEWED_KB.project(rays)[0], expected, atol=1e-6)
    assert not SKEWED_KB.is_symmetric and not SKEWED_PINHOLE.is_symmetric


@pytest.mark.parametrize(
    ("lens", "reach"),
    [(lens, reach) for _, lens, reach in LENSES if hasattr(lens, "max_theta")],
    ids=[n for n, _, _ in LENSES],
)
def test_pixels_come_back_to_a_millionth(lens, reach):
    """The pinhole is the exception: OpenCV's own way back stops at a hundredth, ocam's pair of polynomials too."""
    pixels, _ = lens.project(direction_grid(reach))
    again, _ = lens.project(lens.unproject(pixels)[0])
    tolerance = 1e-6 if lens in (*NEW, KB, SKEWED_KB) else 0.02
    np.testing.assert_allclose(again, pixels, atol=tolerance)


@of_new_lenses
def test_the_picture_grows_smoothly_and_never_folds(lens):
    """The numeric Jacobian over the sphere is never singular within the domain, and grows with the angle."""
    theta = np.linspace(0.02, lens.max_theta - 0.02, 60)[:, None]
    phi = np.linspace(0, 2 * np.pi, 40, endpoint=False)[None]

    def pixels(theta, phi):
        return lens.project(
            np.stack(np.broadcast_arrays(np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)), -1)
        )[0]

    step = 1e-6
    along = (pixels(theta + step, phi) - pixels(theta - step, phi)) / (2 * step)
    around = (pixels(theta, phi + step) - pixels(theta, phi - step)) / (2 * step) / np.sin(theta)[..., None]
    area = along[..., 0] * around[..., 1] - along[..., 1] * around[..., 0]
    assert (area > 0).all()


def test_domains_end_where_the_radius_stops_growing():
    """Closed forms of the domains' ends against a dense search along the meridian."""
    theta = np.linspace(1e-4, np.pi - 1e-4, 400_000)
    lenses = [
        *(DoubleSphereLens(300, 300, 0, 0, xi, alpha) for xi in (-0.6, -0.2, 0, 0.4) for alpha in (0.2, 0.5, 0.6, 0.9)),
        *(EucmLens(300, 300, 0, 0, alpha, beta) for alpha in (0.0, 0.3, 0.5, 0.7, 1.0) for beta in (0.5, 1.0, 2.0)),
        *(MeiLens(300, 300, 0, 0, xi) for xi in (0.0, 0.5, 1.0, 1.7, 3.0)),
    ]  # fmt: skip
    for lens in lenses:
        with np.errstate(all="ignore"):
            r = lens.radius(theta)
            ends = np.flatnonzero((np.diff(r) <= 0) | (r[1:] <= 0) | ~np.isfinite(r[1:]))
        end = theta[ends[0]] if ends.size else np.pi
        assert abs(end - getattr(lens, "grown_end", lens.max_theta)) < 2e-3 and lens.max_theta < end + 1e-4, lens
        if isinstance(lens, DoubleSphereLens):  # the paper's own end, wherever it lies before
            w1 = lens.alpha / (1 - lens.alpha) if lens.alpha <= 0.5 else (1 - lens.alpha) / lens.alpha
            w2 = (w1 + lens.xi) / np.sqrt(2 * w1 * lens.xi + lens.xi**2 + 1)
            assert lens.max_theta == pytest.approx(min(np.arccos(-w2), end), abs=2e-3)


def test_a_fov_lens_sees_what_lies_in_front():
    assert FOV.project([[1, 0, 1e-6], [1, 0, 0], [1, 0, -1e-6]])[1].tolist() == [True, False, False]
    edge = FOV.fx * np.pi / 2 / FOV.w
    assert FOV.unproject([[FOV.cx + edge - 1e-3, FOV.cy], [FOV.cx + edge + 1e-3, FOV.cy]])[1].tolist() == [True, False]


def test_a_bend_ends_before_it_folds():
    bend = Bend((-0.3, 0.0), (0.0, 0.0))
    assert bend.edge(5.0) == pytest.approx(np.sqrt(1 / 0.9), abs=1e-9)  # 1 + 3 k1 s = 0
    assert Bend().edge(5.0) == 5.0 and Bend((0.1, 0.0)).edge(5.0) == 5.0
    tangential = Bend((0.0, 0.0), (0.0, 0.1))
    assert tangential.edge(50.0) == pytest.approx(1 / 0.6, rel=0.01)  # 1 + 6 p2 x = 0 at x < 0
    far, found = bend.straight(np.array([[0.9, 0.0], [0.69, 0.0], [1e9, 3.0]]), bend.edge(5.0))
    assert found.tolist() == [False, True, False] and bend.bent(far[1])[0] == pytest.approx(0.69, abs=1e-12)


def test_a_pinhole_with_tangential_terms_folds_to_no_side():
    """It was looked for along +x alone, where these terms push the fold outwards."""
    lens = PinholeLens(400.0, 400.0, 320.0, 240.0, (-0.3, 0.0, 0.0, 0.02))
    assert lens.max_radius == pytest.approx(0.99, abs=0.005)
    for phi in np.linspace(0, 2 * np.pi, 33):
        towards = np.array([np.cos(phi), np.sin(phi)])
        rays = np.append(np.linspace(0.01, lens.max_radius - 1e-6, 500)[:, None] * towards, np.ones((500, 1)), 1)
        pixels, valid = lens.project(rays)
        assert valid.all() and (np.diff(pixels @ towards) > -1e-3).all()


def test_slopes_are_the_derivatives():
    bend = Bend((-0.12, 0.05), (0.004, -0.003), (0.01, -0.002, 0.005, 0.003))
    points = np.random.default_rng(0).uniform(-1, 1, (200, 2))
    step = 1e-6
    for axis, slopes in ((0, bend.slopes(points)[0::2]), (1, bend.slopes(points)[1::2])):
        move = np.eye(2)[axis] * step
        numeric = (bend.bent(points + move) - bend.bent(points - move)) / (2 * step)
        np.testing.assert_allclose(np.stack(slopes, -1), numeric, atol=1e-8)


def test_models_meet_where_they_are_the_same():
    rays = direction_grid(60)
    pinhole = PinholeLens(300.0, 302.0, 639.0, 511.0)
    for same in (
        DoubleSphereLens(300.0, 302.0, 639.0, 511.0, 0.0, 0.0),
        EucmLens(300.0, 302.0, 639.0, 511.0, 0.0, 1.3),
        MeiLens(300.0, 302.0, 639.0, 511.0, 0.0),
        FovLens(300.0, 302.0, 639.0, 511.0, 1e-3),
    ):
        np.testing.assert_allclose(same.project(rays)[0], pinhole.project(rays)[0], atol=2e-3)
    equidistant = ThinPrismFisheyeLens(300.0, 302.0, 639.0, 511.0, (0.02, -0.006, 0.001, -0.0004, 0, 0))
    kannala_brandt = KannalaBrandtLens(300.0, 302.0, 639.0, 511.0, (0.02, -0.006, 0.001, -0.0004))
    np.testing.assert_allclose(equidistant.project(rays)[0], kannala_brandt.project(rays)[0], atol=1e-9)
    assert equidistant.is_symmetric and not replace(equidistant, prism=(0, 0, 1e-3, 0)).is_symmetric
    assert not AFFINE.is_symmetric and not MEI.is_symmetric and MEI_PURE.is_symmetric
