"""The published datasets, EgoPW and SceneEgo, as their authors laid them out."""

from __future__ import annotations

import io
import json
import pickle
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from egostream.calibration.file import Calibration, canonical_calibration
from egostream.calibration.lens import project_or_outside
from egostream.calibration.ocam import OcamLens
from egostream.capture.clips import natural_key
from egostream.errors import EgostreamError
from egostream.skeleton import JOINT_COUNT
from tools.data.sequence import Sequence


class PlainUnpickler(pickle.Unpickler):
    """Numbers, strings, containers and NumPy arrays; anything else is refused by name."""

    ALLOWED = {
        ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode"),
        *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
        ("numpy.core.numeric", "_frombuffer"), ("numpy._core.numeric", "_frombuffer"),
        *(("builtins", name) for name in ("list", "dict", "tuple", "set", "bytearray", "complex")),
    }  # fmt: skip

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it holds {module}.{name}")
        return super().find_class(module, name)


def load_pickle(path: Path) -> Any:
    """A pickle of plain data. Old files were written by Python 2, whose strings need latin1."""
    try:
        data = path.read_bytes()
        return PlainUnpickler(io.BytesIO(data), encoding="latin1").load()
    except FileNotFoundError:
        raise EgostreamError(f"no annotation {path}. Is {path.parent} a sequence of this dataset?") from None
    except Exception as error:  # a damaged pickle raises almost anything
        raise EgostreamError(f"annotation {path} cannot be read: {error}. Download it again") from None


def first_existing(folder: Path, *names: str) -> Path:
    """The first of these files that is in the folder; the first of all when none is."""
    return next((folder / name for name in names if (folder / name).exists()), folder / names[0])


def sequence_folders(list_file: Path) -> list[Path]:
    """The folders that a list file names, one per line, blanks skipped; relative ones lie beside it."""
    try:
        lines = Path(list_file).read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise EgostreamError(f"list of sequences {list_file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise EgostreamError(
            f"list of sequences {list_file} is not text in UTF-8. Save it so, one folder per line"
        ) from None
    folders = [Path(list_file).parent / line.strip() for line in lines if line.strip()]
    missing = [folder for folder in folders if not folder.is_dir()]
    if missing:
        raise EgostreamError(f"{list_file} names {len(missing)} missing folders, the first {missing[0]}")
    if not folders:
        raise EgostreamError(f"{list_file} names no sequence")
    return folders


class Builder:
    """Collects the frames of one sequence, and why others were left out."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.kept: list[tuple[int, Path, np.ndarray, np.ndarray]] = []
        self.left_out: Counter = Counter()

    def add(self, number: int, image: Path | None, joints, keypoints) -> None:
        """Keep a frame, or count why not. ``keypoints`` may be a function of the checked joints."""
        if is_missing(joints) or is_missing(keypoints):
            self.left_out["without a pose" if is_missing(joints) else "without keypoints"] += 1
            return
        joints = self.points(joints, 3, "joints")
        keypoints = keypoints(joints) if callable(keypoints) else self.points(keypoints, 2, "keypoints")
        if not np.isfinite(joints).all() or not np.isfinite(keypoints).all():
            self.left_out["with NaN"] += 1
        elif image is None or not image.is_file():
            self.left_out["without an image"] += 1
        else:
            self.kept.append((number, image, joints, keypoints))

    def points(self, values: Any, size: int, what: str) -> np.ndarray:
        """An annotation as float32 [15, size]. Raises EgostreamError for one of another shape."""
        array: np.ndarray
        try:
            array = np.asarray(values, np.float32)
        except (TypeError, ValueError):
            array = np.zeros(0)
        if array.shape != (JOINT_COUNT, size):
            raise EgostreamError(
                f"{self.folder}: {what} of shape {array.shape}, expected ({JOINT_COUNT}, {size}): another skeleton?"
            )
        return array

    def finish(self, camera: Calibration) -> Sequence:
        """The sequence, even of no frame: its summary says why."""
        if not self.kept and not self.left_out:
            raise EgostreamError(f"{self.folder} has no usable frame: no annotations")
        self.kept.sort(key=lambda frame: frame[0])
        stacked = lambda points, size: np.array(points, np.float32).reshape(-1, JOINT_COUNT, size)
        return Sequence(
            name=self.folder.name,
            images=[frame[1] for frame in self.kept],
            frames=np.array([frame[0] for frame in self.kept], int),
            joints=stacked([frame[2] for frame in self.kept], 3),
            keypoints=stacked([frame[3] for frame in self.kept], 2),
            camera=camera,
            left_out=self.left_out,
        )


def is_missing(value) -> bool:
    """An annotation that is not there: None, or one NaN for all of it."""
    return value is None or isinstance(value, (float, np.floating)) and np.isnan(value)


def read_egopw(folder: Path) -> Sequence:
    """One EgoPW sequence: ``imgs/img_%06d.jpg`` and ``pseudo_gt.pkl``. Keypoints are the stored ones."""
    path = first_existing(folder, "pseudo_gt.pkl", "pseudo.pkl")
    builder = Builder(folder)
    for record in records(path):
        name = Path(str(field_of(record, path, "image_name"))).name
        image = folder / "imgs" / name
        number = next((part for part in reversed(natural_key(image)) if isinstance(part, int)), 0)
        keypoints = record.get("joints_2d")
        if is_missing(keypoints):
            keypoints = record.get("joints_2D") if "joints_2d" in record else field_of(record, path, "joints_2D")
        builder.add(number, image, field_of(record, path, "optimized_local_pose"), keypoints)
    return builder.finish(egopw_camera())


def egopw_camera() -> Calibration:
    """EgoPW's camera: the canonical lens about another centre, as in the calibration file of its authors' code."""
    canonical = canonical_calibration()
    assert isinstance(canonical.lens, OcamLens)
    return replace(canonical, name="egopw", lens=replace(canonical.lens, cx=659.709, cy=530.056))


def read_sceneego(folder: Path, correct_drift: bool = False) -> Sequence:
    """One SceneEgo sequence: ``imgs/``, ``syn.json`` and ``local_pose_gt.pkl``. Keypoints by projection.

    Image index = ext_id - ext + ego. correct_drift: as a later project of the same authors does, leave out
    ext_id < ext and add one frame per thousand.
    """
    path = first_existing(folder, "local_pose_gt.pkl", "annotation.pkl")
    start = read_sync(folder / "syn.json")
    camera = canonical_calibration()
    images = {natural_key(p)[1]: p for p in (folder / "imgs").glob("img_*.jpg") if len(natural_key(p)) > 1}
    builder = Builder(folder)
    for record in records(path):
        try:
            delta = int(field_of(record, path, "ext_id")) - start["ext"]
        except (TypeError, ValueError):
            builder.left_out["without a frame number"] += 1
            continue
        if correct_drift and delta < 0:
            builder.left_out["before the start"] += 1
            continue
        number = delta + start["ego"] + (drift(delta) if correct_drift else 0)
        builder.add(
            number,
            images.get(number),
            field_of(record, path, "ego_pose_gt"),
            lambda joints: project_or_outside(camera.lens, joints).astype(np.float32),
        )
    return builder.finish(camera)


def drift(delta: int) -> int:
    """Frames that the head camera gains on the external ones: one per thousand, rounded."""
    return delta // 1000 + (delta % 1000 > 500)


def read_sync(path: Path) -> dict[str, int]:
    """SceneEgo's frame numbers of one moment, {"ego": head camera, "ext": external cameras}."""
    try:
        data = json.loads(path.read_text())
        return {"ego": int(data["ego"]), "ext": int(data["ext"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EgostreamError(f"{path} must hold the integers ego and ext: {error!r}") from None


def records(path: Path) -> list[dict]:
    """The annotations of a pickle, one dict a frame."""
    data = load_pickle(path)
    if not isinstance(data, list) or not all(isinstance(record, dict) for record in data):
        raise EgostreamError(f"annotation {path} is not a list of records. Download it again")
    return data


def field_of(record: dict, path: Path, name: str) -> Any:
    """One field of an annotation. Raises EgostreamError where it is missing."""
    if name not in record:
        raise EgostreamError(f"annotation {path}: a record lacks {name} (it has {', '.join(sorted(map(str, record)))})")
    return record[name]
