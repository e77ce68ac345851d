"""tools/calibrate.py on pictures of a board rendered through a known lens."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
from conftest import ROOT

from egostream.calibration.file import load_calibration
from egostream.calibration.kannala_brandt import KannalaBrandtLens
from egostream.errors import EgostreamError
from tools import calibrate
from tools.calibration import capture

SIZE = (960, 768)
LENS = KannalaBrandtLens(270.0, 271.0, 484.0, 380.0, (0.02, -0.008, 0.001, -0.0002))
SQUARE = 0.025


def pixel_rays():
    """Rays of a grid twice as fine as the picture's pixels."""
    u, v = np.meshgrid(np.arange(SIZE[0] * 2), np.arange(SIZE[1] * 2))
    return LENS.unproject(np.stack([u, v], -1) / 2 - 0.25)


def picture(rays, valid, rotation, translation):
    """The board of 10x7 squares seen by the lens, ray by ray."""
    R = cv2.Rodrigues(np.array(rotation, float))[0]
    origin = -R.T @ np.array(translation, float)
    d = rays @ R
    with np.errstate(divide="ignore", invalid="ignore"):
        t = -origin[2] / d[..., 2]
        x, y = origin[0] + t * d[..., 0], origin[1] + t * d[..., 1]
    on_paper = (t > 0) & valid & (x > -2.2 * SQUARE) & (x < 10.2 * SQUARE) & (y > -2.2 * SQUARE) & (y < 7.2 * SQUARE)
    on_board = (x > -SQUARE) & (x < 9 * SQUARE) & (y > -SQUARE) & (y < 6 * SQUARE)
    dark = on_board & ((np.floor(np.nan_to_num(x) / SQUARE) + np.floor(np.nan_to_num(y) / SQUARE)) % 2 == 0)
    image = np.where(on_paper, np.where(dark, 25, 230), 110).astype(np.uint8)
    return cv2.GaussianBlur(cv2.resize(image, SIZE, interpolation=cv2.INTER_AREA), (0, 0), 0.6)


def run_calibrate(*arguments):
    return subprocess.run(
        [sys.executable, "tools/calibrate.py", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("board")
    rng = np.random.default_rng(3)
    rays, valid = pixel_rays()
    for n in range(26):
        rotation = rng.uniform(-0.5, 0.5, 3)
        aim = np.array([rng.uniform(-0.3, 0.3), rng.uniform(-0.25, 0.25), rng.uniform(0.12, 0.22)])
        centre = cv2.Rodrigues(rotation)[0] @ np.array([4 * SQUARE, 2.5 * SQUARE, 0])
        cv2.imwrite(str(folder / f"{n}.png"), picture(rays, valid, rotation, aim - centre))
    (folder / "broken.png").write_bytes(b"not a picture")
    return folder


def test_a_known_lens_is_recovered(pictures, tmp_path):
    done = run_calibrate(pictures, "--corners", "9x6", "--square", "25", "-o", tmp_path / "lens.json")
    assert done.returncode == 0, done.stderr
    assert "broken.png: cannot be read" in done.stderr
    found = load_calibration(tmp_path / "lens.json")
    assert found.size == SIZE
    assert (
        "held-out pictures" in done.stdout and "±" in done.stdout and (tmp_path / "report.png").stat().st_size > 50_000
    )
    theta, phi = np.meshgrid(np.radians([5, 20, 40, 60]), np.linspace(0, 2 * np.pi, 8))
    rays = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)
    assert np.abs(found.lens.project(rays)[0] - LENS.project(rays)[0]).max() < 1.5


def test_wrong_corner_count_says_what_to_check(pictures, tmp_path):
    done = run_calibrate(pictures, "--corners", "11x8", "-o", tmp_path / "lens.json")
    assert done.returncode == 1 and "Check --corners 11x8" in done.stderr and not (tmp_path / "lens.json").exists()
    missing = run_calibrate(tmp_path / "nowhere")
    assert missing.returncode == 1 and "--capture 0" in missing.stderr and "Traceback" not in missing.stderr


@pytest.fixture
def camera(monkeypatch):
    """A camera of 32x24 whose clock is ours: a picture every fifth of a second."""

    class Camera:
        now = 0.0

        def __init__(self, _):
            self.isOpened, self.set, self.release = lambda: True, lambda *_: None, lambda: None

        def read(self):
            Camera.now += 0.2
            return True, np.full((24, 32, 3), int(Camera.now) % 256, np.uint8)

    monkeypatch.setattr(capture.cv2, "VideoCapture", Camera)
    monkeypatch.setattr(capture.time, "monotonic", lambda: Camera.now)


def test_a_second_session_adds_its_pictures(camera, tmp_path):
    for count in (3, 2):
        calibrate.capture_pictures("0", (32, 24), tmp_path, count)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"board_0{n}.png" for n in range(1, 6)]
    # The first, taken three seconds after the start, is still there.
    assert cv2.imread(str(tmp_path / "board_01.png"))[0, 0, 0] == 3


def test_pictures_of_another_size_or_that_cannot_be_written_are_not_taken(camera, tmp_path):
    with pytest.raises(EgostreamError, match="gives 32x24, not --size 1280x1024"):
        calibrate.capture_pictures("0", (1280, 1024), tmp_path, 2)
    (tmp_path / "board_01.png").mkdir()
    with pytest.raises(OSError):
        capture.save_picture(tmp_path / "board_01.png", np.zeros((4, 4, 3), np.uint8))


def test_a_calibration_that_no_run_reads_is_not_left_behind(tmp_path):
    target = tmp_path / "lens.json"
    target.write_text("earlier")
    with pytest.raises(EgostreamError):
        calibrate.write_calibration(target, {"schema": 1, "model": "kannala_brandt"})
    assert target.read_text() == "earlier" and list(tmp_path.iterdir()) == [target]
    done = run_calibrate(tmp_path, "-o", tmp_path / "no" / "lens.json")
    assert done.returncode == 1 and "no folder" in done.stderr
