"""How sure a mean over clips is: bootstrap intervals.

Every number of a report is one of: a mean over clips; a ratio of sums (word errors / words); the
mean over domains of one of these. All are `Strata`: per domain, values and their weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.stats import bootstrap

NUM_RESAMPLES = 2000
CONFIDENCE = 0.95
SEED = 0
# Indices drawn at once: bounds the memory of resampling a large suite.
MAX_DRAWN = 4_000_000


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with its 95 % interval.

    Attributes:
        mean: over the clips as they are.
        low: 2.5th percentile over resampled sets of clips.
        high: 97.5th percentile.
        num_clips: number of clips it rests on.
    """

    mean: float
    low: float
    high: float
    num_clips: int

    def as_dict(self) -> dict[str, float]:
        """Return the fields as JSON holds them."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Stratum:
    """The clips of one domain; their number is sum(values) / sum(weights).

    Attributes:
        values: one per clip: a score, or a count of word errors.
        weights: one per clip: 1 for a mean, the number of words for an error rate.
    """

    values: Float[np.ndarray, " N"]
    weights: Float[np.ndarray, " N"]


def stratum(values: ArrayLike, weights: ArrayLike | None = None) -> Stratum:
    """Return the clips of a domain.

    Args:
        values: values of the stratum, at least one, finite.
        weights: positive; None for the plain mean.
    """
    array = np.asarray(values, dtype=np.float64)
    ones = np.ones_like(array)
    return Stratum(
        values=array, weights=ones if weights is None else np.asarray(weights, dtype=np.float64)
    )


def estimate(
    strata: Sequence[Stratum], *, num_resamples: int = NUM_RESAMPLES, seed: int = SEED
) -> Estimate:
    """Return the mean over domains of each domain's number, with its percentile interval.

    Clips are drawn with replacement inside each domain, so that every resampled set has as many
    clips of each as the suite has.

    Args:
        strata: one per domain, none empty.
        num_resamples: number of sets of clips to draw.
        seed: random seed of the draws; the same seed and clips give the same interval.
    """
    assert strata and all(len(domain.values) for domain in strata)

    def mean_of_domains(*drawn: np.ndarray, axis: int) -> np.ndarray:
        sums = [
            domain.values[indices].sum(axis) / domain.weights[indices].sum(axis)
            for domain, indices in zip(strata, drawn)
        ]
        return np.mean(sums, axis=0)

    # A set of one clip counts twice, which changes no quotient: scipy wants two values at least.
    indices = [np.arange(max(2, len(domain.values))) % len(domain.values) for domain in strata]
    found = bootstrap(
        indices,
        mean_of_domains,
        vectorized=True,
        n_resamples=num_resamples,
        batch=max(1, MAX_DRAWN // max(map(len, indices))),
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=seed,
    )
    return Estimate(
        mean=float(mean_of_domains(*indices, axis=-1)),
        low=float(found.confidence_interval.low),
        high=float(found.confidence_interval.high),
        num_clips=sum(len(domain.values) for domain in strata),
    )
