"""tools/make_synthetic.py: labels are true, the seed decides everything, and a run can be stopped and go on."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
from rendered_people import KANNALA_BRANDT, SMALL, make, make_here

from egostream.calibration.file import canonical_calibration
from egostream.calibration.lens import project_or_outside
from egostream.calibration.view import CameraView, InputGeometry
from egostream.capture.rectify import Rectifier
from egostream.errors import EgostreamError
from egostream.files import asset
from tools.data.datasets import read_data
from tools.data.inputs import InputReader
from tools.synthetic.picture.headset import RIGS


def test_a_recording_is_read_back_with_true_labels(made):
    sequences = read_data(str(made), "train")
    assert [s.name for s in sequences] == ["train/000000", "train/000001"] and [len(s) for s in sequences] == [3, 3]
    reader = InputReader(sequences[0].geometry)
    canonical = canonical_calibration()
    for sequence in sequences:
        assert sequence.fps == 10 and not sequence.left_out
        about = json.loads((made / sequence.name / "sequence.json").read_text())
        assert about["rig"] in RIGS and sequence.stature_m == about["stature_m"] > 1.3
        np.testing.assert_allclose(project_or_outside(canonical.lens, sequence.joints), sequence.keypoints, atol=0.5)
        image = reader.read(sequence, 0)
        assert image.shape == (256, 256, 3) and image.std() > 2
        inside = reader.keypoints(sequence)[sequence.visible]
        assert len(inside) and (inside > -0.5).all() and (inside < 64.5).all()


def test_the_seed_decides_every_picture_and_another_run_goes_on(made, tmp_path):
    again = tmp_path / "again"
    make_here(again, *SMALL)
    same = lambda name: (made / name).read_bytes() == (again / name).read_bytes()
    assert same("train/000001/000002.jpg") and same("test/000000/000000.jpg")
    assert (made / "train/000000/000000.jpg").read_bytes() != (made / "train/000001/000000.jpg").read_bytes()
    shutil.rmtree(again / "train/000001")
    before = (again / "train/000000/labels.npz").stat().st_mtime_ns
    make_here(again, *SMALL)  # as after a kill: only what lacks is made
    assert same("train/000001/000002.jpg") and (again / "train/000000/labels.npz").stat().st_mtime_ns == before


def test_a_ray_cluster_renders_the_same_bytes(made, tmp_path):
    pytest.importorskip("ray", reason="pip install ray")
    make(tmp_path / "data", *SMALL, "--ray", "local")
    names = sorted(str(path.relative_to(made)) for path in made.rglob("*.*"))
    assert len(names) > 10
    assert all((made / name).read_bytes() == (tmp_path / "data" / name).read_bytes() for name in names)


def test_bad_wishes_are_refused_in_one_line(made, tmp_path, context):
    make_here(made, *SMALL[:-2], "--seed", 8, fails="was made with another seed")
    make_here(tmp_path / "a", "--body", tmp_path, fails="lacks base.obj")
    make_here(tmp_path / "b", "--motion", tmp_path / "nothing", fails="nothing")
    make_here(tmp_path / "c", "--calibration", tmp_path / "none.json", fails="no calibration file")
    make(tmp_path / "d", "--frames", 0, fails="--frames is 0")
    (made / "manifest.json").rename(made / "kept")
    with pytest.raises(EgostreamError, match="Make data: python tools/make_synthetic.py"):
        read_data(str(made), "train")
    (made / "kept").rename(made / "manifest.json")


def test_a_damaged_recording_is_named(made, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(made, copy)
    (copy / "train/000001/000001.jpg").unlink()
    labels = dict(np.load(copy / "train/000000/labels.npz"))
    labels["joints"][2, 4] = np.nan
    np.savez(copy / "train/000000/labels.npz", **labels)
    first, second = read_data(str(copy), "train")
    assert (
        first.left_out == {"with NaN": 1}
        and second.left_out == {"without an image": 1}
        and list(second.frames) == [0, 2]
    )
    (copy / "train/000000/000001.jpg").write_bytes(b"\xff\xd8 not a picture")
    with pytest.raises(EgostreamError, match="000001.jpg cannot be read"):
        InputReader(first.geometry).read(first, 1)
    (copy / "train/000000/000000.jpg").write_bytes(cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8))[1].tobytes())
    with pytest.raises(EgostreamError, match="64x64, expected the network's 256x256"):
        InputReader(first.geometry).read(first, 0)
    (copy / "train/000001/labels.npz").write_bytes(b"PK")
    with pytest.raises(EgostreamError, match="train/000001 cannot be read"):
        read_data(str(copy), "train")


def test_full_frames_of_another_camera_are_rectified_as_the_runtime_does(context, tmp_path):
    path = tmp_path / "kb.json"
    path.write_text(json.dumps(KANNALA_BRANDT))
    out = tmp_path / "data"
    make_here(
        out, "--calibration", path, "--frame-size", "camera", "--train", 1, "--val", 0, "--test", 0, "--frames", 2
    )
    (sequence,) = read_data(str(out), "train")
    assert cv2.imread(str(sequence.images[0])).shape == (600, 800, 3) and sequence.camera.name == "kb"
    geometry = InputGeometry("canonical", "crop")
    reader, rectifier = InputReader(geometry), Rectifier(CameraView(geometry, sequence.camera))
    assert reader.read(sequence, 0).shape == (256, 256, 3)
    back, valid = rectifier.view.keypoints_in_camera(reader.keypoints(sequence))
    known = valid & sequence.visible
    assert known.any()
    np.testing.assert_allclose(back[known], sequence.keypoints[known], atol=0.5)
    # its network input, made directly, shows the same and no more than this camera sees
    direct = tmp_path / "direct"
    make_here(direct, "--calibration", path, "--train", 1, "--val", 0, "--test", 0, "--frames", 2)
    (other,) = read_data(str(direct), "train")
    np.testing.assert_allclose(other.joints, sequence.joints, atol=1e-5)
    blind = rectifier.view.camera_from_canonical(
        rectifier.view.mapping.canonical_from_input(np.stack(np.meshgrid(np.arange(256), np.arange(256)), -1))
    )
    unseen = ~(blind[1] & ((blind[0] >= 0) & (blind[0] < (800, 600))).all(-1))
    picture = reader.read(other, 0)
    assert unseen.mean() > 0.05 and picture[cv2.erode(unseen.astype(np.uint8), np.ones((9, 9))) > 0].mean() < 40


def test_the_canonical_calibration_needs_no_file():
    assert asset("calib", "canonical.json").is_file() and replace(canonical_calibration(), name="x").size == (
        1280,
        1024,
    )
