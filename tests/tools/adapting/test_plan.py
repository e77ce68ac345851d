"""How the time is split among the parts."""

from __future__ import annotations

import dataclasses

import pytest

from egostream.errors import EgostreamError
from tools.adapting.plan import JUDGED, Plan, Rates, make_plan, trial_plan

TWO_CORES = Rates(has_gpu=False, start_s=12, people=14.0, clips=17.0, learn=6.0, see=20.0, estimate=50.0)
GPU = Rates(has_gpu=True, start_s=8, people=110.0, clips=130.0, learn=3000.0, see=2500.0, estimate=150.0)


@pytest.mark.parametrize("learns_pose", [True, False], ids=["backbone", "body"])
@pytest.mark.parametrize(("rates", "hours"), [(TWO_CORES, 1), (TWO_CORES, 3), (TWO_CORES, 12), (GPU, 0.25), (GPU, 2)])
def test_a_plan_takes_the_time_that_it_may(rates, hours, learns_pose):
    plan = make_plan(hours, rates, 64, learns_pose)
    assert 0.85 * 3600 * hours < plan.total_s < 1.05 * 3600 * hours
    assert plan.judged >= JUDGED and plan.people_val >= 2 and (plan.clips >= 8) == learns_pose
    assert ("clips" in plan.seconds) == learns_pose and list(plan.seconds)[:2] == ["judged", "before"]


def seen(plan: Plan, rates: Rates) -> float:
    """How often each rendered frame is learned from."""
    return 60 * plan.heatmap_minutes * rates.learn / (plan.people * 10)


def test_time_goes_where_the_machine_is_slow():
    slow, quick = make_plan(3, TWO_CORES, 64, True), make_plan(3, GPU, 64, True)
    assert quick.people > 5 * slow.people and quick.clips > 5 * slow.clips
    assert 3.5 < seen(slow, TWO_CORES) < 5 and seen(quick, GPU) > 5  # training there is cheap: not below its share
    renders_slowly = make_plan(3, dataclasses.replace(TWO_CORES, people=3.0), 64, True)
    assert renders_slowly.people < slow.people and renders_slowly.heatmap_minutes < slow.heatmap_minutes
    assert make_plan(12, TWO_CORES, 64, True).people > 3 * slow.people


def test_too_short_a_time_is_refused_with_the_one_that_would_do():
    with pytest.raises(EgostreamError, match=r"--hours 0.05 is too short.* Give --hours (\S+) or more") as error:
        make_plan(0.05, TWO_CORES, 64, True)
    hours = float(str(error.value).split("Give --hours ")[1].split()[0])
    assert make_plan(hours, TWO_CORES, 64, True).judged == JUDGED


def test_a_trial_is_the_least():
    plan = trial_plan(TWO_CORES, True)
    assert plan.total_s < make_plan(0.5, TWO_CORES, 64, True).total_s / 2 and plan.judged < JUDGED
