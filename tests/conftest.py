"""Shared fixtures: one cache for the session, weights of every kind, and running pipelines."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# Paid once: engines and untrained weights that the tests compile go to one place, and never to the user's cache.
os.environ.setdefault("EGOSTREAM_CACHE", str(Path(os.environ.get("TMPDIR", "/tmp")) / f"egostream-tests-{os.getuid()}"))

# Idle threads of PyTorch sleep instead of spinning: the tests run several processes on few cores. Before torch is
# imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from egostream.config import RunConfig, as_toml  # noqa: E402
from egostream.graph.untrained import untrained_weights  # noqa: E402
from egostream.publish.client import PoseSubscriber  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


@pytest.fixture(autouse=True)
def usual_priority():
    """No test leaves its process at another priority: what runs after it would inherit that (see made_videos.py)."""
    policy = getattr(os, "sched_getscheduler", lambda pid: 0)
    before = policy(0)
    yield
    assert policy(0) == before, "a library gave this process another scheduling policy"


@pytest.fixture(scope="session")
def released_folder(tmp_path_factory) -> Path:
    """A weights folder imported from look-alikes of the released checkpoints."""
    from released_checkpoints import import_lookalikes

    return import_lookalikes(tmp_path_factory.mktemp("released"))


@pytest.fixture(scope="session")
def motion_run(tmp_path_factory) -> Path:
    """The folder of a tiny training of motion from the body."""
    from trained_motion import train_tiny

    return train_tiny(tmp_path_factory.mktemp("motion") / "run")


@pytest.fixture(scope="session")
def weights_of(request):
    """Weights by kind: "window", "causal", "released", or "body" for those without a backbone."""
    from egostream.graph.weights import load_weights

    def load(kind: str):
        # Only when asked for: importing, and training, take longer than most tests.
        if kind == "released":
            return load_weights(request.getfixturevalue("released_folder"))
        if kind == "body":
            return load_weights(request.getfixturevalue("motion_run") / "weights")
        return untrained_weights(kind)

    return load


@pytest.fixture(scope="session")
def thin_weights_of(weights_of, tmp_path_factory):
    """Weights by kind, or "two seconds", with an eighth of their channels (thin_networks.py)."""
    from thin_networks import thin_weights, two_seconds

    made = {}

    def make(kind: str):
        if kind not in made:
            whole = two_seconds(weights_of("causal"), tmp_path_factory) if kind == "two seconds" else weights_of(kind)
            made[kind] = thin_weights(whole, tmp_path_factory.mktemp("thin") / kind.replace(" ", "-"))
        return made[kind]

    return make


@pytest.fixture(scope="session")
def node_packages():
    """Programs for Node, with three.js and its readers of VRM."""
    from node_packages import install

    return install()


@pytest.fixture
def copied_weights(tmp_path, weights_of) -> Path:
    """A weights folder of the test's own, to spoil."""
    return shutil.copytree(weights_of("window").folder, tmp_path / "weights")


@pytest.fixture(scope="session")
def quantised_weights(tmp_path_factory, weights_of):
    """A whole network with a table of its own, made from a few frames of the sample, as a user would."""
    from egostream.graph.scales import FILE
    from egostream.graph.weights import load_weights
    from tools import quantize

    folder = tmp_path_factory.mktemp("quantised") / "weights"
    shutil.copytree(weights_of("causal").folder, folder)
    (folder / FILE).unlink(missing_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            quantize, "layer_costs", lambda *_: pytest.fail("every layer had to be measured: int8 costs too much")
        )
        quantize.main([str(folder), "--count", "6", "--max-mm", "1000"])  # untrained joints follow every rounding
    return load_weights(folder)


@pytest.fixture(scope="session")
def streamed(weights_of):
    """A whole network over the sample's first frames: (weights, stream, fp32 joints, inputs of the step graph)."""
    from tools import quantize
    from tools.data.frames import SAMPLE, read_frames

    weights = weights_of("causal")
    images, fps = read_frames(SAMPLE, weights, limit=6)
    stream = quantize.Stream(weights, images, fps)
    return weights, stream, *stream.run()


@pytest.fixture(scope="session")
def dataset(tmp_path_factory) -> Path:
    """A small dataset to train on (see drawn_people)."""
    from drawn_people import make_dataset

    return make_dataset(tmp_path_factory.mktemp("synthetic"))


def heed_hangup() -> None:
    """A run that inherits nohup's ignoring of SIGHUP outlives it, as it should; the tests' own shall not."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Pipeline:
    """A running ``egostream run`` in its own process."""

    def __init__(self, folder: Path, **settings):
        self.endpoint, self.control = f"ipc://{folder}/poses", f"ipc://{folder}/control"
        self.config = RunConfig(**{"publish": self.endpoint, "control": self.control, **settings})
        path = folder / "run.toml"
        path.write_text(as_toml(self.config))
        self.log_path = folder / "run.log"
        self.log = open(self.log_path, "w")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "egostream", "run", "--config", str(path)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            preexec_fn=heed_hangup if os.name == "posix" else None,
        )

    def output(self) -> str:
        return self.log_path.read_text()

    def subscribe(self, **options) -> PoseSubscriber:
        return self.subscribe_to(self.config.stream, **options)

    def subscribe_to(self, stream: str | None, **options) -> PoseSubscriber:
        """One stream of several, or all."""
        return PoseSubscriber(self.config.publish, stream, **options)

    def wait_first(self, poses: PoseSubscriber, timeout: float = 60.0):
        """The first pose that arrives; fails with the run's output when none does."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if (pose := poses.newest(0.2)) is not None:
                return pose
            assert self.process.poll() is None, self.output()
        raise AssertionError(f"no pose within {timeout} s: {self.output()}")

    def wait(self, timeout: float = 60.0) -> int:
        return self.process.wait(timeout)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()


def receive_all(run: Pipeline, poses: PoseSubscriber) -> list:
    """Every pose until the run ends, in order."""
    received = [run.wait_first(poses)]
    while run.process.poll() is None or received[-1] is not None:
        received.append(poses.newest(0.5))
    return [pose for pose in received if pose is not None]


@pytest.fixture
def pipeline(tmp_path):
    """Start pipelines; whatever still runs is stopped at the end of the test."""
    started = []

    def start(**settings) -> Pipeline:
        folder = tmp_path / f"run{len(started)}"
        folder.mkdir()
        started.append(Pipeline(folder, **settings))
        return started[-1]

    yield start
    for one in started:
        one.close()
