"""Dataset readers on generated look-alikes of the published layouts."""

from __future__ import annotations

import json
import pickle

import cv2
import numpy as np
import pytest

from egostream.calibration.file import canonical_calibration
from egostream.errors import EgostreamError
from tools.data.datasets import has_splits, read_data, read_list
from tools.data.published import drift, read_egopw, read_sceneego
from tools.training.frames import FrameSet

RNG = np.random.default_rng(0)


def pose():
    return RNG.normal(size=(15, 3)) * 0.2 + [0, 0.4, 0.7]


def images(folder, numbers):
    (folder / "imgs").mkdir(parents=True)
    for n in numbers:
        cv2.imwrite(str(folder / "imgs" / f"img_{n:06d}.jpg"), np.zeros((8, 10, 3), np.uint8))
    return folder


def egopw(folder, poses, missing=(), key="joints_2d", file="pseudo_gt.pkl", as_type=np.asarray):
    images(folder, [n for n in range(len(poses)) if n not in missing])
    data = [
        {
            "image_name": f"img_{n:06d}.jpg",
            "optimized_local_pose": as_type(p),
            key: as_type(np.full((15, 2), n, float)),
            "image_path": "/elsewhere",
        }
        for n, p in enumerate(poses)
    ]
    RNG.shuffle(data)
    (folder / file).write_bytes(pickle.dumps(data))
    return folder


@pytest.mark.parametrize(
    "as_type", [np.asarray, np.float32, lambda x: np.asarray(x).tolist()], ids=["float64", "float32", "list"]
)
@pytest.mark.parametrize(("key", "file"), [("joints_2d", "pseudo_gt.pkl"), ("joints_2D", "pseudo.pkl")])
def test_egopw(tmp_path, as_type, key, file):
    poses = [pose() for _ in range(12)]
    poses[4][3] = np.nan
    sequence = read_egopw(egopw(tmp_path / "seq", poses, missing=(7,), key=key, file=file, as_type=as_type))
    assert sequence.frames.tolist() == [0, 1, 2, 3, 5, 6, 8, 9, 10, 11]
    np.testing.assert_allclose(sequence.joints, np.stack(poses)[sequence.frames], rtol=1e-6)
    assert (sequence.keypoints[:, 0, 0] == sequence.frames).all()
    assert sequence.joints.dtype == sequence.keypoints.dtype == np.float32
    assert sequence.left_out == {"with NaN": 1, "without an image": 1}
    assert sequence.summary() == "seq: 10 frames, left out: 1 with NaN, 1 without an image"
    assert [p.name for p in sequence.images][:2] == ["img_000000.jpg", "img_000001.jpg"]


def sceneego(folder, poses, ego=100, ext=40, numbers=None, first=40):
    images(folder, range(ego, ego + len(poses)) if numbers is None else numbers)
    (folder / "syn.json").write_text(json.dumps({"ego": ego, "ext": ext}))
    data = [
        {
            "ext_id": first + n,
            "ego_pose_gt": p,
            "ext_pose_gt": np.zeros((15, 3)),
            "calib_board_pose": None,
            "ego_camera_matrix": np.eye(4),
        }
        for n, p in enumerate(poses)
    ]
    (folder / "local_pose_gt.pkl").write_bytes(pickle.dumps(data, protocol=2))
    return folder


def test_sceneego(tmp_path):
    poses = [pose() for _ in range(8)]
    poses[2], poses[5] = None, np.full((15, 3), np.nan)
    sequence = read_sceneego(sceneego(tmp_path / "seq", poses, numbers=[n for n in range(100, 108) if n != 101]))
    assert sequence.frames.tolist() == [100, 103, 104, 106, 107]
    assert sequence.left_out == {"without a pose": 1, "with NaN": 1, "without an image": 1}
    expected, _ = canonical_calibration().lens.project(np.asarray(poses[3]))
    np.testing.assert_allclose(sequence.keypoints[1], expected, atol=0.5)


def test_sceneego_drift_is_an_option(tmp_path):
    folder = sceneego(tmp_path / "seq", [pose() for _ in range(4)], ego=100, ext=40, first=38, numbers=range(90, 110))
    assert read_sceneego(folder).frames.tolist() == [98, 99, 100, 101]
    corrected = read_sceneego(folder, correct_drift=True)
    assert corrected.frames.tolist() == [100, 101] and corrected.left_out == {"before the start": 2}
    assert [drift(d) for d in (0, 500, 501, 1000, 1500, 1501, 2600)] == [0, 0, 1, 1, 1, 2, 3]


def test_windows():
    class Some:
        def __len__(self):
            return 70

    from tools.data.sequence import Sequence

    assert list(Sequence.windows(Some(), 64, 32)) == [slice(0, 64)]
    assert list(Sequence.windows(Some(), 32, 8)) == [slice(s, s + 32) for s in (0, 8, 16, 24, 32)]
    assert list(Sequence.windows(Some(), 128, 32)) == [slice(0, 70)]


def test_list_files(tmp_path):
    for name in ("a", "b"):
        egopw(tmp_path / name, [pose() for _ in range(3)])
    listing = tmp_path / "train_egopw.txt"
    listing.write_text("a\n\n  b  \n")
    assert [s.name for s in read_list("egopw", listing)] == ["a", "b"]
    listing.write_text("a\nc\n")
    with pytest.raises(EgostreamError, match="missing folders, the first .*c"):
        read_list("egopw", listing)
    listing.write_text("\n")
    with pytest.raises(EgostreamError, match="names no sequence"):
        read_list("egopw", listing)


class Payload:
    def __reduce__(self):
        return (print, ("EXECUTED",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps([Payload()]), "it holds builtins.print"),
        (b"\x80\x04garbage", "cannot be read"),
        (b"", "cannot be read"),
        (pickle.dumps({"a": 1}), "not a list of records"),
        (pickle.dumps([{"image_name": "img_000000.jpg"}]), "lacks joints_2D"),
        (
            pickle.dumps(
                [{"image_name": "x", "joints_2d": np.zeros((15, 2)), "optimized_local_pose": np.zeros((17, 3))}]
            ),
            r"joints of shape \(17, 3\)",
        ),
        (pickle.dumps([]), "no usable frame"),
    ],
)
def test_bad_annotations_are_named_and_never_run(tmp_path, capsys, content, message):
    folder = images(tmp_path / "seq", range(2))
    (folder / "pseudo_gt.pkl").write_bytes(content)
    with pytest.raises(EgostreamError, match=message) as caught:
        read_egopw(folder)
    assert "seq" in str(caught.value) and "EXECUTED" not in capsys.readouterr().out


def test_python_two_pickles_are_read(tmp_path):
    """Protocol 0 with byte strings, as Python 2 wrote them."""
    folder = images(tmp_path / "seq", range(1))
    record = {
        "image_name": "img_000000.jpg",
        "optimized_local_pose": pose().tolist(),
        "joints_2d": np.zeros((15, 2)).tolist(),
    }
    data = pickle.dumps([record], protocol=0).replace(b"Vimg_000000.jpg", b"S'img_000000.jpg'")
    (folder / "pseudo_gt.pkl").write_bytes(data)
    assert len(read_egopw(folder)) == 1


def test_missing_files_are_named(tmp_path):
    folder = images(tmp_path / "seq", range(1))
    with pytest.raises(EgostreamError, match="no annotation .*pseudo_gt.pkl"):
        read_egopw(folder)
    (folder / "local_pose_gt.pkl").write_bytes(pickle.dumps([]))
    with pytest.raises(EgostreamError, match="syn.json must hold"):
        read_sceneego(folder)


def test_one_bad_record_costs_one_frame(tmp_path):
    good = {"image_name": "img_000000.jpg", "joints_2d": np.zeros((15, 2)), "optimized_local_pose": pose()}
    spoiled = [
        good | {"joints_2d": None}, good | {"joints_2d": float("nan")}, good | {"optimized_local_pose": None},
        good | {"optimized_local_pose": np.float64("nan")}, good | {"joints_2d": None, "joints_2D": np.ones((15, 2))},
    ]  # fmt: skip
    folder = images(tmp_path / "seq", range(1))
    (folder / "pseudo_gt.pkl").write_bytes(pickle.dumps([good, *spoiled]))
    sequence = read_egopw(folder)
    assert len(sequence) == 2 and sequence.left_out == {"without keypoints": 2, "without a pose": 2}
    assert sorted(sequence.keypoints[:, 0, 0]) == [0, 1]
    folder = sceneego(tmp_path / "scene", [pose() for _ in range(3)])
    records = pickle.loads((folder / "local_pose_gt.pkl").read_bytes())
    records[1]["ext_id"] = None
    (folder / "local_pose_gt.pkl").write_bytes(pickle.dumps(records))
    assert read_sceneego(folder).left_out == {"without a frame number": 1}


def test_a_sequence_without_a_usable_frame_is_said_and_the_others_go_on(tmp_path):
    egopw(tmp_path / "a", [pose() for _ in range(3)])
    egopw(tmp_path / "b", [pose() for _ in range(2)], missing=(0, 1))
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbfb\r\na\r\n")  # as Windows' editors save it
    empty, whole = read_data(f"egopw:{tmp_path / 'list.txt'}")
    assert empty.summary() == "b: 0 frames, left out: 2 without an image" and len(whole) == 3
    assert FrameSet([empty, whole], "both").summary().startswith("2 sequences, 3 frames")
    (tmp_path / "list.txt").write_bytes("ä\n".encode("latin1"))
    with pytest.raises(EgostreamError, match="not text in UTF-8"):
        read_data(f"egopw:{tmp_path / 'list.txt'}")


def test_drift_can_be_corrected_by_name(tmp_path):
    sceneego(tmp_path / "seq", [pose() for _ in range(4)], ego=100, ext=40, first=38, numbers=range(90, 110))
    (tmp_path / "list.txt").write_text("seq\n")
    plain, corrected = (
        read_data(f"{kind}:{tmp_path / 'list.txt'}")[0].frames.tolist() for kind in ("sceneego", "sceneego+drift")
    )
    assert plain == [98, 99, 100, 101] and corrected == [100, 101]
    assert (
        not any(map(has_splits, ("sample", "sceneego+drift:list.txt", "egopw:x")))
        and has_splits(r"C:\data")
        and has_splits("data/mine")
    )
