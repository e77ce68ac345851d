"""One stream of a run without its processes: a camera's frame -> the network's input -> a pose."""

from __future__ import annotations

from collections.abc import Callable

from egostream.capture.decode import prepare
from egostream.capture.jpeg import Habit
from egostream.capture.rectify import Rectifier
from egostream.errors import GpuUnusable
from egostream.infer.estimator import Estimator
from egostream.infer.load import load_estimator
from egostream.run_setup import RunSetup
from egostream.supervise.prepare import on_processor
from egostream.types import CameraFrame, NetworkInput, Pose


class InProcessStream:
    """The first stream of a run: the rectifier of its camera and the estimator of its poses.

    ``estimate`` belongs to the thread that made the stream. ``prepare`` may run in another one, a frame at a time.
    Raises EgostreamError when an engine or the calibration does not fit.
    """

    def __init__(self, setup: RunSetup, say: Callable[[str], None]):
        """say: called with each note worth showing."""
        self.setup, self.estimator = loaded(setup, say)
        self.rectifier = Rectifier(self.setup.streams[0].view(self.setup.weights.input))
        self.next_segment = 0
        self.begin()

    @property
    def has_heatmaps(self) -> bool:
        """Whether the weights' heatmaps mean something: confidences, and where the body lies in the picture."""
        weights = self.setup.weights
        return bool(weights.trained and weights.network.get("use_tokens", True))

    def begin(self) -> int:
        """Forget the camera that frames came from. Returns the segment of the frames to come."""
        self.habit = Habit()
        self.next_segment += 1
        return self.next_segment

    def prepare(self, frame: CameraFrame, t_read_ns: int) -> NetworkInput:
        """A frame, read at ``t_read_ns`` of the monotonic clock, as the network's input. Raises BadFrame."""
        return prepare(frame, self.rectifier, t_read_ns, self.habit)

    def estimate(self, network_input: NetworkInput) -> Pose:
        """The pose of the stream's next frame, all work done. It may not be finite."""
        return self.estimator.estimate(network_input)


def loaded(setup: RunSetup, say: Callable[[str], None]) -> tuple[RunSetup, Estimator]:
    """A run's estimator, and the run that it is of: one without the GPU where that turns out to be unusable."""
    try:
        return setup, load_estimator(setup, say, lambda: None)
    except GpuUnusable as error:
        say(f"the GPU is not used: {error}")
    setup = on_processor(setup, say)
    return setup, load_estimator(setup, say, lambda: None)
