"""One stream of a run without its processes: a camera's frame -> the network's input -> a pose."""

from __future__ import annotations

from collections.abc import Callable

from egostream.capture.decode import prepare
from egostream.capture.jpeg import Habit
from egostream.capture.rectify import Rectifier
from egostream.errors import GpuUnusable
from egostream.graph.ports import BODY_FORM
from egostream.infer.estimator import Estimator
from egostream.infer.from_body import Teller
from egostream.infer.load import load_estimator
from egostream.run_setup import RunSetup
from egostream.supervise.prepare import on_processor
from egostream.told import NOTHING, Told
from egostream.types import CameraFrame, NetworkInput, Pose


class TellsOfOne:
    """The ``Teller`` of one frame at a time: ``told`` is what is known of the frame that is estimated."""

    told = NOTHING

    def tells(self, t_ns: int, step_ns: int) -> Told:
        """What is known of that frame."""
        return self.told


class InProcessStream:
    """The first stream of a run: the rectifier of its camera and the estimator of its poses.

    ``estimate`` belongs to the thread that made the stream. ``prepare`` may run in another one, a frame at a time.
    Raises EgostreamError when an engine or the calibration does not fit.
    """

    def __init__(self, setup: RunSetup, say: Callable[[str], None]):
        """say: called with each note worth showing."""
        self.teller = TellsOfOne()
        self.setup, self.estimator = loaded(setup, say, self.teller)
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

    @property
    def is_told(self) -> bool:
        """Whether the weights' network takes what is told."""
        return self.setup.weights.form == BODY_FORM

    def estimate(self, network_input: NetworkInput, told: Told = NOTHING) -> Pose:
        """The pose of the stream's next frame, all work done. It may not be finite.

        told: what is known of it beside the picture.
        """
        self.teller.told = told
        return self.estimator.estimate(network_input)


def loaded(setup: RunSetup, say: Callable[[str], None], teller: Teller) -> tuple[RunSetup, Estimator]:
    """A run's estimator, and the run that it is of: one without the GPU where that turns out to be unusable."""
    try:
        return setup, load_estimator(setup, say, lambda: None, tellers=[teller])
    except GpuUnusable as error:
        say(f"the GPU is not used: {error}")
    setup = on_processor(setup, say)
    return setup, load_estimator(setup, say, lambda: None, tellers=[teller])
