"""Frames that stay where the network is: the pictures and labels that the processor would have made of them."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
import pytest
import torch
from training_samples import GEOMETRY, frame_set, heatmap_arguments

pytest.importorskip("lightning", reason="training needs Lightning: pip install -e '.[train]'")

import tools.train_heatmap
from egostream.errors import EgostreamError
from tools.data.datasets import read_data
from tools.training import augment
from tools.training import augment_batch as batch_looks
from tools.training import device_frames as device_frames
from tools.training.augment import LOOKS, Augmenter
from tools.training.device_frames import ResidentFrames, ResidentLabels
from tools.training.frames import FrameDataset, FrameSet

CPU = torch.device("cpu")


def scene(size: int = 256) -> np.ndarray:
    """A picture with smooth parts, edges, colours and corners that differ."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    image = np.stack([x, y, 255 - (x + y) / 2], -1) * (255 / size)
    image[size // 4 : size // 2, size // 3 : 2 * size // 3] = (20, 200, 90)
    return np.clip(cv2.GaussianBlur(image, (0, 0), 1.5), 0, 255).astype(np.uint8)


def batch_of(image: np.ndarray, count: int) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1).float().repeat(count, 1, 1, 1)


@pytest.mark.parametrize("size", [256, 128])
@pytest.mark.parametrize("turning", [(30, 0.5), (0, 0.0)])
def test_turned_pictures_and_labels_are_those_of_the_processor(dataset, size, turning):
    frames, augmenter = frame_set(dataset), Augmenter(GEOMETRY, *turning, strength=0)
    plain = FrameDataset(frames, size, augmenter, seed=3)
    resident = ResidentFrames(frames, size, augmenter, 3, CPU)
    labels = ResidentLabels(frames, resident)
    draws = [(row, draw) for draw, row in enumerate((0, 7, 7, 31))]
    expected, found = [plain[which] for which in draws], [labels[which] for which in draws]
    batch = {key: torch.as_tensor(np.stack([one[key] for one in found])) for key in ("row", "back")}
    pictures = resident.take(batch, 0).numpy()
    for picture, label, one in zip(pictures, found, expected):
        for key in ("joints", "keypoints", "visible", "skipped"):
            np.testing.assert_array_equal(label[key], one[key])
        difference = np.abs(picture.astype(int) - one["frame"])
        assert difference.mean() < 0.5 and np.percentile(difference, 99.5) <= 4  # OpenCV places pixels to 1/32
    if turning[0]:
        assert np.abs(pictures[1].astype(int) - pictures[2]).mean() > 2  # the same frame, turned otherwise


def test_every_change_of_looks_has_its_batched_form():
    assert set(batch_looks.CHANGES) == {change.__name__ for _, change in LOOKS}


@pytest.mark.parametrize("name", sorted(batch_looks.CHANGES))
def test_batched_looks_change_as_much_as_those_of_one_picture(name):
    """Random numbers differ; over many draws, what they do to a picture must not."""
    image, count = scene(128), 120
    batch = (
        batch_looks.CHANGES[name](batch_of(image, count), np.random.default_rng(1))
        .clamp(0, 255)
        .permute(0, 2, 3, 1)
        .numpy()
    )
    alone = np.stack([getattr(augment, name)(np.random.default_rng([2, n]), image) for n in range(count)]).astype(
        np.float32
    )
    assert batch.shape == alone.shape
    change = lambda pictures: np.abs(pictures - image.astype(np.float32)).mean((1, 2, 3))
    assert change(batch).mean() == pytest.approx(change(alone).mean(), rel=0.35)
    assert batch.mean() == pytest.approx(alone.mean(), abs=6)
    assert name in ("grey", "coarsen") or change(batch).std() > 0  # each picture its own


@pytest.mark.parametrize("quality", [26, 45])
def test_compression_is_that_of_a_jpeg(quality):
    grain = np.random.default_rng(0).normal(0, 15, (256, 256, 3))  # something to leave out
    image = np.clip(scene() + grain, 0, 255).astype(np.uint8)
    rng = type("Fixed", (), {"integers": lambda *_: np.array([quality])})()
    found = batch_looks.compress(batch_of(image, 1), rng)[0].permute(1, 2, 0).clamp(0, 255).numpy()
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    expected = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1].astype(float)
    # what is left is rounding: a small part of what compression did
    assert np.abs(found - expected).mean() < 0.4 * np.abs(image - expected).mean()
    assert np.abs(found.mean(-1) - expected.mean(-1)).mean() < 0.4 * np.abs(image.mean(-1) - expected.mean(-1)).mean()


def test_own_kernels_are_those_of_opencv():
    image, rng = scene(64), np.random.default_rng(0)
    kernels = rng.random((3, 5, 7))
    kernels /= kernels.sum((1, 2), keepdims=True)
    found = batch_looks.filtered(batch_of(image, 3), kernels).permute(0, 2, 3, 1).numpy()
    for picture, kernel in zip(found, kernels):
        np.testing.assert_allclose(
            picture, cv2.filter2D(image.astype(np.float32), -1, kernel.astype(np.float32)), atol=0.01
        )


def test_looks_repeat_by_their_draw(dataset):
    frames = frame_set(dataset)
    resident = ResidentFrames(frames, 128, Augmenter(GEOMETRY), 0, CPU)
    sample = ResidentLabels(frames, resident)[4, 9]
    batch = {key: torch.as_tensor(sample[key])[None].repeat_interleave(8, 0) for key in ("row", "back")}
    first, again, other = (resident.take(batch, step) for step in (5, 5, 6))
    assert first.dtype == torch.uint8 and first.shape == (8, 128, 128, 3)
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_a_picture_that_cannot_be_read_is_replaced_with_its_labels(dataset, tmp_path, capsys):
    copy = shutil.copytree(dataset, tmp_path / "copy")
    (copy / "train" / "000000" / "000003.jpg").write_bytes(b"no picture")
    frames = FrameSet(read_data(str(copy), "train"), "train")
    resident = ResidentFrames(frames, 128, Augmenter(GEOMETRY, 0, 0.0, 0), 0, CPU)
    assert "000003.jpg" in capsys.readouterr().err
    sample = ResidentLabels(frames, resident)[3, 0]
    assert sample["row"] == 4 and sample["skipped"] == 1
    np.testing.assert_array_equal(sample["joints"], frames.joints[4])


def test_every_frame_is_its_own_whatever_is_decoded_at_once(dataset, monkeypatch):
    frames = frame_set(dataset)
    monkeypatch.setattr(device_frames, "AT_ONCE", 7)
    resident = ResidentFrames(frames, 256, Augmenter(GEOMETRY), 0, CPU)
    for row in range(len(frames)):
        np.testing.assert_array_equal(resident.images[row].numpy(), frames.image(row))


def test_more_frames_than_the_device_holds_are_refused(dataset, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch, "empty", full)
    with pytest.raises(EgostreamError, match="--resident: 60 frames take"):
        ResidentFrames(frame_set(dataset), 256, Augmenter(GEOMETRY), 0, CPU)


def test_heatmaps_train_on_resident_frames(dataset, tmp_path):
    more = ["--batch", "4", "--steps", "3", "--val-every", "3"]
    tools.train_heatmap.main(heatmap_arguments(dataset, tmp_path, *more, "--resident"))
    assert (tmp_path / "heatmap.safetensors").is_file()
