"""The bundled clip in all eight orientations through a run: what is said of each, and the flags that put it right."""

from __future__ import annotations

import json
import re
import time

import cv2
import numpy as np
import pytest
from conftest import receive_all
from sample_clip import sample_images
from turned_pictures import as_delivered

from egostream.calibration.file import canonical_calibration
from egostream.calibration.mount import MOUNTS, Mount
from egostream.config import StreamConfig
from egostream.files import asset
from egostream.truth import load_truth, save_truth

FRAMES = 36
#: How far an error with the flags may lie from the upright clip's: of pictures on their side, which are JPEG again and
#: have a calibration; and of the others, which are the same pixels. Both run in int8, in batches of several streams.
SIDEWAYS_MM, SAME_MM = 1.5, 0.2
UPRIGHT = "r0"


def name_of(mount: Mount) -> str:
    return f"r{mount.rotate}{'f' * mount.flip}"


def own_calibration(path, mount):
    """The canonical lens's calibration as made from a turned picture: its axis lies elsewhere, its sides may change."""
    data = json.loads(asset("calib", "canonical.json").read_text())
    (width, height), (cx, cy) = data["size"], data["center"]
    marked = as_delivered(np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(float), mount)
    x, y = marked[..., 0] - cx, marked[..., 1] - cy
    v, u = np.unravel_index(np.argmin(np.hypot(x, y)), x.shape)
    data["size"] = [marked.shape[1], marked.shape[0]]
    step_u, step_v = marked[v, u + 1] - marked[v, u], marked[v + 1, u] - marked[v, u]
    rest = np.array([cx, cy]) - marked[v, u]
    data["center"] = [float(u + rest @ step_u), float(v + rest @ step_v)]
    path.write_text(json.dumps(data))
    return str(path)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A folder of images and its settings, for every orientation of the sample's first 1.2 seconds.

    Pictures of the canonical size are assumed to be the canonical camera's, those on their side have a calibration.
    """
    folder, truth = tmp_path_factory.mktemp("turned"), load_truth(asset("sample", "sample.truth.npz"))
    truth = type(truth)(truth.joints[:FRAMES], truth.keypoints[:FRAMES], truth.visible[:FRAMES], truth.fps)
    settings = {}
    for mount in MOUNTS:
        clip = folder / name_of(mount)
        clip.mkdir()
        save_truth(clip, truth)
        sideways = mount.rotate % 180
        lens = {"calibration": own_calibration(folder / f"{clip.name}.json", mount)} if sideways else {}
        settings[clip.name] = {"source": str(clip), "assume_canonical": not sideways, **lens}
    for number, data in enumerate(sample_images()[:FRAMES]):
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR_BGR)
        for mount in MOUNTS:
            path = str(folder / name_of(mount) / f"{number:03d}")
            if mount.rotate % 180:
                cv2.imwrite(f"{path}.jpg", as_delivered(picture, mount), [cv2.IMWRITE_JPEG_QUALITY, 95])
            else:
                cv2.imwrite(f"{path}.png", as_delivered(picture, mount), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return settings


def streams_of(clips, flags):
    """Settings of a run that plays all clips, each with the flags for its mount."""
    return tuple(StreamConfig(stream=name_of(mount), **clips[name_of(mount)], **flags(mount)) for mount in MOUNTS)


def test_a_wrong_mount_is_named_with_the_flags_that_put_it_right(pipeline, clips):
    run = pipeline(streams=streams_of(clips, lambda mount: {}), fps=30.0, pace="every-frame")
    statuses = []
    with run.subscribe_to("r180") as poses:
        while run.process.poll() is None:
            time.sleep(0.2)
            statuses.append(poses.status())
    said = run.output()
    told = [status.camera.mount for status in statuses if status is not None]
    assert told[-1].endswith("Run with --rotate 180") and "upside down" in told[-1], told
    found = {name: re.findall(rf"stream {name}: (the picture .*)", said) for name in clips}
    assert found[UPRIGHT] == [], said
    for mount in MOUNTS[1:]:
        notes = found[name_of(mount)]
        assert len(notes) == 1, (mount, said)
        # a mirrored picture with a calibration of its own looks like any other: the turn that puts the body right
        turn = Mount(-mount.rotate % 360) if mount.rotate % 180 and mount.flip else mount
        flags = [f"--rotate {turn.rotate}"] * bool(turn.rotate) + ["--flip"] * turn.flip
        assert notes[0].endswith(f"Run with {' '.join(flags)}"), (mount, notes)


def test_a_wrong_mount_is_named_with_motion_on_every_frame_too(pipeline, clips):
    run = pipeline(**clips["r180"], fps=30.0, pace="every-frame", motion="every-frame")
    assert run.wait() == 0 and "upside down" in run.output() and "Run with --rotate 180\n" in run.output()


def test_the_flags_put_every_orientation_right(pipeline, clips):
    run = pipeline(
        streams=streams_of(clips, lambda mount: {"rotate": mount.rotate, "flip": mount.flip}),
        fps=30.0,
        pace="every-frame",
        filter="off",
    )
    with run.subscribe_to(None, every=True) as poses:
        received = receive_all(run, poses)
    said = run.output()
    assert run.wait() == 0 and "the picture" not in said, said
    errors = {
        name: float(mm) for name, mm in re.findall(rf"stream (\w+): \d+ poses.* error ([\d.]+) mm over {FRAMES}", said)
    }
    assert set(errors) == set(clips) and errors[UPRIGHT] < 120, said
    size = canonical_calibration().size
    of = {name: {pose.seq: pose for pose in received if pose.message.stream == name} for name in clips}
    for mount in MOUNTS[1:]:
        name = name_of(mount)
        assert abs(errors[name] - errors[UPRIGHT]) <= (SIDEWAYS_MM if mount.rotate % 180 else SAME_MM), (name, errors)
        both = sorted(set(of[name]) & set(of[UPRIGHT]))
        assert len(both) > FRAMES / 2
        sure = np.array([of[UPRIGHT][seq].confidence for seq in both]) > 0.7
        wanted = mount.delivered_pixels(np.array([of[UPRIGHT][seq].keypoints for seq in both]), size)
        off = np.linalg.norm(np.array([of[name][seq].keypoints for seq in both]) - wanted, axis=-1)[sure]
        assert np.median(off) < 1.5, name  # pixels of the picture as it is delivered
