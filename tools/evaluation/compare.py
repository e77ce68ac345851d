"""Poses against the truth: arrays of errors per recording, and the figures of any number of recordings pooled.

Pooling is by frame: a recording counts by its length. Accelerations and jerks are taken over stretches without a
missing frame only, at the recording's own usual step.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from egostream.calibration.view import HEATMAP_SIZE, InputMapping
from egostream.errors import EgostreamError
from egostream.skeleton import JOINTS
from tools.data.sequence import Sequence
from tools.evaluation.metrics import PCK_SHARES, acceleration_errors, align, jerks, joint_errors, mean, pck
from tools.evaluation.predict import Prediction


@dataclass(frozen=True)
class Comparison:
    """One recording's errors, N poses."""

    name: str
    errors: np.ndarray  # [N, 15] mm
    aligned: np.ndarray  # [N, 15] mm, after Procrustes alignment of each pose
    visible: np.ndarray  # bool [N, 15]; all False where the data does not say
    hidden: np.ndarray  # bool [N, 15], occluded or out of view; all False where the data does not say
    keypoints: np.ndarray  # [N, 15, 2] in widths of what the network sees
    true_keypoints: np.ndarray
    judged: np.ndarray  # bool [N, 15], keypoints that count for PCK: visible, or in view where visibility is unknown
    acceleration: np.ndarray  # [A, 15] m/s^2, error
    jerk: np.ndarray  # [B, 15] m/s^3, of the estimate
    true_jerk: np.ndarray  # [B, 15] m/s^3
    left_out: Counter  # by the reader, why -> how many
    skipped: Counter  # by us


def compare(
    sequence: Sequence, true_heatmap_xy: np.ndarray, prediction: Prediction, fps: float, mapping: InputMapping
) -> Comparison:
    """Errors of a prediction of a recording of F frames.

    true_heatmap_xy [F, 15, 2]: the sequence's keypoints in heatmap coordinates. fps: the rate that its frame numbers
    count at. mapping: where the network's input lies in the picture. Raises EgostreamError when a pose is not finite.
    """
    rows, estimated = prediction.rows, prediction.joints
    if bad := int((~np.isfinite(estimated).all((1, 2))).sum()):
        raise EgostreamError(
            f"{sequence.name}: {bad} of {len(rows)} poses are not finite numbers. "
            "Try --precision fp32, or other weights"
        )
    truth, frames = sequence.joints[rows], np.asarray(sequence.frames)[rows]
    heatmap_xy = np.asarray(true_heatmap_xy, float)[rows]
    in_view: np.ndarray = np.all((heatmap_xy >= 0) & (heatmap_xy < HEATMAP_SIZE), -1)
    visible = None if sequence.visible is None else np.asarray(sequence.visible, bool)[rows]
    unknown = np.zeros_like(in_view)
    width = mapping.extent[0]
    step, stretches = consecutive(frames)
    rate = fps / step
    return Comparison(
        name=sequence.name,
        errors=joint_errors(estimated, truth),
        aligned=joint_errors(align(estimated, truth), truth),
        visible=unknown if visible is None else visible,
        hidden=unknown if visible is None else ~visible,
        keypoints=(prediction.keypoints - mapping.offset) / width,
        true_keypoints=(mapping.canonical_from_heatmap(heatmap_xy) - mapping.offset) / width,
        judged=in_view if visible is None else in_view & visible,
        acceleration=np.concatenate([acceleration_errors(estimated[s], truth[s], rate) for s in stretches]),
        jerk=np.concatenate([jerks(estimated[s], rate) for s in stretches]),
        true_jerk=np.concatenate([jerks(truth[s], rate) for s in stretches]),
        left_out=sequence.left_out,
        skipped=prediction.skipped,
    )


def consecutive(frames: np.ndarray) -> tuple[int, list[slice]]:
    """The usual step between frame numbers, and the stretches in which every frame follows the last by just that."""
    steps = np.diff(frames)
    step = int(np.bincount(steps[steps > 0]).argmax()) if (steps > 0).any() else 1
    breaks = np.flatnonzero(steps != step) + 1
    edges = [0, *breaks.tolist(), len(frames)]
    return step, [slice(a, b) for a, b in zip(edges, edges[1:])]


def score(parts: list[Comparison]) -> dict:
    """The figures of some recordings, their frames pooled. NaN where the data does not allow one."""
    pooled = lambda name: np.concatenate([getattr(part, name) for part in parts])
    errors, aligned, judged = pooled("errors"), pooled("aligned"), pooled("judged")
    keypoints, true_keypoints = pooled("keypoints"), pooled("true_keypoints")

    def chosen(mask: np.ndarray) -> dict:
        return {"joints": int(mask.sum()), "mpjpe_mm": mean(errors[mask]), "pa_mpjpe_mm": mean(aligned[mask])}

    return {
        "frames": len(errors),
        "mpjpe_mm": mean(errors),
        "pa_mpjpe_mm": mean(aligned),
        "per_joint": {
            name: {"mpjpe_mm": mean(errors[:, j]), "pa_mpjpe_mm": mean(aligned[:, j])} for j, name in enumerate(JOINTS)
        },
        "visible": chosen(pooled("visible")),
        "hidden": chosen(pooled("hidden")),
        "acceleration_error_m_s2": mean(pooled("acceleration")),
        "jitter_m_s3": mean(pooled("jerk")),
        "true_jitter_m_s3": mean(pooled("true_jerk")),
        "keypoints": int(judged.sum()),
        "pck": {f"{share:.2f}": pck(keypoints, true_keypoints, share, judged) for share in PCK_SHARES},
        "per_joint_pck": {
            name: {
                f"{share:.2f}": pck(keypoints[:, j], true_keypoints[:, j], share, judged[:, j]) for share in PCK_SHARES
            }
            for j, name in enumerate(JOINTS)
        },
    }
