"""Laws of the plan: shares of the time, and steps that fit into it."""

import pytest

from experiments.accelerator.__main__ import PLANS as NAMES
from experiments.accelerator.plan import (
    EVALUATION_SHARE,
    PLANS,
    allotted_s,
    steps_that_fit,
)
from semanticodec.training.train import Recipe


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_divides_all_its_time_and_builds_on_what_came_before(name):
    steps = PLANS[name]()
    assert sum(step.share for step in steps) + EVALUATION_SHARE == pytest.approx(1.0)
    earlier = set()
    for step in steps:
        assert set(step.modules.values()) <= earlier
        earlier.add(step.name)
    assert steps[-1].name == "decoder"


def test_the_command_offers_all_plans():
    assert set(NAMES) == set(PLANS)


def test_time_that_a_step_leaves_or_takes_is_divided_among_the_others():
    steps = PLANS["large"]()
    whole = allotted_s(steps, 720)
    assert whole == pytest.approx(720 * steps[0].share)
    later = steps[1:]
    assert allotted_s(later, 720 - whole) == pytest.approx(720 * later[0].share)
    assert allotted_s(later, 720 - whole - 100) < 720 * later[0].share
    assert allotted_s(later, -5) == 0


def test_there_is_always_a_step_to_do():
    assert steps_that_fit(100, 8.0, 60) == 580
    assert steps_that_fit(100, 8.0, -3) == 101


def test_large_recipes_of_the_plan_have_names_of_their_own():
    recipes = [step.make() for step in PLANS["large"]()]
    trained = [recipe.name for recipe in recipes if isinstance(recipe, Recipe)]
    assert all("large" in name for name in trained) and len(set(trained)) == len(trained)
