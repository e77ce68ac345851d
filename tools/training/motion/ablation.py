"""What motion from the body is worth, part by part: one trained network, given less of the past and of what is told.

The heatmaps run as a user has them, once. The rest runs in PyTorch, fp32, and its joints stand as the network gives
them: no rays, no filter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from rich.table import Table

from egostream.calibration.view import CameraView
from egostream.errors import EgostreamError
from egostream.graph.weights import BODY_FORM, Weights
from egostream.told import TOLD_PARTS
from tools.compare_reports import FIGURES, compare_reports
from tools.data.inputs import InputReader
from tools.data.sequence import Sequence
from tools.evaluation.compare import compare, score
from tools.evaluation.predict import Frames, Prediction
from tools.evaluation.report import figure_table, shown
from tools.evaluation.truth_told import HEADSET_PARTS, TellsTruth
from tools.network.build import load_network
from tools.network.network import BodyPoseNetwork
from tools.training.motion.noise import rays_of
from tools.training.motion.seen import Seen

STATURE = "stature"


@dataclass(frozen=True)
class Variant:
    """One row: how many frames a pose may depend on, its own included (None: the window's), and what is told."""

    past: int | None = None
    told: tuple[str, ...] = ()


#: The first is what the others are compared with.
VARIANTS = {
    "all of the past, nothing told": Variant(),
    "this frame alone": Variant(past=1),
    "4 frames": Variant(past=4),
    "8 frames": Variant(past=8),
    "16 frames": Variant(past=16),
    "gravity": Variant(told=("gravity",)),
    "gravity and the camera's motion": Variant(told=("gravity", "motion")),
    "the headset's pose: gravity, motion, height": Variant(told=HEADSET_PARTS),
    "stature": Variant(told=(STATURE,)),
    "the headset's pose and stature": Variant(told=(*HEADSET_PARTS, STATURE)),
    "the same, this frame alone": Variant(past=1, told=(*HEADSET_PARTS, STATURE)),
}
#: How a recording's movement was made, by ``Sequence.is_captured``.
KINDS = {True: "captured", False: "invented"}


def check(weights: Weights, recordings: list[Sequence]) -> None:
    """Raise EgostreamError for weights or recordings that cannot show it."""
    if weights.form != BODY_FORM:
        raise EgostreamError(
            f"weights {weights.folder} have a backbone. Name weights without one, or try: evaluate.py --ablation"
        )
    rate = 1000 / weights.step_ms
    render = f"Render some: python tools/make_synthetic.py --fps {rate:g} --frames 64"
    for one in recordings:
        if abs(one.fps / rate - 1) > 0.02 or (np.diff(one.frames) != 1).any() or len(one) < 3:
            raise EgostreamError(
                f"{one.name}: three frames or more have to follow one another at the trained step, {rate:g} a second. "
                + render
            )
        if one.world_to_camera is None or not one.stature_m:
            raise EgostreamError(f"{one.name} does not say where its camera was, or how tall its wearer is. {render}")


def ablate_motion(weights: Weights, recordings: list[Sequence], seen: list[Seen]) -> dict[str, dict[str, dict]]:
    """variant -> recording's name -> its figures (``compare.score``), of recordings as the heatmaps see them.

    Raises EgostreamError when a picture of one could not be read.
    """
    network, reader, mapping = load_network(weights), InputReader(weights.input), CameraView(weights.input).mapping
    found: dict[str, dict[str, dict]] = {label: {} for label in VARIANTS}
    for one, keypoints in zip(recordings, seen):
        if len(keypoints.joints) < len(one):
            raise EgostreamError(f"{one.name}: {len(one) - len(keypoints.joints)} pictures cannot be read. Delete it")
        for label, variant in VARIANTS.items():
            joints = joints_of(network, keypoints, told_of(one, variant.told, weights.step_ns), variant.past)
            prediction = Prediction(list(range(len(one))), joints, keypoints.keypoints)
            compared = compare(one, reader.keypoints(one), prediction, one.fps, mapping)
            found[label][one.name] = score([compared]) | {"is_captured": one.is_captured}
    return found


def joints_of(network: BodyPoseNetwork, seen: Seen, told: np.ndarray, past: int | None) -> np.ndarray:
    """Joints [F, 15, 3] of a recording's frames; with ``past``, each from so many newest frames and no others."""
    frames = len(seen.confidence)
    newest = np.arange(frames)
    # [1, F]: the whole recording, whose poses see their window; or [F, past]: a sequence for each frame
    slots = newest[None] if past is None else newest[:, None] + np.arange(1 - past, 1)
    chosen = lambda array: torch.from_numpy(np.asarray(array, np.float32)[slots.clip(0)])
    rays = chosen(rays_of(seen.keypoints))
    with torch.inference_mode():
        motion = network.temporal(rays, chosen(seen.confidence), chosen(told), torch.from_numpy(slots >= 0))
        joints, _ = network.decoder(motion, rays)
    return joints[0].numpy() if past is None else joints[:, -1].numpy()


def told_of(recording: Sequence, parts: tuple[str, ...], step_ns: int) -> np.ndarray:
    """Some parts of what can be told of each frame [F, TOLD], as they truly were."""
    teller = TellsTruth(frozenset(parts) & frozenset(HEADSET_PARTS))
    frames = Frames(recording, InputReader(recording.geometry), recording.fps)
    teller.begin(frames)
    rows = np.stack([teller.tells(int(t_ns), step_ns).vector() for t_ns in frames.times_ns])
    if STATURE in parts:
        rows[:, TOLD_PARTS[STATURE]] = recording.stature_m
        rows[:, TOLD_PARTS["flags"].stop - 1] = 1
    return rows


def summary(found: dict[str, dict[str, dict]]) -> list[dict]:
    """A row for each variant: figures over all frames, and what it differs by from the first, with 95% intervals."""
    first = next(iter(found))
    rows = []
    for label, by_name in found.items():
        differences = compare_reports(found[first], by_name)
        mpjpe, pa, acceleration = (differences[name] for name in FIGURES)
        kinds = {
            name: frames_mean([one for one in by_name.values() if one["is_captured"] is kind])
            for kind, name in KINDS.items()
        }
        rows.append(
            {"variant": label, "mpjpe_mm": mpjpe[1], "pa_mpjpe_mm": pa[1], "acceleration_error_m_s2": acceleration[1]}
            | {"difference_mm": mpjpe[2:], "difference_pa_mm": pa[2:], "by_movement_mm": kinds}
        )
    return rows


def frames_mean(scores: list[dict]) -> float | None:
    """MPJPE over the frames of some recordings; None without one."""
    frames = [one["frames"] for one in scores]
    return float(np.average([one["mpjpe_mm"] for one in scores], weights=frames)) if scores else None


def as_table(rows: list[dict], title: str) -> Table:
    """The rows as people read them."""
    headings = "MPJPE", "difference, 95%", "PA", "difference, 95%", "accel", *KINDS.values()
    table = figure_table("mm; m/s²", *headings, title=title)
    for row in rows:
        table.add_row(
            row["variant"],
            f"{row['mpjpe_mm']:.1f}",
            with_interval(*row["difference_mm"]),
            f"{row['pa_mpjpe_mm']:.1f}",
            with_interval(*row["difference_pa_mm"]),
            f"{row['acceleration_error_m_s2']:.1f}",
            *(shown(row["by_movement_mm"][kind]) for kind in KINDS.values()),
        )
    return table


def with_interval(difference: float, low: float, high: float) -> str:
    """A difference as a cell of a table; empty for a row beside itself."""
    return "" if low == high == 0 else f"{difference:+.1f} ({low:+.1f} to {high:+.1f})"
