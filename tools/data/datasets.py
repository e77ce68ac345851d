"""Readers of datasets: the published EgoPW and SceneEgo as their authors laid them out, our synthetic one, the sample.

All give ``Sequence``s: frame files in order, joints in metres in the camera's frame, keypoints in pixels of the full
frame. What is left out is counted and said, never silently shortened. The published pickles come from strangers: only
numbers, strings, lists and NumPy arrays are unpickled.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from egostream.calibration.file import canonical_calibration
from egostream.errors import EgostreamError
from egostream.files import asset
from tools.data.clip import read_clip
from tools.data.published import read_egopw, read_sceneego, sequence_folders
from tools.data.rendered import read_synthetic
from tools.data.sequence import Sequence

READERS: dict[str, Callable[[Path], Sequence]] = {
    "egopw": read_egopw,
    "sceneego": read_sceneego,
    "sceneego+drift": partial(read_sceneego, correct_drift=True),
}


def read_list(kind: str, list_file: Path) -> list[Sequence]:
    """The sequences of a list file, by the reader of that name."""
    return [READERS[kind](folder) for folder in sequence_folders(list_file)]


def has_splits(spec: str) -> bool:
    """Whether such data has the splits train, val and test. A list file is one split; the sample is for testing."""
    return spec != "sample" and spec.partition(":")[0] not in READERS


def read_data(spec: str, split: str = "test") -> list[Sequence]:
    """The sequences of a data set, by one short text.

    spec: a folder made by tools/make_synthetic.py, "egopw:LIST.txt", "sceneego:LIST.txt", or "sample". With
    "sceneego+drift:LIST.txt" the frames that SceneEgo's head camera gained on its clock are put right.
    split: "train", "val" or "test"; a list file is a split of its own. Raises EgostreamError when nothing is there.
    """
    kind, _, list_file = str(spec).partition(":")
    if kind in READERS and list_file:
        return read_list(kind, Path(list_file))
    if spec == "sample":
        return [read_clip(asset("sample", "sample.avi"), canonical_calibration())]
    if not Path(spec).is_dir():
        known = ", ".join(f"{name}:LIST.txt" for name in READERS)
        raise EgostreamError(
            f"no data {spec}: neither a folder made by tools/make_synthetic.py nor one of sample, {known}"
        )
    return read_synthetic(Path(spec), split)
