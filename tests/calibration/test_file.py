"""Calibration files: every layout that is read, and what is wrong with those that are not."""

from __future__ import annotations

import json

import numpy as np
import pytest
from lenses import directions

from egostream.calibration.file import canonical_calibration, load_calibration
from egostream.errors import EgostreamError


def dataset_file(tmp_path, **changes):
    lens = canonical_calibration().lens
    data = {
        "name": "egosyn", "size": [1280, 1024], "intrinsic": [[500, 0, lens.cx, 0], [0, 500, lens.cy, 0], [0, 0, 1, 0]],
        "imageCircleRadius": 512, "polynomialC2W": list(lens.a), "polynomialW2C": list(lens.w), "affine": [1, 0, 0],
    } | changes  # fmt: skip
    path = tmp_path / "camera.json"
    path.write_text(json.dumps(data))
    return path


def test_dataset_layouts_read_as_the_same_lens(tmp_path):
    canonical = canonical_calibration().lens
    assert load_calibration(dataset_file(tmp_path)).lens == canonical
    with_center = dataset_file(tmp_path, image_center=[3.5 + 600, 500.0])
    assert (load_calibration(with_center).lens.cx, load_calibration(with_center).lens.cy) == (603.5, 500.0)
    flipped = tmp_path / "event.json"  # EventEgo3D: z forward and t = atan(+Z/n)
    odd = [(-1) ** i * w for i, w in enumerate(canonical.w)]
    flipped.write_text(
        json.dumps(
            {
                "pol": [-a for a in canonical.a],
                "invpol": odd,
                "width": 1280,
                "height": 1024,
                "xc": canonical.cx,
                "yc": canonical.cy,
            }
        )
    )
    points = directions(90)
    np.testing.assert_allclose(
        load_calibration(flipped).lens.project(points)[0], canonical.project(points)[0], atol=1e-9
    )


def test_polynomials_of_two_lenses_are_refused(tmp_path):
    path = dataset_file(tmp_path, polynomialC2W=[-241.024, 0, 0.001746, -0.000004, 6.47811e-09])
    with pytest.raises(EgostreamError, match=r"disagree by \d\.\d degrees"):
        load_calibration(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not readable JSON"),
        ("[1]", "not a JSON object"),
        ("{}", "lacks the field model"),
        ("[" * 100_000, "not readable JSON"),
        (
            '{"model": "ocam", "size": [640, 480], "center": [320, 240], '
            '"polynomial_w2c": [], "polynomial_c2w": [1, 2]}',
            "describes no lens",
        ),
        ('{"model": "equirect", "size": [640, 480]}', "'equirect' is unknown"),
        ('{"model": "pinhole", "size": [640, 480], "focal": [1, 2]}', "lacks the field center"),
        ('{"model": "pinhole", "size": [640, 480], "focal": [-1, 2], "center": [320, 240]}', "focal must be positive"),
        ('{"model": "pinhole", "size": [640], "focal": [1, 2], "center": [320, 240]}', "expected 2 numbers"),
        ('{"model": "pinhole", "size": [640, 480], "focal": [1, NaN], "center": [320, 240]}', "not finite"),
        (
            '{"model": "pinhole", "size": [640, 480], "focal": [300, 300], "center": [3200, 240]}',
            "lies outside the 640x480 image",
        ),
        (
            '{"model": "kannala_brandt", "size": [640, 480], "focal": [200, 200], "center": [320, 240], '
            '"k": [-3, 0, 0, 0]}',
            "stops growing",
        ),
        (
            '{"model": "kannala_brandt", "size": [640, 480], "focal": [200, 200], "center": [320, 240], "k": [1]}',
            "expected 4 numbers",
        ),
        (
            '{"model": "kannala_brandt", "size": [640, 480], "focal": [200, 200], "center": "x", "k": [0, 0, 0, 0]}',
            "malformed",
        ),
    ],
)
def test_malformed_calibrations_name_the_problem(tmp_path, text, message):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(EgostreamError, match=message) as caught:
        load_calibration(path)
    assert "bad.json" in str(caught.value) and "\n" not in str(caught.value)
