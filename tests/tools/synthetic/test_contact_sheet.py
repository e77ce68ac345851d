"""tools/contact_sheet.py: the frames of rendered data, with and without their labels."""

from __future__ import annotations

import cv2
import pytest

from egostream.errors import EgostreamError
from tools import contact_sheet


def test_a_contact_sheet_shows_the_frames_and_their_labels(made, tmp_path, capsys):
    plain, labelled = tmp_path / "plain.png", tmp_path / "labelled.png"
    common = ["--data", str(made), "--split", "train", "--count", "3", "--columns", "2", "--tile", "128"]
    contact_sheet.main([*common, "-o", str(plain)])
    contact_sheet.main([*common, "--truth", "-o", str(labelled)])
    shown, drawn = cv2.imread(str(plain)), cv2.imread(str(labelled))
    assert shown.shape == drawn.shape == (256, 256, 3) and not shown[128:, 128:].any()  # two rows, the last place empty
    assert (shown != drawn).any() and (shown[128:, 128:] == drawn[128:, 128:]).all()
    (frame,) = contact_sheet.pictures(
        made / "train" / "000000" / "000000.jpg", None
    )  # cut square, as the canonical camera's
    assert frame.shape == (256, 256, 3) and frame.std() > 2
    for flags, message in (([], "nothing to show"), (["--data", str(made), "--count", "0"], "--count is 0")):
        with pytest.raises(EgostreamError, match=message):
            contact_sheet.main([*flags, "-o", str(plain)])
    with pytest.raises(EgostreamError, match="cannot write"):
        contact_sheet.main([*common, "-o", str(tmp_path / "sheet.nothing")])
