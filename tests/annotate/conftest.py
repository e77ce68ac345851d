"""A loaded stream for all tests of this room, and small recordings."""

from __future__ import annotations

from pathlib import Path

import pytest
from sample_clip import sample_images

from egostream.config import RunConfig
from egostream.supervise.prepare import prepare_poses
from egostream.track.in_process import InProcessStream


@pytest.fixture(scope="session")
def setup():
    """A run of the shipped weights, its engines compiled."""
    return prepare_poses(RunConfig(assume_canonical=True), lambda line: None)


@pytest.fixture(scope="session")
def stream(setup):
    """Its estimator, in this process."""
    return InProcessStream(setup, lambda line: None)


@pytest.fixture
def images_in():
    """Makes a folder of the sample's first images, as they are."""
    images = sample_images()

    def make(folder: Path, count: int = 5) -> Path:
        folder.mkdir(parents=True)
        for number, image in enumerate(images[:count]):
            image.tofile(folder / f"{number}.jpg")
        return folder

    return make
