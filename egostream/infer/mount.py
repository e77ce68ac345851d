"""Whether the picture is upright: its camera may be mounted upside down or sideways, or its driver may mirror.

Two signs, both of the first second of a stream, and again when a camera has come back:

- **Keypoints.** The network knows upright pictures alone. It is unsure of others, but still puts the body at the
  bottom: where keypoints lie says nothing, their heights say all. Where they are low, the picture is tried in its four
  turns, and the turn that makes the network sure is the right one. Mirrored pictures say nothing here: people are
  symmetric, and the network is trained on mirrored ones, too.
- **The lens's circle.** Where the frames are taken for the canonical camera's, the rim of the picture must lie about
  the canonical lens's axis. That is beside the picture's middle, so that it also tells a mirrored picture.

A camera with its own calibration has no second sign: its calibration says where the axis lies in its own picture.
Measured: docs/sources.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence

import numpy as np

from egostream.calibration.mount import Mount
from egostream.calibration.view import INPUT_SIZE, CameraView
from egostream.config import ROTATIONS
from egostream.handover.worker import Worker
from egostream.infer.estimator import Estimator
from egostream.infer.stream import StreamState
from egostream.run_setup import RunSetup
from egostream.types import NetworkInput, Pose

#: Frames, and time by their stamps, that a stream is watched before it is judged: either pair. The second is for
#: machines that make few poses a second.
WATCH_FRAMES, WATCH_NS = 5, 300_000_000
FEW_FRAMES, FEW_NS = 3, 800_000_000
#: Mean height of keypoints above which a picture is upright without a trial. Upright clips have 0.59 to 0.86 (15
#: rendered, the sample, 4 real frames), turned ones 0.17 to 0.42, turned real frames up to 0.60.
SURE = 0.65
#: A trial looks at so many frames, this far apart, in each of the four turns.
ROUNDS, ROUND_NS = 3, 200_000_000
#: A turn is right that is best in every round, is as sure as this on average, and by so much surer than the picture as
#: it comes. The four real frames, turned, gain 0.12 to 0.55 (one frame each), rendered clips 0.19 to 0.55.
LEAST_SURE, LEAST_GAIN = 0.5, 0.1
#: Pauses before the next watch where no turn is right, seconds: each is twice the one before. The headset may be put
#: on later. From the second on, it is said that no wearer is seen.
PAUSE_FIRST_S, PAUSE_LONGEST_S = 2.0, 30.0
#: A judged stream is judged again in a new segment, but not sooner: a short recording that loops starts one often.
AGAIN_S = 10.0
#: Poses of a stream after which it is tried although frames wait: an overloaded machine is never idle.
HURRIED_POSES = 2
#: Time by the frames' stamps, from the first one on, after which nothing is waited for: poses are few, two seconds soon
#: over. A trial is 12 looks, each about as long as a pose.
HURRIED_NS = 1_200_000_000
#: The rim: from this part to that of the distance at which the lens sees 90 degrees off its axis.
RIM = 0.84, 1.19
#: Grey levels above the dark beyond the rim that still count: more would weigh the scene, not the circle.
RIM_LEVELS = 40.0
#: Of the input's pixels, every third along either axis is looked at: a ninth of the time for the same answer.
RIM_EVERY = 3
#: Part of the rim's variance that circles about the right axis must explain, and how much of that those about the
#: mirrored one may. Of 40 clips, the right axis explains that much in 36 within two seconds, and never less than the
#: mirrored one does where either is clear (docs/sources.md).
RIM_EXPLAINED, RIM_OTHER = 0.5, 0.75
#: The rim is looked at so often, by the frames' stamps, and no longer than this: rooms are dark, heads move.
RIM_STEP_NS, RIM_LONGEST_NS = 400_000_000, 1_600_000_000

#: What a picture looks like, by the clockwise turn that makes it upright.
BODY_AT = {
    0: "",
    90: "the picture lies on its side: the wearer's body is at its right, not at its bottom",
    180: "the picture is upside down: the wearer's body is at its top, not at its bottom",
    270: "the picture lies on its side: the wearer's body is at its left, not at its bottom",
}
MIRRORED = Mount(flip=True)
IS_MIRRORED = "the picture is mirrored: the wearer's left and right are exchanged"
NOT_SEEN = (
    "no wearer is seen (confidence {:.2f}), however the picture is turned. The camera must look down at the body; "
    "see docs/sources.md, How the camera is mounted"
)


class MountCheck:
    """Judges one stream. ``wanted`` is what must be tried now, an input picture uint8 [256, 256, 3], or None.

    verdict: None while it is open; else the mount, after the one in use, that makes the picture upright.
    """

    def __init__(self, view: CameraView):
        self.view, self.segment = view, -1
        self.pause_s, self.is_unseen, self.sureness = PAUSE_FIRST_S, False, 0.0
        self.verdict: Mount | None = None
        self.again_s = 0.0
        self.watch()

    def watch(self) -> None:
        """Begin anew."""
        self.first_ns: int | None = None
        self.heights: list[float] = []
        self.rounds: list[list[float]] = []
        self.is_trying = self.is_late = False
        self.trial: np.ndarray | None = None
        self.wanted: np.ndarray | None = None
        self.brightest: np.ndarray | None = None
        self.round_ns, self.waited = 0, 0

    def saw(self, frame: NetworkInput, confidence: np.ndarray) -> None:
        """Take note of a frame and its keypoints' confidence [15]."""
        if self.verdict is not None and frame.segment == self.segment:
            if self.brightest is not None:
                self.brightest = np.maximum(self.brightest, frame.image)
                self.see_rim(self.verdict, frame.t_capture_ns)
            return
        if time.monotonic() < self.again_s:
            return
        if self.verdict is not None or self.first_ns is None:  # an open question stays: a loop is the same camera
            self.watch()
            self.verdict, self.segment, self.first_ns = None, frame.segment, frame.t_capture_ns
            self.rim_ns = frame.t_capture_ns + WATCH_NS
        if self.view.is_canonical:
            self.brightest = frame.image if self.brightest is None else np.maximum(self.brightest, frame.image)
        if self.is_trying:
            self.begin_round(frame)
        else:
            self.heights.append(mean_height(confidence))
            watched_ns = frame.t_capture_ns - self.first_ns
            is_enough = len(self.heights) >= WATCH_FRAMES and watched_ns >= WATCH_NS
            if is_enough or (len(self.heights) >= FEW_FRAMES and watched_ns >= FEW_NS):
                self.end_watch(frame)

    def end_watch(self, frame: NetworkInput) -> None:
        """Judge by what was seen, or begin to try turns."""
        self.sureness = float(np.mean(self.heights))
        if self.sureness >= SURE:
            self.judge(0, frame.t_capture_ns)
        else:
            self.is_trying = True
            self.begin_round(frame)

    def begin_round(self, frame: NetworkInput) -> None:
        """Try this frame next, if the round before is over and long enough ago."""
        self.waited += 1
        if self.wanted is None and frame.t_capture_ns - self.round_ns >= ROUND_NS:
            self.round_ns = frame.t_capture_ns
            self.rounds.append([])
            self.trial = self.wanted = frame.image
        self.is_late = self.first_ns is not None and frame.t_capture_ns - self.first_ns >= HURRIED_NS

    @property
    def is_hurried(self) -> bool:
        """Whether to try although frames wait."""
        return self.waited >= HURRIED_POSES or self.is_late

    def looked(self, heights: np.ndarray) -> None:
        """Take the heights [15] of the keypoints in the picture that was wanted."""
        self.waited = 0
        row = self.rounds[-1]
        row.append(float(heights.mean()))
        if self.trial is not None and len(row) < len(ROTATIONS):
            self.wanted = np.ascontiguousarray(np.rot90(self.trial, -len(row)))  # clockwise
            return
        self.trial = self.wanted = None
        if len(self.rounds) == ROUNDS:
            self.end_trial(np.array(self.rounds))

    def end_trial(self, heights: np.ndarray) -> None:
        """Judge by mean heights [rounds, 4] in the four turns."""
        means = heights.mean(0)
        best = int(means.argmax())
        self.sureness = float(means[0])
        is_sure = means[best] >= LEAST_SURE and (heights.argmax(1) == best).all()
        if is_sure and (best == 0 or means[best] - means[0] >= LEAST_GAIN):
            self.judge(ROTATIONS[best], self.round_ns)
            return
        self.is_unseen = self.pause_s > PAUSE_FIRST_S and means[best] < LEAST_SURE
        self.again_s, self.first_ns = time.monotonic() + self.pause_s, None
        self.pause_s = min(2 * self.pause_s, PAUSE_LONGEST_S)

    def judge(self, rotate: int, t_ns: int) -> None:
        """Settle the turn, at a frame captured at ``t_ns``."""
        self.verdict = Mount(rotate)
        self.is_unseen, self.pause_s = False, PAUSE_FIRST_S
        self.again_s = time.monotonic() + AGAIN_S
        self.trial = self.wanted = None
        self.see_rim(self.verdict, t_ns)

    def see_rim(self, turned: Mount, t_ns: int) -> None:
        """Settle whether the picture, after that turn, is mirrored, too; or leave it open for a frame to come."""
        if self.brightest is None or self.first_ns is None or t_ns < self.rim_ns:
            return
        self.rim_ns = t_ns + RIM_STEP_NS
        mirrored = MIRRORED.after(turned)
        explained = rim_explained(self.view, self.brightest, [turned, mirrored])
        is_clear = max(explained) >= RIM_EXPLAINED and min(explained) <= RIM_OTHER * max(explained)
        if is_clear and explained[1] > explained[0]:
            self.verdict = mirrored
        if is_clear or t_ns - self.first_ns >= RIM_LONGEST_NS:
            self.brightest = None

    def text(self) -> str:
        """What is wrong and what to type; empty while nothing is known to be."""
        if self.is_unseen:
            return NOT_SEEN.format(self.sureness)
        if self.verdict is None or self.verdict.is_upright or self.brightest is not None:
            return ""
        return f"{what_is_wrong(self.verdict)}. {what_to_type(self.view.mount, self.verdict.after(self.view.mount))}"


def mean_height(confidence: np.ndarray) -> float:
    """The mean of keypoints' confidence [15] where the camera can see them; 0 where it sees none."""
    seen = confidence[confidence > 0]
    return float(seen.mean()) if seen.size else 0.0


def what_is_wrong(verdict: Mount) -> str:
    """What a picture looks like that such a mount makes upright, for people."""
    turn = -verdict.rotate % 360 if verdict.flip else verdict.rotate
    return "; ".join(text for text in (BODY_AT[turn], IS_MIRRORED if verdict.flip else "") if text)


def what_to_type(used: Mount, wanted: Mount) -> str:
    """The flags that make the picture upright, given those in use."""
    if wanted.is_upright:
        return f"Run without {flags(used)}"
    return f"Run with {flags(wanted)}" + (f" instead of {flags(used)}" if not used.is_upright else "")


def flags(mount: Mount) -> str:
    """The flags of ``egostream run`` for a mount that is not upright."""
    return " ".join([f"--rotate {mount.rotate}"] * bool(mount.rotate) + ["--flip"] * mount.flip)


def rim_explained(view: CameraView, image: np.ndarray, mounts: Sequence[Mount]) -> list[float]:
    """How well circles about the lens's axis explain the brightness at the picture's rim, 0..1, for each mount.

    image: the brightest of an input's pixels, uint8 [256, 256, 3]. mounts: each, in turn, taken for the one that makes
    the picture upright.
    """
    mapping, lens = view.mapping, view.canonical.lens
    x, y = np.meshgrid(np.arange(0, INPUT_SIZE, RIM_EVERY), np.arange(0, INPUT_SIZE, RIM_EVERY))
    grid = mapping.canonical_from_input(np.stack([x, y], -1))
    axis, middle = np.array([lens.cx, lens.cy]), mapping.canonical_from_input(np.full(2, (INPUT_SIZE - 1) / 2))
    side = np.linalg.norm(lens.project(np.array([1.0, 0.0, 0.0]))[0] - axis)
    distances = [np.linalg.norm(grid - ((axis - middle) @ mount.matrix + middle), axis=-1) for mount in mounts]
    is_rim = np.any([(distance > RIM[0] * side) & (distance < RIM[1] * side) for distance in distances], axis=0)
    grey = image[::RIM_EVERY, ::RIM_EVERY].max(-1)[is_rim].astype(float)
    grey = np.clip(grey - np.percentile(grey, 5), 0, RIM_LEVELS)
    if not grey.any():
        return [0.0] * len(mounts)
    width = RIM_EVERY * view.mapping.extent[1] / INPUT_SIZE
    return [explained_by_rings(grey, (distance[is_rim] / width).astype(int)) for distance in distances]


def explained_by_rings(grey: np.ndarray, ring: np.ndarray) -> float:
    """The part of the variance of grey [n] that the mean of each ring, by number [n], explains."""
    means = np.bincount(ring, grey) / np.maximum(np.bincount(ring), 1)
    return float(1 - np.mean((grey - means[ring]) ** 2) / max(float(grey.var()), 1e-9))


class MountChecks:
    """The checks of all streams of a run: told of every pose, they try turns between poses and say what is wrong.

    live_streams, is_frame_waiting: as ``TrainedStepEstimator`` takes them. Nothing is checked where the weights'
    heatmaps mean nothing.
    """

    def __init__(
        self,
        setup: RunSetup,
        worker: Worker,
        estimator: Estimator,
        live_streams: Collection[int],
        is_frame_waiting: Callable[[], bool],
    ):
        self.worker, self.estimator = worker, estimator
        self.live_streams, self.is_frame_waiting = live_streams, is_frame_waiting
        has_heatmaps = setup.weights.trained and setup.weights.network.get("use_tokens", True)
        states: list[StreamState] = estimator.streams if has_heatmaps else []
        self.checks = [MountCheck(state.view) for state in states]
        self.names = [stream.config.stream for stream in setup.streams]
        self.texts = [""] * len(self.checks)  # by stream, as the boards have them
        for link in worker.links:
            link.board.say("infer_mount", "")

    def saw(self, number: int, frame: NetworkInput, pose: Pose) -> None:
        """Take note of a stream's frame and its pose."""
        if self.checks:
            self.checks[number].saw(frame, pose.confidence)

    def catch_up(self) -> None:
        """Try what turns there is time for, and say what was found. Call it when poses are out."""
        for number, check in enumerate(self.checks):
            while check.wanted is not None and self.may_look(number, check):
                check.looked(self.estimator.look(check.wanted)[1])
            if (text := check.text()) != self.texts[number]:
                self.tell(number, text)

    def may_look(self, number: int, check: MountCheck) -> bool:
        """Whether a run of the network fits in now: it delays whatever frame waits."""
        return number not in self.live_streams or check.is_hurried or not self.is_frame_waiting()

    def tell(self, number: int, text: str) -> None:
        """Put a stream's new finding where its status has it, and where the user reads it."""
        self.texts[number] = text
        self.worker.links[number].board.say("infer_mount", text)
        if text:
            self.worker.say(f"stream {self.names[number]}: {text}" if len(self.names) > 1 else text)
