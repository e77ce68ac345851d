"""The parts in their order: which command each is, what it makes, and how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from egostream.graph.weights import Weights
from tools.adapting.options import AdaptOptions
from tools.adapting.plan import PEOPLE_FPS, PEOPLE_FRAMES, TRIAL_FRAMES, VAL_FRAMES, VALIDATIONS, Plan, batch_size
from tools.adapting.work import python, tool

CHECKPOINT_MINUTES = 2
#: Windows of a step of the pose's training, and steps between validations. Chosen by hand; not measured.
POSE_BATCH, POSE_VAL_EVERY = {False: 12, True: 48}, 30
MOST_EPOCHS = 1000  # minutes end a training
LEARNING_RATE = {False: 4e-4, True: 1e-3}  # of heatmaps: with a GPU, a step has sixteen times the frames


@dataclass(frozen=True)
class Step:
    """One part of the work."""

    name: str  # as the plan calls it
    title: str  # as people read it
    command: list[str]
    product: Path  # there when the part is finished
    output: Path | None = None  # file for what it prints
    made: Callable[[], float] | None = None  # share that is made so far, where files tell


@dataclass(frozen=True)
class Places:
    """Where everything lies in the out folder."""

    out: Path

    def __getattr__(self, name: str) -> Path:
        return self.out / FOLDERS[name]


FOLDERS = {
    "people": "data/people",  # short recordings
    "clips": "data/clips",  # long ones: to judge on, and to learn poses from
    "heatmaps": "runs/heatmap",
    "pose": "runs/pose",
    "whole": "runs/pose/weights",  # unpacked
    "cache": "cache",
    "weights": "weights",  # packed, with int8's scales
    "engines": "engines",
    "before": "before.json",
    "after": "after.json",
    "logs": "logs",
}


class Kitchen:
    """Makes the commands of one run. weights: those to start from."""

    def __init__(self, options: AdaptOptions, weights: Weights):
        self.options, self.weights, self.at = options, weights, Places(options.out)

    @property
    def clip_frames(self) -> int:
        """Frames of a long recording: the causal form needs twice its window."""
        if self.options.trial:
            return TRIAL_FRAMES
        return self.weights.window * (2 if self.weights.temporal == "causal" else 1)

    @property
    def learns_pose(self) -> bool:
        """Whether the pose has to be trained for new heatmaps. Motion from the body knows no picture."""
        return "backbone" in self.weights.graphs

    def render(self, folder: Path, fps: float, frames: int, seed: int, **counts: int) -> list[str]:
        """Rendering of recordings, ``counts`` of each split."""
        o = self.options
        command = tool("make_synthetic", "--out", folder, "--calibration", o.calibration, "--rig", o.rig)
        command += ["--fps", f"{fps:g}", "--frames", str(frames), "--seed", str(seed), "--jobs", str(o.jobs)]
        command += ["--mapping", self.weights.input.mapping]
        command += ["--body", str(o.body)] if o.body else []
        command += ["--motion", *map(str, o.motion)] if o.motion else []
        for split in ("train", "val", "test"):
            command += [f"--{split}", str(counts.get(split, 0))]
        return command

    def render_people(self, **counts: int) -> list[str]:
        """Rendering of short recordings."""
        return self.render(self.at.people, PEOPLE_FPS, PEOPLE_FRAMES, self.options.seed, **counts)

    def render_clips(self, **counts: int) -> list[str]:
        """Rendering of long recordings, of other people than the heatmaps learn from."""
        fps = round(1000 / self.weights.step_ms, 3)
        return self.render(self.at.clips, fps, self.clip_frames, self.options.seed + 1, **counts)

    def evaluate(self, weights: Path) -> list[str]:
        """Evaluation on held-out recordings, as a run streams."""
        return tool("evaluate", "--data", self.at.clips, "--split", "test", "--weights", weights, "--json")

    def train_heatmaps(self, plan: Plan, has_gpu: bool) -> list[str]:
        """Training of heatmaps, from those of the weights."""
        assert self.weights.folder is not None, "weights that were loaded lie in a folder"
        command = tool("train_heatmap", "--data", self.at.people, "--init", self.weights.folder)
        command += ["--out", str(self.at.heatmaps), "--batch", str(batch_size(has_gpu))]
        command += ["--lr", str(LEARNING_RATE[has_gpu]), "--warmup", "30", "--ema", "0.998"]
        command += ["--val-every", str(max(10, plan.heatmap_steps // VALIDATIONS)), "--val-frames", str(VAL_FRAMES)]
        return command + self.budget(plan.heatmap_minutes) + (["--resident"] if has_gpu else [])

    def train_pose(self, plan: Plan, has_gpu: bool) -> list[str]:
        """Training of what follows the heatmaps, on the kept outputs of the frozen networks."""
        assert self.weights.folder is not None, "weights that were loaded lie in a folder"
        command = tool("train_pose", "--data", self.at.clips, "--init", self.weights.folder)
        command += ["--heatmap", str(self.at.heatmaps), "--out", str(self.at.pose), "--cache", str(self.at.cache)]
        command += ["--stride", "8", "--freeze-embedding", "--dropout", "0", "--frames-per-window", "16"]
        command += ["--batch", str(POSE_BATCH[has_gpu]), "--lr", "2e-4", "--warmup", "20", "--ema", "0.99"]
        command += ["--val-every", str(POSE_VAL_EVERY), "--description", self.weights.description]
        return command + self.switches() + self.budget(plan.pose_minutes)

    def switches(self) -> list[str]:
        """The options of train_pose.py that make the network that the weights are of."""
        switches = {
            "use_tokens": "--no-tokens",
            "use_motion": "--no-motion",
            "use_cross_attention": "--no-cross-attention",
            "use_identity": "--no-joint-identity",
        }
        return [flag for name, flag in switches.items() if not self.weights.network.get(name, True)]

    def budget(self, minutes: float) -> list[str]:
        """When a training ends, and how often it keeps what it has."""
        return [
            *("--max-minutes", f"{minutes:.2f}", "--epochs", str(MOST_EPOCHS)),
            *("--checkpoint-minutes", str(CHECKPOINT_MINUTES)),
        ]

    def pose_step(self, plan: Plan, has_gpu: bool) -> Step:
        """How whole weights come of new heatmaps."""
        at, whole = self.at, self.at.whole / "weights.json"
        if self.learns_pose:
            return Step("pose", "learning poses", self.train_pose(plan, has_gpu), whole)
        command = python("-m", "tools.adapting.new_heatmaps", self.weights.folder, at.heatmaps, at.whole)
        return Step("pose", "joining heatmaps and motion", command, whole)

    def quantize(self) -> list[str]:
        """The search for int8's scales."""
        o = self.options
        clip = ["--frames", str(o.clip), "--calibration", str(o.calibration)] if o.clip else []
        few = ["--count", str(TRIAL_FRAMES)] if o.trial else []
        return tool("quantize", self.at.weights, *clip, *few)

    def steps(self, plan: Plan, has_gpu: bool) -> list[Step]:
        """All parts of a plan."""
        at, L = self.at, plan.clip_frames
        assert self.weights.folder is not None, "weights that were loaded lie in a folder"
        people = {"train": plan.people, "val": plan.people_val}
        clips = {"train": plan.clips, "val": plan.clips_val, "test": plan.judged}
        made = lambda folder, count: lambda: frames_in(folder) / max(1, count)
        shots, moves = sum(people.values()) * PEOPLE_FRAMES, sum(clips.values()) * L
        first, before = self.render_clips(test=plan.judged), self.evaluate(self.weights.folder)
        learned, scales = at.heatmaps / "heatmap.safetensors", at.weights / "int8.json"
        heatmaps = self.train_heatmaps(plan, has_gpu)
        pack = tool("pack_weights", at.whole, "--out", at.weights)
        few = ["--precision", "fp32", "--count", "1"] if self.options.trial else []
        engines = tool("build_engine", at.weights, "-o", at.engines, *few)
        after = self.evaluate(at.weights)
        found = [
            Step("judged", "rendering people to judge by", first, at.clips, None, made(at.clips, plan.judged * L)),
            Step("before", "evaluating the weights before", before, at.before, at.before),
            Step("people", "rendering people", self.render_people(**people), at.people, None, made(at.people, shots)),
            Step("heatmaps", "learning heatmaps", heatmaps, learned),
            Step("clips", "rendering movement", self.render_clips(**clips), at.clips, None, made(at.clips, moves)),
            self.pose_step(plan, has_gpu),
            Step("pack", "packing", pack, at.weights / "weights.json"),
            Step("quantize", "finding int8's scales", self.quantize(), scales),
            Step("after", "evaluating the new weights", after, at.after, at.after),
            Step("engines", "building engines", engines, at.engines),
        ]
        return [step for step in found if step.name in plan.seconds]


def frames_in(folder: Path) -> int:
    """Pictures rendered so far, those of unfinished recordings too."""
    return sum(1 for _ in folder.glob("*/*/*.jpg"))
