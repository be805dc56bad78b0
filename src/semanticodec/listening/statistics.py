"""What scores say of conditions: means with 95 % intervals, medians, quartiles, differences.

Intervals are Student's, over listeners: each counts with the mean of their scores, so that they say
what other listeners would make of these clips. They say nothing of other clips.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.stats import binomtest, t

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean with its 95 % interval.

    Attributes:
        mean: over listeners.
        low: lower bound; the mean where there is one listener only.
        high: upper bound.
    """

    mean: float
    low: float
    high: float


def interval(values: Float[np.ndarray, " N"]) -> Interval:
    """Return the mean of one value per listener with its 95 % interval."""
    center = float(values.mean())
    if len(values) < 2:
        return Interval(mean=center, low=center, high=center)
    error = float(values.std(ddof=1)) / np.sqrt(len(values))
    half = float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * error
    return Interval(mean=center, low=center - half, high=center + half)


def describe(values: Float[np.ndarray, "N P"]) -> dict[str, float]:
    """Return mean, interval, median and quartiles of a condition's scores.

    Args:
        values: scores of N listeners on P pages, neither 0.
    """
    found = interval(values.mean(axis=1))
    quarter, median, three_quarters = (float(x) for x in np.percentile(values, [25, 50, 75]))
    return {
        "mean": found.mean,
        "low": max(0.0, found.low),
        "high": min(100.0, found.high),
        "median": median,
        "lower_quartile": quarter,
        "upper_quartile": three_quarters,
    }


def differences(means: Mapping[str, Float[np.ndarray, " N"]]) -> list[dict[str, Any]]:
    """Return how far every condition lies from those after it, listener by listener.

    Args:
        means: mean score of each of N listeners by condition.
    """
    names = list(means)
    return [
        {"condition": first, "other": second, **vars(interval(means[first] - means[second]))}
        for place, first in enumerate(names)
        for second in names[place + 1 :]
    ]


def binomial(num_right: int, num_trials: int) -> dict[str, Any]:
    """Return how likely guessing is right so often, and the share of right answers.

    Args:
        num_right: right answers.
        num_trials: answers, at least one.
    """
    test = binomtest(num_right, num_trials, 0.5, alternative="greater")
    bounds = binomtest(num_right, num_trials, 0.5).proportion_ci(CONFIDENCE, method="wilson")
    return {
        "num_right": num_right,
        "num_trials": num_trials,
        "share": num_right / num_trials,
        "low": float(bounds.low),
        "high": float(bounds.high),
        "p_value": float(test.pvalue),
    }
