"""Fixtures of the tests of evaluation: a clip, and predictors that are made once for all tests."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from evaluation_samples import Reader, recording
from thin_networks import thin_network

from tools.data.frames import load_frames
from tools.evaluation.predict import EnginePredictor, Frames, TorchPredictor


@pytest.fixture(scope="session")
def clip(weights_of):
    """Twelve different frames, and a recording of them with a gap of one frame and one longer than a window."""
    images = load_frames(None, weights_of("window"), 12)
    frames = np.array([0, 1, 2, 3, 4, 6, 7, 8, 300, 301, 302, 303])
    return recording(12, "clip", frames=frames), Reader(images, broken=[2])


@pytest.fixture(scope="session")
def streaming_of(thin_weights_of):
    """The engine's predictor by kind of weights, every frame's own motion: each continues no other recording."""

    @functools.cache
    def make(kind: str) -> EnginePredictor:
        return EnginePredictor(thin_weights_of(kind), "auto", "fp32", lambda line: None, motion="every-frame")

    return make


@pytest.fixture(scope="session")
def reference_of(thin_weights_of):
    """The predictor in PyTorch by kind of weights."""

    @functools.cache
    def make(kind: str) -> TorchPredictor:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tools.network.build.load_network", thin_network)
            return TorchPredictor(thin_weights_of(kind))

    return make


@pytest.fixture(scope="session")
def reference_poses(reference_of, clip):
    """What PyTorch predicts of the clip, by kind of weights."""
    return functools.cache(lambda kind: reference_of(kind).predict(Frames(*clip, 30.0)))
