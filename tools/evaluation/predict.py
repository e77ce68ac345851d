"""A pose for every frame of a recording: by the runtime's own streaming estimator, or by plain PyTorch.

Both see the frames in order, each stamped with its number over the recording's rate, so that a frame left out is a
gap in time; both start every recording with an empty window.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from egostream.calibration.view import CameraView
from egostream.config import RunConfig
from egostream.engine.backends import choose_backend
from egostream.engine.choose import choose_precision, processor_engines
from egostream.errors import EgostreamError
from egostream.graph.peaks import heatmap_peaks
from egostream.graph.weights import Weights
from egostream.infer.load import load_processor
from egostream.infer.refine import Refiner
from egostream.infer.window import CausalWindow
from egostream.skeleton import JOINT_COUNT
from egostream.types import NetworkInput
from tools.data.inputs import InputReader
from tools.data.sequence import Sequence
from tools.evaluation.truth_told import TellsTruth

if TYPE_CHECKING:
    import torch

UNREADABLE, BEYOND_LIMIT = "with an unreadable image", "beyond --limit"


@dataclass
class Prediction:
    """The poses of a recording's frames that could be read."""

    rows: list[int]  # which frames of the sequence, N of them
    joints: np.ndarray  # [N, 15, 3] metres
    keypoints: np.ndarray  # [N, 15, 2] pixels of the canonical camera
    skipped: Counter = field(default_factory=Counter)  # why -> how many
    problem: str = ""  # what was wrong with the first unreadable image


class Frames:
    """The network inputs of a recording in order, counting the images that cannot be read."""

    def __init__(
        self,
        sequence: Sequence,
        reader: InputReader,
        fps: float,
        limit: int = 0,
        tick: Callable[[], None] = lambda: None,
    ):
        """fps: the rate that the frame numbers count at. limit: frames, 0: all. tick: called once a frame."""
        self.sequence, self.reader, self.tick = sequence, reader, tick
        self.count = min(len(sequence), limit or len(sequence))
        self.times_ns = np.round(np.asarray(sequence.frames, np.float64) * 1e9 / fps).astype(np.int64)
        self.rows: list[int] = []
        self.skipped: Counter = Counter(
            {BEYOND_LIMIT: len(sequence) - self.count} if self.count < len(sequence) else {}
        )
        self.problem = ""

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the capture time in ns and the picture, uint8 RGB [256, 256, 3], of every frame that can be read."""
        for row in range(self.count):
            self.tick()
            try:
                image = self.reader.read(self.sequence, row)
            except EgostreamError as error:
                self.skipped[UNREADABLE] += 1
                self.problem = self.problem or str(error)
                continue
            self.rows.append(row)
            yield int(self.times_ns[row]), image

    def prediction(self, joints: list[np.ndarray] | np.ndarray, keypoints: list[np.ndarray] | np.ndarray) -> Prediction:
        """What was read, with joints [15, 3] and keypoints [15, 2] of each frame. There may be no frame at all."""
        all_joints = np.reshape(joints, (-1, JOINT_COUNT, 3))
        all_keypoints = np.reshape(keypoints, (-1, JOINT_COUNT, 2))
        return Prediction(self.rows, all_joints, all_keypoints, self.skipped, self.problem)


class Predictor(Protocol):
    """What makes the poses of recordings."""

    view: CameraView  # where the network's input lies in the canonical camera's picture
    about: dict  # what ran, for the report

    def predict(self, frames: Frames) -> Prediction:
        """The poses of one recording, which continues no other."""
        ...


class EnginePredictor:
    """What a user of these weights gets: the runtime's estimator, on the engine that ``egostream run`` would build."""

    def __init__(
        self,
        weights: Weights,
        backend: str,
        precision: str,
        say: Callable[[str], None],
        refiner: Refiner | None = None,
        known_stature: bool = False,
        motion: str = "auto",
        told: Collection[str] = (),
    ):
        """refiner: what is done to joints after the network; None: nothing. say: prints one line.

        known_stature: scale every recording's poses to its wearer, as the data say. motion: as --motion. told: what
        the network is told of each camera, of ``HEADSET_PARTS``, as the data say.
        """
        runner = choose_backend(backend)
        precision = choose_precision(RunConfig(precision=precision), weights, runner)
        files = processor_engines(RunConfig(motion=motion), weights, runner, precision, 1, say)
        self.view = CameraView(weights.input)
        self.teller = TellsTruth(frozenset(told))
        self.estimator = load_processor(
            files, weights.step_ns, [self.view], [refiner or Refiner()], tellers=[self.teller]
        )
        self.refiner, self.known_stature, self.segment = self.estimator.streams[0].refiner, known_stature, 0
        manifest = self.estimator.manifest
        self.about = {
            "form": "engine",
            "backend": runner.name,
            "backend_version": manifest.backend_version,
            "precision": precision,
            "device": manifest.device,
            "filter": "one-euro" if self.refiner.smooth else "off",
            "rays": self.refiner.has_rays,
            "known_stature": known_stature,
            "told": sorted(told),
            "motion": self.estimator.motion,
        }

    def predict(self, frames: Frames) -> Prediction:
        """The poses of one recording, frame by frame."""
        self.segment += 1  # continuity ends where a recording does
        self.teller.begin(frames)
        if self.known_stature:
            self.refiner.set_stature(frames.sequence.stature_m)
        poses = [
            self.estimator.estimate(NetworkInput(seq, self.segment, t_ns, image, {}, 0))
            for seq, (t_ns, image) in enumerate(frames)
        ]
        return frames.prediction([pose.joints for pose in poses], [pose.keypoints for pose in poses])


class TorchPredictor:
    """The reference: the network in PyTorch fp32, on a processor.

    The vision graphs run once per frame, the temporal part over every frame's own window.
    """

    BATCH = 16  # frames per pass of the vision graphs
    ROWS = 256  # windows per pass of the temporal graph

    def __init__(self, weights: Weights):
        try:
            import torch

            from tools.network.build import load_network
            from tools.network.spec import require_backbone
        except ImportError as error:
            raise EgostreamError(f"--torch needs PyTorch ({error}). Install it: pip install -e '.[train]'") from None
        require_backbone(weights, "--torch")
        try:
            self.network = load_network(weights)
        except (ValueError, TypeError) as error:
            raise EgostreamError(
                f"weights {weights.folder} do not fit the network: {error}. Make the folder again"
            ) from None
        self.torch, self.weights, self.view = torch, weights, CameraView(weights.input)
        self.about = {
            "form": "torch",
            "backend": "torch",
            "backend_version": torch.__version__,
            "precision": "fp32",
            "device": "cpu",
        }

    def predict(self, frames: Frames) -> Prediction:
        """The poses of one recording, graph by graph over all its frames."""
        torch = self.torch
        with torch.inference_mode():
            times, peaks, tokens, features = self.see(frames)
            if tokens is None or features is None:
                return frames.prediction([], [])
            slots, valid = (torch.from_numpy(x) for x in window_slots(times, self.weights.window, self.weights.step_ns))
            motion_of = self.window_motion if self.weights.temporal == "window" else self.causal_motion
            motion = motion_of(features, slots, valid)
            joints = torch.cat(
                [self.network.decoder(t, m) for t, m in zip(tokens.split(self.ROWS), motion.split(self.ROWS))]
            )
        return frames.prediction(joints.numpy(), [self.view.keypoints_in_camera(peak)[0] for peak in peaks])

    def see(self, frames: Frames) -> tuple[list[int], list[np.ndarray], torch.Tensor | None, torch.Tensor | None]:
        """The vision graphs over all frames that can be read, F of them.

        Times in ns [F], heatmap peaks [15, 2] of each, tokens [F, 15, 128] and features [F, 384]: None without a frame.
        """
        times: list[int] = []
        peaks: list[np.ndarray] = []
        tokens, features = [], []
        read = iter(frames)
        while part := list(itertools.islice(read, self.BATCH)):
            times += [t_ns for t_ns, _ in part]
            batch = self.torch.from_numpy(np.stack([image for _, image in part]))
            heatmaps, token = self.network.heatmap(batch)
            peaks += [heatmap_peaks(heatmap)[0] for heatmap in heatmaps.numpy()]
            tokens.append(token)
            features.append(self.network.backbone(batch))
        if not times:
            return times, peaks, None, None
        return times, peaks, self.torch.cat(tokens), self.torch.cat(features)

    def window_motion(self, features: torch.Tensor, slots: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        """Motion [F, 384]: each frame's window [T, 384], its own feature last, through the temporal graph.

        features [F, 384]; slots and valid [F, T - 1], of ``window_slots``.
        """
        torch, motion = self.torch, []
        for rows in torch.arange(len(features)).split(self.ROWS):
            windows = torch.cat([features[slots[rows]], features[rows].unsqueeze(1)], 1)
            seen = torch.cat([valid[rows], torch.ones(len(rows), 1, dtype=torch.bool)], 1)
            motion.append(self.network.temporal.newest(windows, seen))
        return torch.cat(motion)

    def causal_motion(self, features: torch.Tensor, slots: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        """Motion [F, 384] by the causal form, block by block over the whole recording.

        A frame's block sees the same block of the frames in its slots. Arguments as of ``window_motion``.
        """
        from tools.network.temporal import attend, score_bias

        torch, encoder, x = self.torch, self.network.temporal, features.unsqueeze(1)  # [F, 1, C]
        here = torch.ones(len(x), 1, dtype=torch.bool)
        for i, block in enumerate(encoder.blocks):
            normed = block.ln1(x)
            past = normed[slots[:, -2:], 0] * valid[:, -2:, None]
            taps = past[:, :1], past[:, 1:], normed
            q, k, v = block.query(*taps), block.key(*taps), block.value(*taps)
            reach = encoder.reach(i)
            attended = []
            for rows in torch.arange(len(x)).split(self.ROWS):
                chosen = slots[rows, -reach:]
                seen = torch.cat([valid[rows, -reach:], here[rows]], 1)
                keys, values = (torch.cat([y[chosen, 0], y[rows]], 1) for y in (k, v))
                attended.append(
                    attend(q[rows], keys, values, score_bias(torch.ones(1, reach + 1, dtype=torch.bool), seen))
                )
            x = block.finish(x, torch.cat(attended))
        return x[:, 0]


def window_slots(times_ns: list[int], window: int, step_ns: int) -> tuple[np.ndarray, np.ndarray]:
    """Which earlier frame fills each past slot of every frame, oldest first, at times in ns [F], rising.

    Returns the frames' indices [F, T - 1], 0 where there is none, and whether there is one, bool [F, T - 1].
    """
    memory = CausalWindow(window, step_ns)
    held = np.zeros(memory.capacity, np.int64)  # which frame each row of the ring holds
    slots, valid = np.zeros((len(times_ns), window - 1), np.int64), np.zeros((len(times_ns), window - 1), bool)
    for n, t_ns in enumerate(times_ns):
        if memory.breaks(t_ns):
            memory.reset()
        rows, valid[n] = memory.select(t_ns)
        slots[n] = np.where(valid[n], held[rows], 0)
        held[memory.keep(t_ns)] = n
    return slots, valid
