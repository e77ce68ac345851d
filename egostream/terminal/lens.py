"""What ``egostream lens`` says of a calibration file, and its conversion to our own layout."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from egostream.calibration.file import Calibration, as_json, load_calibration
from egostream.calibration.reach import NETWORKS_VIEW, blind_part, coverage, picture_grid, reach_warnings, ring
from egostream.calibration.view import CameraView
from egostream.errors import EgostreamError
from egostream.terminal.lens_plot import plot_rays
from egostream.terminal.plot import check_plot

#: A converted file must show every direction at the same pixel as the file that it came from.
SAME_PX = 1e-9


def show_lens(file: str, output: Path | None, plot: Path | None, as_numbers: bool) -> None:
    """Print what a calibration file holds, draw and convert it as wanted. Raises EgostreamError."""
    camera = load_calibration(file)
    if plot:
        check_plot(plot)
    if output:
        convert(camera, output)
    found = describe(camera)
    if plot:
        plot_rays(plot, camera, found)
    console = Console(highlight=False, soft_wrap=True, markup=False)
    if as_numbers:
        console.print(json.dumps(found, indent=2))
        return
    for line in lines_of(found):
        console.print(line)
    if output:
        console.print(f"wrote {output}. Next: egostream run --camera 0 --calibration {output}")


def describe(camera: Calibration) -> dict[str, Any]:
    """What a calibration says, in numbers: angles in degrees, lengths in pixels, parts from 0 to 1."""
    lens, view = camera.lens, CameraView(NETWORKS_VIEW, camera)
    fields = lens.fields()
    return {
        "name": camera.name,
        "format": camera.layout,
        "model": fields["model"],
        "size": list(camera.size),
        "lens": {key: value for key, value in fields.items() if key != "model"},
        "field_of_view_deg": field_of_view(camera),
        "max_theta_deg": float(np.degrees(lens.max_theta)),
        "circle_theta_deg": circle_theta(camera),
        "network_view_covered": coverage(view),
        "picture_without_direction": blind_part(camera),
        "round_trip_px": round_trip(camera),
        "warnings": reach_warnings(camera),
    }


def lines_of(found: dict[str, Any]) -> list[str]:
    """What ``describe`` found, for people."""
    width, height = found["size"]
    view = found["field_of_view_deg"]
    blind = found["picture_without_direction"]
    lines = [
        f"{found['name']}: {found['model']}, {width}x{height} pixels ({found['format']})",
        f"  field of view     {view['horizontal']:.1f}° across, {view['vertical']:.1f}° down, "
        f"{view['diagonal']:.1f}° from corner to corner",
        f"  whole circle      {found['circle_theta_deg']:.1f}° from the axis all around; "
        f"the lens is described up to {found['max_theta_deg']:.1f}°",
        f"  network's view    {found['network_view_covered']:.0%} covered",
        f"  round trip        {found['round_trip_px']:.2g} px at most, from pixel to ray to pixel",
    ]
    if blind:
        lines.append(f"  no direction      {blind:.1%} of the pixels, outside the lens")
    return lines + [f"  WARNING           {line}" for line in found["warnings"]]


def field_of_view(camera: Calibration) -> dict[str, float]:
    """Angles in degrees that the picture spans, from side to side through the optical axis, and between corners.

    Where a side lies beyond the lens, its angle ends with the lens.
    """
    (width, height), (cx, cy) = camera.size, (camera.lens.cx, camera.lens.cy)
    left, right, top, bottom = -0.5, width - 0.5, -0.5, height - 0.5
    reach = {
        "horizontal": [theta_towards(camera, (x, cy)) for x in (left, right)],
        "vertical": [theta_towards(camera, (cx, y)) for y in (top, bottom)],
    }
    falling = [theta_towards(camera, corner) for corner in ((left, top), (right, bottom))]
    rising = [theta_towards(camera, corner) for corner in ((left, bottom), (right, top))]
    reach["diagonal"] = max(falling, rising, key=sum)
    return {name: float(np.degrees(sum(angles))) for name, angles in reach.items()}


def theta_towards(camera: Calibration, edge: tuple[float, float]) -> float:
    """Largest angle from the optical axis, radians, on the way from the centre to a point of the picture's edge."""
    centre = np.array([camera.lens.cx, camera.lens.cy])
    pixels = centre + np.linspace(0, 1, 2000)[:, None] * (np.array(edge) - centre)
    rays, valid = camera.lens.unproject(pixels)
    theta = np.arctan2(np.hypot(rays[:, 0], rays[:, 1]), rays[:, 2])
    return float(theta[valid].max(initial=0.0))


def circle_theta(camera: Calibration) -> float:
    """Largest angle from the optical axis, degrees, whose whole ring of directions lies in the picture."""
    low, high = 0.0, camera.lens.max_theta
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if ring_in_picture(camera, middle) else (low, middle)
    return float(np.degrees(low))


def ring_in_picture(camera: Calibration, theta: float) -> bool:
    """Whether every direction at ``theta`` radians from the optical axis lies in the picture."""
    pixels, valid = camera.lens.project(ring(theta))
    return bool((valid & CameraView(NETWORKS_VIEW, camera).in_picture(pixels)).all())


def round_trip(camera: Calibration) -> float:
    """How far pixels of the picture come back from where they were, through their rays, at most. Pixels."""
    pixels = picture_grid(camera.size)
    rays, valid = camera.lens.unproject(pixels)
    back, seen = camera.lens.project(rays)
    return float(np.linalg.norm(back - pixels, axis=-1)[valid & seen].max(initial=0.0))


def convert(camera: Calibration, output: Path) -> None:
    """Write a calibration in our own layout, whole or not at all. Raises EgostreamError when that cannot be."""
    staging = output.with_name(f".{os.getpid()}.{output.name}")
    try:
        staging.write_text(as_json(camera), encoding="utf-8")
        again = load_calibration(staging)
        pixels, seen = (
            one.lens.project(camera.lens.unproject(picture_grid(camera.size))[0]) for one in (camera, again)
        )
        if np.abs(pixels[0] - seen[0])[pixels[1]].max(initial=0) > SAME_PX or again.size != camera.size:
            raise EgostreamError(f"{output}: it does not read back as the same lens. Please report this file")
        staging.replace(output)
    except (OSError, ValueError) as error:
        raise EgostreamError(f"cannot write {output}: {error}. Choose another -o") from None
    finally:
        staging.unlink(missing_ok=True)
