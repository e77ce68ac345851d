"""report.png: what a fit leaves over, how far the board went, how sure the lens is, and the view that it gives."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot

from egostream.calibration.file import Calibration
from egostream.calibration.view import CameraView, InputGeometry
from egostream.capture.rectify import Rectifier
from egostream.errors import EgostreamError
from tools.calibration.fit import LENS_NAMES
from tools.calibration.judge import WARNED_SIGMA, Judgement

LEFT_OUT, FITTED, RIM, WRITTEN = "#c0392b", "#2c6fad", "#e08e0b", "#2e8b57"
STYLE = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10}
ARROWS = 400  # drawn at most; more hide each other


def draw_report(made: Judgement, path: Path, picture: np.ndarray | None = None) -> None:
    """Write the report as PNG. picture: a grey image [H, W] that shows the board, rectified into the network's view."""
    with pyplot.rc_context(STYLE):
        figure = pyplot.figure(figsize=(15, 9), layout="constrained")
        grid = figure.add_gridspec(2, 3)
        draw_errors(figure.add_subplot(grid[0, 0]), made)
        draw_coverage(figure.add_subplot(grid[0, 1], projection="polar"), made)
        draw_view(figure.add_subplot(grid[0, 2]), made, picture)
        draw_sigma(figure.add_subplot(grid[1, 0]), made)
        draw_pictures(figure.add_subplot(grid[1, 1]), made)
        draw_numbers(figure.add_subplot(grid[1, 2]), made)
        verdict = "refused" if made.refusals else "written, with warnings" if made.warnings else "written"
        colour = LEFT_OUT if made.refusals else RIM if made.warnings else WRITTEN
        figure.suptitle(f"Calibration: {verdict}", fontsize=14, color=colour, weight="bold")
        try:
            figure.savefig(path, dpi=100)
        except ValueError as error:
            raise EgostreamError(f"--report {path}: {error}. Give a file that ends in .png") from None
        finally:
            pyplot.close(figure)


def draw_errors(axes: Any, made: Judgement) -> None:
    """Residuals over the picture: dots where corners were found, arrows to where the lens puts them, enlarged."""
    views = made.kept.views
    errors = made.kept.fit.errors(views)
    kept, out = made.kept.corners, views.has & ~made.kept.corners
    u, v = views.pixels[kept].T
    axes.scatter(u, v, s=3, color=FITTED, alpha=0.3, linewidths=0)
    if out.any():
        axes.scatter(*views.pixels[out].T, s=9, marker="x", color=LEFT_OUT, linewidths=0.8, label="left out")
        axes.legend(frameon=True, loc="lower right")
    chosen = np.linspace(0, kept.sum() - 1, min(ARROWS, kept.sum())).astype(int)
    magnify = 0.015 * made.size[0] / max(np.median(np.linalg.norm(errors[kept], axis=-1)), 1e-3) if kept.any() else 1
    arrows = errors[kept][chosen] * magnify
    axes.quiver(u[chosen], v[chosen], *arrows.T, angles="xy", scale_units="xy", scale=1, width=0.0016, color="black")
    if made.circle:
        axes.add_patch(pyplot.Circle(made.circle[:2], made.circle[2], fill=False, color=RIM, linewidth=1))
    axes.plot(*made.lens[2:4], "+", color=RIM, markersize=10)
    axes.set(xlim=(0, made.size[0]), ylim=(made.size[1], 0), aspect="equal", xlabel="u, pixels", ylabel="v, pixels")
    axes.set_title(f"Residuals, {magnify:.0f} times enlarged: {made.rms_px:.2f} px rms")


def draw_coverage(axes: Any, made: Judgement) -> None:
    """Where the board was, in degrees from the optical axis; the rim of the picture as a line."""
    fit, views = made.kept.inside()
    x, y, _ = np.moveaxis(fit.in_camera(views)[views.has], -1, 0)
    angles_deg = np.degrees(fit.angles(views)[views.has])
    axes.scatter(np.arctan2(y, x), angles_deg, s=3, color=FITTED, alpha=0.4, linewidths=0)
    axes.plot(*outline(made), color=RIM, linewidth=1.2)
    axes.set_theta_direction(-1)  # v grows downwards, as in the picture
    axes.set_xticks(np.radians([0, 90, 180, 270]), ["right", "bottom", "left", "top"])
    axes.set_rlim(0, 1.08 * np.degrees(max(made.rim, made.reach, 0.1)))
    axes.tick_params(labelsize=8)
    axes.set_title(
        f"Board to {np.degrees(made.reach):.0f} degrees from the axis, picture to {np.degrees(made.rim):.0f} (line)"
    )


def outline(made: Judgement) -> tuple[np.ndarray, np.ndarray]:
    """The edge of what the picture shows: directions around the axis in radians, and angles from it in degrees."""
    steps = np.linspace(0, 1, 100)
    width, height = made.size
    across, down = np.minimum(steps * width, width - 1), np.minimum(steps * height, height - 1)
    u = np.concatenate([across, np.full(100, width - 1), across[::-1], np.zeros(100)])
    v = np.concatenate([np.zeros(100), down, np.full(100, height - 1), down[::-1]])
    rays, valid = made.kept.fit.model.unproject(np.stack([u, v], -1))
    angles = np.where(valid, np.arctan2(np.hypot(rays[:, 0], rays[:, 1]), rays[:, 2]), np.inf)
    around = np.arctan2((v - made.lens[3]) / made.lens[1], (u - made.lens[2]) / made.lens[0])
    return np.unwrap(around), np.degrees(np.minimum(angles, max(made.rim, made.reach)))


def draw_view(axes: Any, made: Judgement, picture: np.ndarray | None) -> None:
    """The network's view of a picture, as egostream rectifies it: straight lines need not be straight in it."""
    axes.set_axis_off()
    axes.set_title("The network's view of a picture")
    if picture is None:
        axes.text(0.5, 0.5, "no picture", ha="center", va="center", transform=axes.transAxes)
        return
    try:
        camera = Calibration("report", made.size, made.kept.fit.model)
        rectifier = Rectifier(CameraView(InputGeometry("canonical", "crop"), camera))
    except EgostreamError as error:
        axes.text(0.5, 0.5, textwrap.fill(str(error), 40), ha="center", va="center", transform=axes.transAxes)
        return
    reduced = cv2.resize(picture, rectifier.reduced_size(), interpolation=cv2.INTER_AREA)
    axes.imshow(rectifier.rectify(cv2.cvtColor(reduced, cv2.COLOR_GRAY2BGR)))


def draw_sigma(axes: Any, made: Judgement) -> None:
    """How well a ray's pixel is known, over the angle from the axis."""
    angles = np.linspace(0.01, max(made.rim, made.reach, 0.1), 100)
    sigma = made.sigma(angles) if np.isfinite(made.held_out_px) else np.full(100, np.nan)
    axes.semilogy(np.degrees(angles), np.maximum(sigma, 1e-3), color=FITTED)
    axes.axvline(np.degrees(made.reach), color=WRITTEN, linestyle="--", label="the board went to here")
    axes.axvline(np.degrees(made.rim), color=RIM, label="rim of the picture")
    axes.axhline(WARNED_SIGMA * made.size[0] / 1000, color=LEFT_OUT, linestyle=":", label="warned of above")
    axes.set(xlabel="degrees from the axis", ylabel="pixels", title="Standard deviation of a ray's pixel")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="upper left")


def draw_pictures(axes: Any, made: Judgement) -> None:
    """Each picture's error; those that were left out in red, cut at the axis' end."""
    kept = made.kept
    top = max(4.5 * made.rms_px, 1.0)
    colours = [FITTED if is_kept else LEFT_OUT for is_kept in kept.pictures]
    places = np.arange(len(kept.views))
    axes.bar(places, np.minimum(kept.offs, top), color=colours)
    axes.axhline(made.rms_px, color="black", linewidth=0.8, label=f"fitted {made.rms_px:.2f}")
    if np.isfinite(made.held_out_px):
        axes.axhline(made.held_out_px, color=RIM, linestyle="--", label=f"held out {made.held_out_px:.2f}")
    axes.set_ylim(0, top)
    if len(places) <= 40:
        axes.set_xticks(places, [Path(name).stem[-12:] for name in kept.views.names], rotation=90, fontsize=7)
    axes.set(ylabel="pixels rms", title=f"Pictures: {kept.pictures.sum()} of {len(places)} agree with the lens")
    axes.legend(frameon=False, loc="upper right")


def draw_numbers(axes: Any, made: Judgement) -> None:
    """The lens's numbers with their deviations, and what was refused or warned of."""
    axes.set_axis_off()
    axes.set_title("Lens (Kannala-Brandt), with standard deviations")
    known = [f"± {far:.4f}" if np.isfinite(far) else "± unknown" for far in made.deviations]
    rows = [f"{name:>3} {value:11.4f} {far}" for name, value, far in zip(LENS_NAMES, made.lens, known)]
    axes.text(0.02, 0.97, "\n".join(rows), family="monospace", va="top", transform=axes.transAxes)
    said = [("Refused", one) for one in made.refusals] + [("Warning", one) for one in made.warnings]
    text = "\n".join(textwrap.fill(f"{kind}: {sentence}.", 62) for kind, sentence in said) or "No warning."
    colour = LEFT_OUT if made.refusals else RIM if made.warnings else WRITTEN
    axes.text(0.02, 0.5, text, va="top", color=colour, transform=axes.transAxes)
