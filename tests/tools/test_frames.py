"""Frames read for the tools."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from egostream.errors import EgostreamError
from tools.data.frames import read_frames


def test_frames_of_another_camera_are_refused_at_the_first(weights_of, tmp_path, capsys):
    for n in range(3):
        cv2.imwrite(str(tmp_path / f"{n}.jpg"), np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(EgostreamError, match="it is 64x48"):
        read_frames(tmp_path, weights_of("window"))
    assert not capsys.readouterr().err
