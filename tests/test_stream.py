"""The streamed joints of every frame against plain PyTorch over the same window."""

from __future__ import annotations

import functools

import cv2
import numpy as np
import pytest
import torch
from conftest import SHARED, receive_all
from sample_clip import sample_images
from thin_networks import thin_network

from egostream.calibration.view import CameraView
from egostream.capture.rectify import Rectifier
from egostream.files import asset
from tools.network.build import load_network

LIMIT_M = 1e-3


class Reference:
    """The network in PyTorch fp32, frame features cached by source frame, windows gathered by brute force."""

    def __init__(self, weights, images, network=load_network):
        self.weights, self.network = weights, network(weights)
        self.rectifier = Rectifier(CameraView(weights.input))
        self.images, self.cache = images, {}

    @torch.no_grad()
    def vision(self, index):
        if index not in self.cache:
            image = cv2.imdecode(
                self.images[index],
                [0, cv2.IMREAD_COLOR_BGR, cv2.IMREAD_REDUCED_COLOR_2, 0, cv2.IMREAD_REDUCED_COLOR_4][
                    self.rectifier.reduction
                ],
            )
            frame = torch.from_numpy(self.rectifier.rectify(image)[None])
            self.cache[index] = self.network.heatmap(frame)[1], self.network.backbone(frame)[0]
        return self.cache[index]

    def slots(self, times, n):
        """For each past slot, oldest first, the earlier frame nearest to its time, if any lies within half a step."""
        step = self.weights.step_ns
        chosen = []
        for k in range(self.weights.window - 1, 0, -1):
            fits = [
                (abs(times[n] - times[m] - k * step), -m)
                for m in range(n)
                if -step < 2 * (times[n] - times[m] - k * step) <= step
            ]
            chosen.append(-min(fits)[1] if fits else None)
        return chosen

    @torch.no_grad()
    def joints(self, indices, times):
        """Joints of every frame of a stream of source frames ``indices`` captured at ``times``."""
        return self.decode(indices, self.motion(indices, times))

    @torch.no_grad()
    def joints_ahead(self, indices, times, computed):
        """The same where only frames ``computed`` have a motion: for the poses after it, the first for its own."""
        motion = self.motion([indices[n] for n in computed], [times[n] for n in computed])
        newest = [max([i for i, c in enumerate(computed) if c < n], default=0) for n in range(len(indices))]
        return self.decode(indices, motion[newest])

    def decode(self, indices, motion):
        return self.network.decoder(torch.cat([self.vision(i)[0] for i in indices]), motion).numpy()

    def motion(self, indices, times):
        """[frames, 384]"""
        return (self.window_motion if self.weights.temporal == "window" else self.causal_motion)(indices, times)

    def window_motion(self, indices, times):
        result = []
        for n, index in enumerate(indices):
            feature = self.vision(index)[1]
            chosen = self.slots(times, n)
            rows = [
                torch.full((384,), 9.0) if m is None else self.vision(indices[m])[1] for m in chosen
            ]  # a masked slot's value must not matter
            features = torch.stack([*rows, feature])[None]
            valid = torch.tensor([m is not None for m in chosen] + [True])[None]
            result.append(self.network.temporal(features, valid)[0, -1])
        return torch.stack(result)

    def causal_motion(self, indices, times):
        """Layer by layer over the whole stream: block l of frame n sees block l of the frames in n's slots."""
        encoder = self.network.temporal
        x = torch.stack([self.vision(i)[1] for i in indices])  # [frames, 384]
        chosen = [self.slots(times, n) for n in range(len(indices))]
        zero = torch.zeros(1, 384)
        for i, block in enumerate(encoder.blocks):
            normed = block.ln1(x)
            tap = lambda back: torch.cat(
                [zero if (m := chosen[n][-back]) is None else normed[m : m + 1] for n in range(len(x))]  # noqa: B023
            )
            before, here = tap(2), tap(1)
            q, k, v = (
                p.linear(p.norm(sum(t * p.conv.weight[:, 0, j] for j, t in enumerate((before, here, normed)))))
                for p in (block.query, block.key, block.value)
            )
            attended = []
            for n in range(len(x)):
                keys = [m for m in chosen[n][-encoder.reach(i) :] if m is not None] + [n]
                heads = lambda y: y.reshape(-1, 4, 96).transpose(0, 1)[None]  # noqa: E731
                attended.append(
                    torch.nn.functional.scaled_dot_product_attention(
                        heads(q[n : n + 1]), heads(k[keys]), heads(v[keys])
                    )[0]
                    .transpose(0, 1)
                    .reshape(1, 384)
                )
            x = x + block.scale_attention * block.proj(torch.cat(attended))
            x = x + block.scale_mlp * block.mlp(block.ln2(x))
        return x


#: Settings under which streamed joints are the network's own.
AS_THE_NETWORK_GIVES = {"precision": "fp32", "filter": "off", "rays": False}


@pytest.fixture(scope="session")
def reference_of(thin_weights_of):
    """References by kind, thin: windows, rates, gaps and joints of a stream are told from the shape of no layer."""
    return functools.cache(lambda kind: Reference(thin_weights_of(kind), sample_images(), thin_network))


def compare(reference, received, frames):
    indices = [pose.seq % frames for pose in received]
    expected = reference.joints(indices, [pose.t_capture_ns for pose in received])
    streamed = np.stack([pose.joints for pose in received])
    assert np.ptp(expected, axis=0).max() > 20 * LIMIT_M, "the poses hardly move: this comparison could not fail"
    assert np.abs(streamed - expected).max() <= LIMIT_M
    return expected


@pytest.mark.parametrize("kind", ["window", "causal", "released"])
def test_streamed_joints_match_pytorch(pipeline, reference_of, kind):
    joints_match_over_the_sample(pipeline, reference_of(kind))


def test_streamed_joints_of_a_whole_network_match_pytorch(pipeline, weights_of):
    joints_match_over_the_sample(pipeline, Reference(weights_of("window"), sample_images()))


def joints_match_over_the_sample(pipeline, reference):
    run = pipeline(
        source=str(asset("sample", "sample.avi")),
        assume_canonical=True,
        fps=30,
        pace="every-frame",
        motion="every-frame",
        **AS_THE_NETWORK_GIVES,
        weights=str(reference.weights.folder),
    )
    with run.subscribe(every=True) as poses:
        received = receive_all(run, poses)
    assert [pose.seq for pose in received] == list(range(90)), run.output()
    assert received[-1].message.dropped_frames == 0
    compare(reference, received, 90)


@pytest.mark.parametrize("kind", ["window", "causal", "released"])
@pytest.mark.parametrize(("fps", "frames"), [(15, 50), (90, 45)])
def test_streamed_joints_match_pytorch_at_other_rates(pipeline, reference_of, tmp_path, kind, fps, frames):
    """Slower than the window's step, so that slots stay empty, and faster, so that frames fall between them."""
    for n, image in enumerate(sample_images()[:frames]):
        (tmp_path / f"{n}.jpg").write_bytes(image.tobytes())
    run = pipeline(
        source=str(tmp_path),
        assume_canonical=True,
        fps=fps,
        pace="every-frame",
        motion="every-frame",
        **AS_THE_NETWORK_GIVES,
        weights=str(reference_of(kind).weights.folder),
    )
    with run.subscribe(every=True) as poses:
        received = receive_all(run, poses)
    assert [pose.seq for pose in received] == list(range(frames)), run.output()
    compare(reference_of(kind), received, frames)


@pytest.mark.parametrize("kind", ["window", "causal", "released"])
def test_streamed_joints_match_pytorch_with_dropped_frames(pipeline, reference_of, tmp_path, kind):
    """Three frames in ten cannot be read, now and then several in a row: the windows have real gaps."""
    rng = np.random.default_rng(5)
    broken = set(rng.choice(90, 27, replace=False).tolist()) | {40, 41, 42, 43} - {0}
    frames = tmp_path / "frames"
    frames.mkdir()
    for n, image in enumerate(sample_images()):
        (frames / f"{n}.jpg").write_bytes(b"broken" if n in broken else image.tobytes())
    run = pipeline(
        source=str(frames),
        assume_canonical=True,
        fps=30,
        pace="every-frame",
        motion="every-frame",
        **AS_THE_NETWORK_GIVES,
        weights=str(reference_of(kind).weights.folder),
    )
    with run.subscribe(every=True) as poses:
        received = receive_all(run, poses)
    kept = [n for n in range(90) if n not in broken]
    assert [pose.seq for pose in received] == kept, run.output()
    assert received[-1].message.dropped_frames - received[0].message.dropped_frames == kept[-1] - kept[0] + 1 - len(
        kept
    )
    compare(reference_of(kind), received, 90)


@pytest.mark.parametrize(
    ("kind", "fps", "frames", "computed"), [("window", 30, 40, range(40)), ("causal", 90, 45, range(0, 45, 3))]
)
def test_poses_ahead_of_their_motion_match_pytorch(pipeline, reference_of, tmp_path, kind, fps, frames, computed):
    """At the rate of the window's step and at three times that: the motion of earlier frames, of each third alone."""
    for n, image in enumerate(sample_images()[:frames]):
        (tmp_path / f"{n}.jpg").write_bytes(image.tobytes())
    run = pipeline(
        source=str(tmp_path),
        assume_canonical=True,
        fps=fps,
        pace="every-frame",
        motion="trained-step",
        **AS_THE_NETWORK_GIVES,
        weights=str(reference_of(kind).weights.folder),
    )
    with run.subscribe(every=True) as poses:
        received = receive_all(run, poses)
    assert [pose.seq for pose in received] == list(range(frames)), run.output()
    reference, times = reference_of(kind), [pose.t_capture_ns for pose in received]
    expected = reference.joints_ahead(range(frames), times, list(computed))
    streamed = np.stack([pose.joints for pose in received])
    assert np.abs(streamed - expected).max() <= LIMIT_M
    assert np.abs(streamed - reference.joints(range(frames), times)).max() > 10 * LIMIT_M, (
        "this comparison could not fail"
    )


def test_live_frames_that_come_too_fast_are_dropped_and_counted(pipeline, reference_of):
    run = pipeline(
        source=str(asset("sample", "sample.avi")),
        assume_canonical=True,
        fps=400,
        loop=True,
        seconds=5,
        motion="every-frame",
        **AS_THE_NETWORK_GIVES,
        weights=str(reference_of("window").weights.folder),
    )
    with run.subscribe(every=True) as poses:
        received = receive_all(run, poses)
    seqs = [pose.seq for pose in received]
    assert seqs == sorted(set(seqs)) and seqs[-1] - seqs[0] + 1 > 2 * len(seqs)
    assert received[-1].message.dropped_frames - received[0].message.dropped_frames == seqs[-1] - seqs[0] + 1 - len(
        seqs
    )


def test_window_contents_matter(reference_of):
    """The comparison above would notice a lost or shifted window: the past changes the pose far beyond its limit."""
    for kind in ("window", "causal", "released"):
        reference = reference_of(kind)
        step = reference.weights.step_ns
        full = reference.joints(list(range(40)), [n * step for n in range(40)])[-1]
        alone = reference.joints([39], [0])[0]
        shifted = reference.joints([*range(1, 39), 38, 39], [n * step for n in range(40)])[-1]
        assert np.abs(full - alone).max() > 10 * LIMIT_M
        assert np.abs(full - shifted).max() > 2 * LIMIT_M


@pytest.mark.parametrize("kind", ["window", "causal", "released"])
def test_streamed_joints_match_pytorch_on_real_frames(pipeline, weights_of, kind):
    """Real fisheye frames of the canonical rig, when they lie beside the checkout."""
    paths = sorted((SHARED / "real").glob("*.jpg"))
    if not paths:
        pytest.skip("no real frames beside this checkout")
    run = pipeline(
        source=str(paths[0].parent),
        assume_canonical=True,
        pace="every-frame",
        motion="every-frame",
        **AS_THE_NETWORK_GIVES,
        weights=str(weights_of(kind).folder),
    )
    with run.subscribe(every=True) as poses:
        received = receive_all(run, poses)
    assert run.wait() == 0
    fitting = [n for n, path in enumerate(paths) if cv2.imread(str(path)).shape == (1024, 1280, 3)]
    assert [pose.seq for pose in received] == fitting and len(fitting) < len(paths)
    assert "skipping frames: it is 1024x1024" in run.output()  # the pre-cropped one among them
    reference = Reference(weights_of(kind), [np.fromfile(path, np.uint8) for path in paths])
    compare(reference, received, len(paths))
