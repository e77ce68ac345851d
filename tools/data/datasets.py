"""Readers of datasets: the published EgoPW and SceneEgo as their authors laid them out, our synthetic one, the sample.

All give ``Sequence``s: frame files in order, joints in metres in the camera's frame, keypoints in pixels of the full
frame. What is left out is counted and said, never silently shortened. The published pickles come from strangers: only
numbers, strings, lists and NumPy arrays are unpickled.
"""

from __future__ import annotations

import io
import json
import pickle
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from egostream.calibration.file import Calibration, canonical_calibration, load_calibration, same_camera
from egostream.calibration.lens import OUTSIDE, project_or_outside
from egostream.capture.main import BadFrame, decode, decode_bytes
from egostream.capture.recording import Video, natural_key
from egostream.capture.rectify import INPUT_SIZE, InputMapping, Rectifier
from egostream.errors import EgostreamError
from egostream.files import asset
from egostream.graph.weights import InputGeometry
from egostream.skeleton import JOINT_COUNT
from egostream.truth import load_truth, truth_path
from egostream.types import CameraFrame

FPS = 25.0  # of both datasets' recordings; neither states it in its files


@dataclass(frozen=True)
class Sequence:
    """One recording. Frames are those with a usable annotation, in order of capture."""

    name: str
    images: list  # of paths, or of ``ClipFrame``s
    frames: np.ndarray  # int [F], number of each frame in the recording: gaps are frames left out
    joints: np.ndarray  # float32 [F, 15, 3] metres, camera axes
    keypoints: np.ndarray  # float32 [F, 15, 2] pixels of the camera's full frame
    fps: float = FPS
    visible: np.ndarray | None = None  # bool [F, 15]: in the picture and not hidden; None: unknown
    camera: Calibration | None = None  # whose full frames the images are; None: they are the canonical camera's network input
    geometry: InputGeometry = InputGeometry("canonical", "crop")
    left_out: Counter = field(default_factory=Counter)  # why -> how many
    stature_m: float = 0.0  # the wearer's; 0: unknown

    def __len__(self) -> int:
        return len(self.images)

    def summary(self) -> str:
        reasons = ", ".join(f"{count} {why}" for why, count in sorted(self.left_out.items()))
        return f"{self.name}: {len(self)} frames" + (f", left out: {reasons}" if reasons else "")

    def windows(self, length: int, stride: int) -> Iterator[slice]:
        """Windows of consecutive kept frames. A sequence shorter than one window gives one, of all its frames."""
        if len(self) < length:
            yield slice(0, len(self))
            return
        for start in range(0, len(self) - length + 1, stride):
            yield slice(start, start + length)


class PlainUnpickler(pickle.Unpickler):
    """Numbers, strings, containers and NumPy arrays; anything else is refused by name."""

    ALLOWED = {
        ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode"),
        *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
        ("numpy.core.numeric", "_frombuffer"), ("numpy._core.numeric", "_frombuffer"),
        *(("builtins", name) for name in ("list", "dict", "tuple", "set", "bytearray", "complex")),
    }  # fmt: skip

    def find_class(self, module, name):
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it holds {module}.{name}")
        return super().find_class(module, name)


def load_pickle(path: Path):
    """A pickle of plain data. Old files were written by Python 2, whose strings need latin1."""
    try:
        data = path.read_bytes()
        return PlainUnpickler(io.BytesIO(data), encoding="latin1").load()
    except FileNotFoundError:
        raise EgostreamError(f"no annotation {path}. Is {path.parent} a sequence of this dataset?") from None
    except Exception as error:  # a damaged pickle raises almost anything
        raise EgostreamError(f"annotation {path} cannot be read: {error}. Download it again") from None


def first_existing(folder: Path, *names: str) -> Path:
    return next((folder / name for name in names if (folder / name).exists()), folder / names[0])


def sequence_folders(list_file: Path) -> list[Path]:
    """The folders that a list file names, one per line, blanks skipped; relative ones lie beside it."""
    try:
        lines = Path(list_file).read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise EgostreamError(f"list of sequences {list_file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise EgostreamError(f"list of sequences {list_file} is not text in UTF-8. Save it so, one folder per line") from None
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

    def points(self, values, size: int, what: str) -> np.ndarray:
        try:
            array = np.asarray(values, np.float32)
        except (TypeError, ValueError):
            array = np.zeros(0)
        if array.shape != (JOINT_COUNT, size):
            raise EgostreamError(f"{self.folder}: {what} of shape {array.shape}, expected ({JOINT_COUNT}, {size}): another skeleton?")
        return array

    def finish(self, camera: Calibration) -> Sequence:
        """The sequence, even of no frame: its summary says why."""
        if not self.kept and not self.left_out:
            raise EgostreamError(f"{self.folder} has no usable frame: no annotations")
        self.kept.sort(key=lambda frame: frame[0])
        numbers, images, joints, keypoints = ([frame[i] for frame in self.kept] for i in range(4))
        joints, keypoints = (np.array(points, np.float32).reshape(-1, JOINT_COUNT, size) for points, size in ((joints, 3), (keypoints, 2)))
        return Sequence(self.folder.name, images, np.array(numbers, int), joints, keypoints, camera=camera, left_out=self.left_out)


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
    """EgoPW's camera: the canonical polynomials about another centre, as in the calibration file of its authors' code."""
    canonical = canonical_calibration()
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
    try:
        data = json.loads(path.read_text())
        return {"ego": int(data["ego"]), "ext": int(data["ext"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EgostreamError(f"{path} must hold the integers ego and ext: {error!r}") from None


def records(path: Path) -> list[dict]:
    data = load_pickle(path)
    if not isinstance(data, list) or not all(isinstance(record, dict) for record in data):
        raise EgostreamError(f"annotation {path} is not a list of records. Download it again")
    return data


def field_of(record: dict, path: Path, name: str):
    if name not in record:
        raise EgostreamError(f"annotation {path}: a record lacks {name} (it has {', '.join(sorted(map(str, record)))})")
    return record[name]


def read_synthetic(root: Path, split: str) -> list[Sequence]:
    """One split of a folder made by tools/make_synthetic.py. Recordings that cannot be read are an error, by name."""
    path = root / "manifest.json"
    try:
        manifest = json.loads(path.read_text())
        if manifest["format"] != "egostream-synthetic":
            raise EgostreamError(f"{path} is of format {manifest['format']!r}, expected egostream-synthetic")
        names, geometry = manifest["sequences"][split], InputGeometry("canonical", manifest["mapping"])
        full_frames = manifest["frame_size"] == "camera"
    except OSError as error:
        raise EgostreamError(f"{path} cannot be read: {error.strerror}. Make data: python tools/make_synthetic.py --out {root}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise EgostreamError(f"{path} is malformed: {error!r}. Run the make_synthetic command that made it again") from None
    if not any(manifest["sequences"].values()):
        raise EgostreamError(f"{root} is not finished: run the make_synthetic command that made it again")
    camera = load_calibration(root / "calibration.json") if full_frames else None
    return [read_recording(root / split / name, camera, geometry) for name in names]


def read_recording(folder: Path, camera: Calibration | None, geometry: InputGeometry) -> Sequence:
    """One synthetic recording. Frames with a non-finite label, or whose picture is missing, are left out and counted."""
    try:
        about = json.loads((folder / "sequence.json").read_text())
        fps, stature = float(about["fps"]), float(about.get("stature_m", 0))
        with np.load(folder / "labels.npz") as labels:
            joints, keypoints, visible = (np.asarray(labels[name]) for name in ("joints", "keypoints", "visible"))
    except (OSError, ValueError, KeyError, TypeError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise EgostreamError(f"{folder} cannot be read: {error!r}. Delete it and run the make_synthetic command again") from None
    if joints.shape[1:] != (JOINT_COUNT, 3) or keypoints.shape != (*joints.shape[:2], 2) or visible.shape != joints.shape[:2]:
        raise EgostreamError(f"{folder}: labels of shapes {joints.shape}, {keypoints.shape}, {visible.shape}: another skeleton?")
    images = [folder / f"{frame:06d}.jpg" for frame in range(len(joints))]
    lens = (camera or canonical_calibration(geometry.calibration)).lens
    finite = np.isfinite(joints).all((1, 2)) & np.isfinite(keypoints).all((1, 2))
    keypoints = np.where(lens.project(np.nan_to_num(joints))[1][..., None], keypoints, OUTSIDE)
    present = np.array([image.is_file() for image in images], bool)
    left_out = Counter({"with NaN": int((~finite).sum()), "without an image": int((finite & ~present).sum())})
    kept = np.flatnonzero(finite & present)
    return Sequence(
        f"{folder.parent.name}/{folder.name}", [images[f] for f in kept], kept, joints[kept].astype(np.float32), keypoints[kept].astype(np.float32),
        fps=fps, visible=visible[kept], camera=camera, geometry=geometry, left_out=+left_out, stature_m=stature,
    )  # fmt: skip


@dataclass(frozen=True)
class ClipFrame:
    """One frame of a Motion-JPEG clip, still encoded; stands for a picture file."""

    clip: Path
    number: int
    data: bytes

    def read_bytes(self) -> bytes:
        return self.data

    def __str__(self) -> str:
        return f"{self.clip} frame {self.number}"


def read_clip(clip: Path, camera: Calibration) -> Sequence:
    """A Motion-JPEG clip of a calibrated camera with its ground truth beside it (``egostream.truth``)."""
    truth = load_truth(truth_path(clip))
    video = Video(clip, 0)
    video.open()
    frames = []
    while (packet := video.read()) is not None:
        frames.append(ClipFrame(clip, len(frames), packet.tobytes()))
    video.close()
    if not video.is_raw or len(frames) != len(truth):
        raise EgostreamError(f"{clip} has {len(frames)} frames, its ground truth {len(truth)}. Make the clip again")
    return Sequence(
        clip.stem, frames, np.arange(len(frames)), truth.joints, truth.keypoints, fps=truth.fps, visible=truth.visible, camera=camera
    )


READERS = {"egopw": read_egopw, "sceneego": read_sceneego, "sceneego+drift": partial(read_sceneego, correct_drift=True)}


def read_list(kind: str, list_file: Path) -> list[Sequence]:
    """All sequences of a list file by one reader."""
    return [READERS[kind](folder) for folder in sequence_folders(list_file)]


def has_splits(spec: str) -> bool:
    """Whether such data is divided into train, val and test; a list file is one of them, and the sample is for testing."""
    return spec != "sample" and spec.partition(":")[0] not in READERS


def read_data(spec: str, split: str = "test") -> list[Sequence]:
    """Sequences by one short text: a folder of make_synthetic, "egopw:LIST.txt", "sceneego:LIST.txt" (or "sceneego+drift:",
    with the frames that its camera gained put right), or "sample".

    split: "train", "val" or "test"; a list file is a split of its own. Raises EgostreamError when nothing is there.
    """
    kind, _, list_file = str(spec).partition(":")
    if kind in READERS and list_file:
        return read_list(kind, Path(list_file))
    if spec == "sample":
        return [read_clip(asset("sample", "sample.avi"), canonical_calibration())]
    if not Path(spec).is_dir():
        known = ", ".join(f"{name}:LIST.txt" for name in READERS)
        raise EgostreamError(f"no data {spec}: neither a folder made by tools/make_synthetic.py nor one of sample, {known}")
    return read_synthetic(Path(spec), split)


class InputReader:
    """Frames and keypoints of any sequence as a network of one input geometry sees them."""

    def __init__(self, geometry: InputGeometry):
        self.geometry = geometry
        self.canonical = canonical_calibration(geometry.calibration)
        self.mapping = InputMapping(geometry.mapping, self.canonical.size)
        self.rectifiers: dict[str, Rectifier] = {}

    def rectifier(self, camera: Calibration) -> Rectifier:
        key = repr(camera)
        if key not in self.rectifiers:
            self.rectifiers[key] = Rectifier(self.geometry, camera)
        return self.rectifiers[key]

    def read(self, sequence: Sequence, index: int) -> np.ndarray:
        """Network input uint8 RGB [256, 256, 3]. Raises EgostreamError naming a file that is no picture or of another size."""
        path = sequence.images[index]
        try:
            data = np.frombuffer(path.read_bytes(), np.uint8)
            if sequence.camera is not None:
                rectifier = self.rectifier(sequence.camera)
                return rectifier.rectify(decode(CameraFrame(index, 0, 0, data), rectifier))
            image = decode_bytes(data, cv2.IMREAD_COLOR_RGB)
        except (OSError, BadFrame) as error:
            raise EgostreamError(f"picture {path} cannot be read: {error}. Make or download it again") from None
        if image.shape[:2] != (INPUT_SIZE, INPUT_SIZE):
            raise EgostreamError(f"picture {path} is {image.shape[1]}x{image.shape[0]}, expected the network's {INPUT_SIZE}x{INPUT_SIZE}")
        return image

    def keypoints(self, sequence: Sequence) -> np.ndarray:
        """Heatmap coordinates [F, 15, 2]: 0..64 inside the picture."""
        uv = sequence.keypoints
        if sequence.camera is not None and not same_camera(sequence.camera, self.canonical):
            rays, seen = sequence.camera.lens.unproject(uv)
            uv = np.where(seen[..., None], project_or_outside(self.canonical.lens, rays), OUTSIDE)
        return self.mapping.heatmap_from_canonical(uv)
