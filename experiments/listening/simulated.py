"""Simulated listeners of known preferences. They hear nothing: no person stands behind a number.

A careful one scores a condition

    quality + a bias of their own + noise of each page, rounded, within 0 and 100

and the hidden reference 100. A careless one scores at random. Both go through the same session as
people do, and the storage marks them as simulated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from semanticodec.listening.order import Presentation, presentations
from semanticodec.listening.plan import ABX, MUSHRA, REFERENCE, Plan
from semanticodec.listening.session import Test

SECONDS_PER_PAGE = 60.0


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Who takes part.

    Attributes:
        qualities: true score of every condition but the hidden reference, 0 to 100.
        num_careful: listeners who do what they are asked to.
        num_careless: listeners who score at random.
        bias_std: standard deviation of what one listener adds to all scores.
        noise_std: standard deviation of what comes on top on every page.
        share_right: how often a careful listener is right about X.
        seed: random seed.
    """

    qualities: Mapping[str, float]
    num_careful: int
    num_careless: int = 0
    bias_std: float = 6.0
    noise_std: float = 8.0
    share_right: float = 0.5
    seed: int = 0


def hold(test: Test, panel: Panel) -> list[str]:
    """Let the panel answer the whole test; return the tokens of its listeners, careless ones last.

    Args:
        test: the test, which nobody of the panel has begun.
        panel: who takes part.
    """
    rng = np.random.default_rng(panel.seed)
    listeners = []
    for index in range(panel.num_careful + panel.num_careless):
        listener = hashlib.sha256(f"simulated {panel.seed} {index}".encode()).hexdigest()[:32]
        bias = None if index >= panel.num_careful else rng.normal(0, panel.bias_std)
        test.join(listener, is_simulated=True)
        for number, shown in enumerate(presentations(test.plan, listener)):
            values = _values(test.plan, panel, shown, bias, rng)
            test.answer(listener, number, values, SECONDS_PER_PAGE)
        listeners.append(listener)
    return listeners


def _values(
    plan: Plan, panel: Panel, shown: Presentation, bias: float | None, rng: np.random.Generator
) -> list[int]:
    if plan.mode == ABX:
        is_right = rng.random() < (0.5 if bias is None else panel.share_right)
        x = shown.slots.index(shown.given)
        return [x if is_right else 1 - x]
    assert plan.mode == MUSHRA
    if bias is None:
        return rng.integers(0, 101, len(shown.slots)).tolist()
    roles = {condition.name: condition.role for condition in plan.conditions}
    noise = rng.normal(0, panel.noise_std, len(shown.slots))
    return [
        100
        if roles[name] == REFERENCE
        else round(float(np.clip(panel.qualities[name] + bias + extra, 0, 100)))
        for name, extra in zip(shown.slots, noise)
    ]
