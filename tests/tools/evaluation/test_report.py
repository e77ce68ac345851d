"""Reports, and the figure."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from evaluation_samples import (
    Reader,
    compared,
    predicted,
    recording,
)

from egostream.errors import EgostreamError
from tools.evaluation.compare import score
from tools.evaluation.figure import plot_joints
from tools.evaluation.predict import (
    BEYOND_LIMIT,
    UNREADABLE,
)
from tools.evaluation.report import evaluate


def test_report_counts_what_is_missing_and_names_what_is_unusable(thin_weights_of, streaming_of, reference_of, clip):
    sequence, reader = clip
    sequences = [
        replace(sequence, left_out=Counter({"without a pose": 4})),
        recording(1, "short"),
    ]
    reader = Reader(reader.images, broken=[0])
    report = evaluate(thin_weights_of("window"), streaming_of("window"), sequences, reader, limit=5)
    assert report["counts"] == {
        "sequences": 1,
        "unusable_sequences": 1,
        "frames": 4,
        "left_out": {BEYOND_LIMIT: 7, UNREADABLE: 2, "without a pose": 4},
    }
    assert report["unusable"][0]["name"] == "short" and "image 0 of short is broken" in report["unusable"][0]["reason"]
    assert (
        report["sequences"][0]["skipped"] == {BEYOND_LIMIT: 7, UNREADABLE: 1} and report["sequences"][0]["frames"] == 4
    )
    assert report["weights"]["id"] == thin_weights_of("window").id and report["run"]["precision"] == "fp32"
    with pytest.raises(
        EgostreamError, match="none of 1 recordings has a frame to evaluate; short: image 0 of short is broken"
    ):
        evaluate(thin_weights_of("window"), reference_of("window"), sequences[1:], reader)


def test_frames_made_for_another_input_are_refused(weights_of, clip):
    sequence, reader = clip
    made = replace(sequence, camera=None)  # of the crop
    with pytest.raises(EgostreamError, match="clip holds canonical crop frames, these weights see canonical squash"):
        evaluate(weights_of("released"), None, [made], reader)


def test_the_figure_is_drawn(tmp_path):
    sequence = recording()
    overall = score([compared(sequence, predicted(sequence, (0.03, 0, 0)))])
    about = {
        "weights": {"id": "0" * 64},
        "run": {"backend": "openvino", "precision": "fp32"},
        "counts": {"frames": 8, "sequences": 1},
    }
    plot_joints(tmp_path / "joints.png", {"overall": overall} | about)
    assert (tmp_path / "joints.png").stat().st_size > 5000
    with pytest.raises(EgostreamError, match="cannot write the figure"):
        plot_joints(tmp_path / "nowhere" / "joints.png", {"overall": overall} | about)
