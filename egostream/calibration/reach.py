"""How much a camera sees: of the network's view, and of its own picture."""

from __future__ import annotations

import numpy as np

from egostream.calibration.camera import Calibration
from egostream.calibration.view import CameraView, InputGeometry
from egostream.errors import EgostreamError

#: Part of the network's view below which poses are not worth their name: a camera of 16 % sees no limb whole.
#: Chosen by hand; not measured.
LITTLE_COVERAGE = 1 / 3
#: Part of the network's view below which a run says so. The datasets' cameras cover 79 to 100 %, a T265 86 %.
GOOD_COVERAGE = 2 / 3
#: A lens that ends before this angle and inside its picture is a broken fit: fisheyes end at 90 degrees and beyond.
#: Chosen by hand; not measured.
SHORT_REACH = np.radians(85)
#: Where weights look that we make and ship: their canonical camera, and its centred square.
NETWORKS_VIEW = InputGeometry("canonical", "crop")
PICTURE_STEPS = 96  # pixels looked at along each side of the picture


def coverage(view: CameraView) -> float:
    """Part of the network's view that the camera covers, from 0 to 1."""
    pixels, valid = view.camera_from_input()
    return float((view.in_picture(pixels) & valid).mean())


def blind_part(camera: Calibration) -> float:
    """Part of the camera's own picture whose pixels have no direction, from 0 to 1."""
    return 1 - float(camera.lens.unproject(picture_grid(camera.size))[1].mean())


def picture_grid(size: tuple[int, int], steps: int = PICTURE_STEPS) -> np.ndarray:
    """Pixels [steps, steps, 2] spread over a picture of ``size`` (width, height), from corner to corner."""
    x, y = np.meshgrid(np.linspace(0, size[0] - 1, steps), np.linspace(0, size[1] - 1, steps))
    return np.stack([x, y], -1)


def reach_warnings(camera: Calibration) -> list[str]:
    """What its file says against a calibration, and what its lens does: a line each."""
    lines = list(camera.warnings)
    blind = blind_part(camera)
    if camera.lens.max_theta < SHORT_REACH and blind > 0:
        lines.append(
            f"its radius stops growing {np.degrees(camera.lens.max_theta):.0f} degrees from the axis, "
            "inside the picture: "
            f"{blind:.0%} of the pixels have no direction"
        )
    return lines


def check_reach(view: CameraView, is_forced: bool) -> list[str]:
    """What is to be said of a camera before a run. Raises EgostreamError for one that sees too little.

    is_forced: take one that covers less than a third of the network's view, too. Below ``view.LEAST_COVERAGE`` the
    calibration is another lens's, and nothing helps.
    """
    view.check_coverage()
    lines, part = reach_warnings(view.camera), coverage(view)
    if part < LITTLE_COVERAGE and not is_forced:
        raise EgostreamError(
            f"camera {view.camera.name} covers only {part:.0%} of the network's view{because(lines)}. "
            "Calibrate again (calib/README.md), take a wider lens, or run it all the same: --force"
        )
    if part < GOOD_COVERAGE:
        lines.append(f"it covers only {part:.0%} of the network's view: limbs outside come out of the network's habit")
    return lines


def because(lines: list[str]) -> str:
    """Warnings as the rest of a sentence."""
    return f" ({'; '.join(lines)})" if lines else ""


def ring(theta: float) -> np.ndarray:
    """Directions [360, 3] at ``theta`` radians from the optical axis, all around."""
    phi = np.linspace(0, 2 * np.pi, 360)
    return np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.full_like(phi, np.cos(theta))], -1)


def seen_by_network(view: CameraView, pixels: np.ndarray) -> np.ndarray:
    """Which pixels [..., 2] of the camera's picture the network's input shows [...]."""
    rays, valid = view.camera.lens.unproject(pixels)
    canonical, seen = view.canonical.lens.project(rays)
    place = (canonical + 0.5 - view.mapping.offset) / view.mapping.extent
    return valid & seen & ((place >= 0) & (place < 1)).all(-1)
