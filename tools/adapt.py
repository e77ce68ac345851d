#!/usr/bin/env python3
"""Fine-tune the shipped weights to your camera, in an evening: on a CPU in hours, on a GPU in minutes.

    python tools/adapt.py --calibration my_headset.json                 # 3 hours on a CPU, half an hour with a GPU
    python tools/adapt.py --calibration my_headset.json --hours 8 --rig brim --clip my-clip.mp4

People in rooms are rendered as your camera sees them. Heatmaps learn from them, starting from the shipped ones; then
what follows does. Weights before and after are evaluated on other rendered people, through the streaming engine. What
comes out is packed, gets int8's scales and engines. At the end stand the verdict, with an interval, and the command to
type. How the time is split is measured first, in a minute.
Killed or stopped by Ctrl-C, the same command goes on where it was. Everything lies in --out:

    weights/        the new weights: packed, with int8's scales        before.json, after.json   the two evaluations
    engines/        their graphs and engines, for other machines       logs/                     all that the parts said
    data/ runs/ cache/   what they were made of; may be deleted        adapt.json                what is done
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from egostream.graph.weights import Weights
from egostream.supervise.signals import stopping_signals
from tools.adapting.measure import measure
from tools.adapting.options import CPU_HOURS, GPU_HOURS, AdaptOptions, parse_options
from tools.adapting.plan import Plan, Rates, make_plan, trial_plan
from tools.adapting.record import Record, load_record, save_record
from tools.adapting.refuse import (
    check_files,
    check_packages,
    check_space,
    claimed,
    read_camera,
    read_weights,
    told_of,
)
from tools.adapting.said import Teller, duration
from tools.adapting.steps import Kitchen
from tools.adapting.verdict import Verdict, judge
from tools.adapting.walk import walk
from tools.entry import run_tool


def planned(options: AdaptOptions, kitchen: Kitchen, record: Record, teller: Teller, claim: int | None) -> Plan:
    """The plan that the record has, or a new one out of what this machine can do."""
    if record.plan is None or record.rates is None:
        teller.say("measuring what this machine can do, about a minute")
        record.rates = measure(kitchen, teller, claim)
        hours = options.hours or (GPU_HOURS if record.rates.has_gpu else CPU_HOURS)
        if options.trial:
            record.plan = trial_plan(record.rates, kitchen.learns_pose)
        else:
            record.plan = make_plan(hours, record.rates, kitchen.clip_frames, kitchen.learns_pose)
        check_space(options.out, record.plan)
        save_record(options.out, record)
    say_plan(record.plan, record.rates, kitchen, record, teller)
    return record.plan


def say_plan(plan: Plan, rates: Rates, kitchen: Kitchen, record: Record, teller: Teller) -> None:
    """Say what will be done, and how long it takes."""
    teller.say(f"this machine: {rates}")
    left_s = 0.0
    for step in kitchen.steps(plan, rates.has_gpu):
        is_done = step.name in record.done
        rest_s = 0.0 if is_done else max(0.0, plan.seconds[step.name] - record.spent_s.get(step.name, 0.0))
        left_s += rest_s
        teller.say(f"  {step.title:34} {'done' if is_done else 'about ' + duration(rest_s)}")
    learned = f"{plan.people} people to learn from, {plan.clips} in motion" if plan.clips else f"{plan.people} people"
    teller.say(f"{learned}; judged on {plan.judged} others. About {duration(left_s)} left, of {duration(plan.total_s)}")


def say_end(options: AdaptOptions, kitchen: Kitchen, verdict: Verdict, teller: Teller) -> None:
    """Say the verdict and the one command that follows from it."""
    teller.say()
    for line in verdict.lines():
        teller.say(line)
    new = os.path.relpath(kitchen.at.weights)
    before = [] if options.weights is None else ["--weights", os.path.relpath(options.weights)]
    weights = ["--weights", new] if verdict.is_better else before
    command = ["egostream run --camera 0", *weights, "--calibration", os.path.relpath(options.calibration)]
    teller.say("Now type:" if verdict.is_better else f"The weights before are the ones to use ({new} to try the new):")
    print(" ".join(command))


def heed_signals(teller: Teller) -> None:
    """A polite kill and a closed terminal stop the work in order, as Ctrl-C does."""

    def stop(*_: object) -> None:
        teller.say("stopping: what is done is kept")
        raise KeyboardInterrupt

    for number in stopping_signals():
        signal.signal(number, stop)


def begin(options: AdaptOptions, teller: Teller) -> tuple[Weights, Record]:
    """What to start from, and what is done already. Raises EgostreamError for all that could only fail later."""
    check_packages()
    check_files(options)
    weights = read_weights(options)
    camera = read_camera(options, weights, teller)
    record = load_record(options.out, told_of(options, camera, weights))
    if not options.body:
        teller.say("WARNING: without --body, people are rounded limbs: weights get used to them (docs/training.md)")
    check_space(options.out, record.plan)
    return weights, record


def main(arguments: list[str] | None = None) -> None:
    """Do what is left to do in --out, and say what came out."""
    options, teller = parse_options(arguments, __doc__), Teller()
    weights, record = begin(options, teller)
    kitchen = Kitchen(options, weights)
    with claimed(options.out) as claim:
        save_record(options.out, record)
        heed_signals(teller)
        plan = planned(options, kitchen, record, teller, claim)
        assert record.rates is not None, "a plan is made of rates"
        walk(kitchen.steps(plan, record.rates.has_gpu), plan, record, options.out, teller, claim)
    say_end(options, kitchen, judge(kitchen.at.before, kitchen.at.after, bool(options.body)), teller)


if __name__ == "__main__":
    run_tool(main, stopped="stopped. Run the same command to go on")
