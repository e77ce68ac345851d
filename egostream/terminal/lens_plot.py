"""The figure of ``egostream lens --plot``: where directions lie in a camera's picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from egostream.calibration.file import Calibration
from egostream.calibration.reach import NETWORKS_VIEW, picture_grid, ring, seen_by_network
from egostream.calibration.view import INPUT_SIZE, CameraView
from egostream.terminal.plot import save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RINGS_DEG = range(10, 181, 10)
#: Colour-blind safe (Okabe and Ito), the areas lightened.
RING, INPUT, BLIND = "#0072B2", "#FFE3C2", "#BBBBBB"
GRID_STEPS = 400  # pixels looked at along each side for what has no direction
MARGIN = 0.03  # of the picture's longer side, around it
NAMED_AT = 315  # degrees around the axis: a ring is named up and to the right, where that lies in the picture


def plot_rays(path: Path, camera: Calibration, found: dict[str, Any]) -> None:
    """Draw rings of equal theta over the picture's area, and over the network's input. Raises EgostreamError."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams.update({"font.size": 9})
    width, height = camera.size
    figure, (left, right) = pyplot.subplots(
        1, 2, figsize=(11, 1.7 + min(6.2 * height / width, 9)), layout="constrained", width_ratios=(1.9, 1)
    )
    view = CameraView(NETWORKS_VIEW, camera)
    draw_picture(left, view)
    draw_input(right, view, found["network_view_covered"])
    fov = found["field_of_view_deg"]
    figure.suptitle(
        f"{found['name']} · {found['model']} · {width}x{height} · {fov['horizontal']:.0f}° across, "
        f"{fov['vertical']:.0f}° down, {fov['diagonal']:.0f}° from corner to corner",
        fontsize=10,
    )
    figure.legend(handles=keys(), loc="outside lower center", ncols=4, frameon=False)
    save_figure(figure, path)


def keys() -> list[Any]:
    """The legend's entries."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    return [
        Line2D([], [], color=RING, linewidth=1, label="angle from the axis, each 10°; 90° bold"),
        Line2D([], [], color="black", marker="+", linestyle="none", markersize=9, label="optical axis"),
        Patch(color=INPUT, label="what the network sees"),
        Patch(color=BLIND, label="no direction, or outside the picture"),
    ]


def draw_picture(axes: Axes, view: CameraView) -> None:
    """The camera's picture: what the network sees of it, what has no direction, and the rings."""
    from matplotlib.patches import Rectangle

    camera, (width, height) = view.camera, view.camera.size
    pixels = picture_grid(camera.size, GRID_STEPS)
    blind = ~camera.lens.unproject(pixels)[1]
    paint(axes, seen_by_network(view, pixels), blind, (-0.5, width - 0.5, height - 0.5, -0.5))
    for degrees in RINGS_DEG:
        places, valid = camera.lens.project(ring(np.radians(degrees)))
        draw_ring(axes, degrees, places, valid & view.in_picture(places))
    axes.plot(camera.lens.cx, camera.lens.cy, "+", color="black", markersize=10)
    axes.add_patch(Rectangle((-0.5, -0.5), width, height, fill=False, linewidth=1.2))
    margin = MARGIN * max(width, height)
    axes.set(xlim=(-margin, width + margin), ylim=(height + margin, -margin), aspect="equal")
    axes.set(xlabel="u, pixels", ylabel="v, pixels", title="the camera's picture")


def draw_input(axes: Axes, view: CameraView, covered: float) -> None:
    """The network's input: which part of it the camera fills."""
    pixels, valid = view.camera_from_input()
    filled = valid & view.in_picture(pixels)
    paint(axes, filled, ~filled, (-0.5, INPUT_SIZE - 0.5, INPUT_SIZE - 0.5, -0.5))
    for degrees in RINGS_DEG:
        places, valid = view.canonical.lens.project(ring(np.radians(degrees)))
        places = (places + 0.5 - view.mapping.offset) * (INPUT_SIZE / view.mapping.extent) - 0.5
        draw_ring(axes, degrees, places, valid & ((places > -0.5) & (places < INPUT_SIZE - 0.5)).all(-1))
    axes.set(aspect="equal", xlabel="pixels", title=f"the network's input: {covered:.0%} covered")


def paint(axes: Axes, seen: np.ndarray, blind: np.ndarray, extent: tuple[float, float, float, float]) -> None:
    """Colour an area [h, w]: what the network sees, what is blind, and white for the rest."""
    from matplotlib.colors import ListedColormap

    kinds = np.where(blind, 2, np.where(seen, 1, 0))
    axes.imshow(kinds, cmap=ListedColormap(["white", INPUT, BLIND]), vmin=0, vmax=2, extent=extent)


def draw_ring(axes: Axes, degrees: int, places: np.ndarray, inside: np.ndarray) -> None:
    """Draw the part of a ring that lies inside, with its name."""
    if not inside.any():
        return
    shown = np.where(inside[:, None], places, np.nan)
    axes.plot(shown[:, 0], shown[:, 1], color=RING, linewidth=1.8 if degrees == 90 else 0.7)
    known = np.flatnonzero(inside)
    apart = np.abs((known - NAMED_AT + 180) % 360 - 180)
    if degrees % 20 == 10 and len(known) > 20:
        axes.annotate(
            f"{degrees}°", places[known[apart.argmin()]], fontsize=8, color=RING, ha="center", va="center",
            bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.85},
        )  # fmt: skip
