"""How the time is split among the parts, by what this machine was measured to do."""

from __future__ import annotations

from dataclasses import dataclass

from egostream.errors import EgostreamError
from tools.adapting.said import duration

#: Recordings of a person in a room that teach heatmaps, as docs/training.md advises: frames, and frames a second.
PEOPLE_FRAMES, PEOPLE_FPS = 10, 1.5
#: Fewest recordings for a verdict: an interval over fewer is none. Most that are made, and their share of the time.
JUDGED, MOST_JUDGED, JUDGED_SHARE = 8, 48, 0.1
VAL_SHARE = 0.1  # of the recordings to learn from, for validation
#: Of the time to learn: heatmaps (with their people), the rest is the pose's.
HEATMAP_SHARE = 0.6
#: Times that every rendered frame is seen, at least; and the least share of training, where that is too quick for it.
PASSES, LEAST_TRAINING = 4, 0.25
POSE_TRAINING = 0.3  # share of the pose's time for training; the rest is rendering and the frozen networks
VALIDATIONS, VAL_FRAMES = 5, 128  # of a training of heatmaps
#: What exporting and the last parts cost, in frames through the frozen networks. The engines' cost is a guess; the
#: others were measured in a trial, on two cores with little time to spare.
EXPORT_FRAMES = 330
PACK_FRAMES, QUANTIZE_FRAMES, ENGINES_FRAMES = 100, 700, 900
STARTS = 11  # programs that are started


@dataclass(frozen=True)
class Rates:
    """What this machine was measured to do."""

    has_gpu: bool
    start_s: float  # seconds until a program with PyTorch is ready
    people: float  # frames of short recordings rendered a second
    clips: float  # frames of long recordings rendered a second
    learn: float  # frames a second that the heatmap network learns from
    see: float  # frames a second through the frozen heatmap network and backbone
    estimate: float  # poses a second through the streaming engine

    def __str__(self) -> str:
        return (
            f"{'a GPU' if self.has_gpu else 'no GPU'}; a second: {self.people:.1f} frames rendered ({self.clips:.1f} "
            f"of long recordings), {self.learn:.1f} learned from, {self.see:.1f} seen, {self.estimate:.1f} poses"
        )


@dataclass(frozen=True)
class Least:
    """The least of everything."""

    judged: int = JUDGED  # recordings to judge by
    train: int = 8  # recordings to learn from, of either kind
    val: int = 2  # recordings to validate on, of either kind
    training_s: float = 45.0  # seconds of either training


#: What shows in minutes that every part works on this machine, and no more than that. Its clips are short.
TRIAL, TRIAL_FRAMES = Least(judged=2, train=2, val=1, training_s=20.0), 16


@dataclass(frozen=True)
class Plan:
    """How much of everything, and how long each part takes, in seconds."""

    clip_frames: int  # of a long recording
    judged: int  # held-out recordings
    people: int  # short recordings to learn heatmaps from
    people_val: int
    heatmap_minutes: float
    heatmap_steps: int  # about
    clips: int  # long recordings to learn poses from; 0 where there is no pose to learn
    clips_val: int
    pose_minutes: float
    seconds: dict[str, float]  # part -> expected seconds

    @property
    def total_s(self) -> float:
        """All parts, seconds."""
        return sum(self.seconds.values())


def batch_size(has_gpu: bool) -> int:
    """Frames of a step of the heatmaps' training."""
    return 256 if has_gpu else 16


def make_plan(hours: float, rates: Rates, clip_frames: int, learns_pose: bool) -> Plan:
    """Split a time among the parts. Raises EgostreamError when it is too short for anything."""
    least = split(0.0, rates, clip_frames, learns_pose)
    if least.total_s > 3600 * hours:
        raise EgostreamError(
            f"--hours {hours:g} is too short for this machine, which needs {duration(least.total_s)} for the least "
            f"({rates}). Give --hours {least.total_s / 3600 * 1.05:.2f} or more; far more is better"
        )
    return split(3600 * hours, rates, clip_frames, learns_pose)


def trial_plan(rates: Rates, learns_pose: bool) -> Plan:
    """The plan of a trial, which takes what it takes."""
    return split(0.0, rates, TRIAL_FRAMES, learns_pose, TRIAL)


def split(budget_s: float, rates: Rates, L: int, learns_pose: bool, least: Least = Least()) -> Plan:  # noqa: B008
    """The plan of a budget of seconds; ``least`` where the budget is less. L: frames of a clip."""
    judge_s = L / rates.clips + 2 * L / rates.estimate
    judged = within(JUDGED_SHARE * budget_s / judge_s, least.judged, MOST_JUDGED)
    finish = {"pack": PACK_FRAMES, "quantize": QUANTIZE_FRAMES, "engines": ENGINES_FRAMES}
    fixed = sum(finish.values()) + (EXPORT_FRAMES if learns_pose else 0)
    left = budget_s - judged * judge_s - fixed / rates.see - STARTS * rates.start_s
    people, people_val, heatmap_s = for_heatmaps(left * (HEATMAP_SHARE if learns_pose else 1.0), rates, least)
    clips, clips_val, pose_s = for_poses(left * (1 - HEATMAP_SHARE), rates, L, least) if learns_pose else (0, 0, 0.0)
    validating = VALIDATIONS * min(VAL_FRAMES, people_val * PEOPLE_FRAMES) / rates.see
    seconds = {
        "judged": judged * L / rates.clips,
        "before": judged * L / rates.estimate,
        "people": (people + people_val) * PEOPLE_FRAMES / rates.people,
        "heatmaps": heatmap_s + validating,
        "clips": (clips + clips_val) * L / rates.clips,
        "pose": pose_s + ((clips + clips_val) * L + (EXPORT_FRAMES if learns_pose else 0)) / rates.see,
        **{part: frames / rates.see for part, frames in finish.items()},
        "after": judged * L / rates.estimate,
    }
    seconds = {part: value + rates.start_s for part, value in seconds.items() if learns_pose or part != "clips"}
    steps = max(1, round(heatmap_s * rates.learn / batch_size(rates.has_gpu)))
    return Plan(L, judged, people, people_val, heatmap_s / 60, steps, clips, clips_val, pose_s / 60, ordered(seconds))


def for_heatmaps(budget_s: float, rates: Rates, least: Least) -> tuple[int, int, float]:
    """Recordings to learn from and to validate on, and seconds of training."""
    render_s, learn_s = 1 / rates.people, PASSES / rates.learn
    learn_s = max(learn_s, render_s * LEAST_TRAINING / (1 - LEAST_TRAINING))
    count = within(budget_s / (PEOPLE_FRAMES * ((1 + VAL_SHARE) * render_s + learn_s)), least.train)
    val = max(least.val, round(VAL_SHARE * count))
    return count, val, max(least.training_s, budget_s - (count + val) * PEOPLE_FRAMES * render_s)


def for_poses(budget_s: float, rates: Rates, L: int, least: Least) -> tuple[int, int, float]:
    """Recordings of L frames to learn from and to validate on, and seconds of training."""
    clip_s = L * (1 / rates.clips + 1 / rates.see)
    count = within((1 - POSE_TRAINING) * budget_s / ((1 + VAL_SHARE) * clip_s), least.train)
    val = max(least.val, round(VAL_SHARE * count))
    return count, val, max(least.training_s, budget_s - (count + val) * clip_s)


def within(value: float, least: int, most: int = 10**6) -> int:
    """A whole number within bounds."""
    return int(min(max(value, least), most))


def ordered(seconds: dict[str, float]) -> dict[str, float]:
    """The parts in the order in which they are done."""
    order = ("judged", "before", "people", "heatmaps", "clips", "pose", "pack", "quantize", "after", "engines")
    return {part: round(seconds[part], 1) for part in order if part in seconds}
