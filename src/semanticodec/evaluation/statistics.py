"""How sure a mean over clips is: bootstrap intervals.

Every number of a report is a function of sums over the clips of a domain (a mean, a ratio such as
word errors / words, a correlation), or the mean over domains of one of these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float
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
    """The clips of one domain.

    Attributes:
        values: K finite values of every clip, at least one: a score and 1, or word errors and
            words.
        number: sums of the values over clips [..., K] -> the domain's number [...].
    """

    values: Float[np.ndarray, "N K"]
    number: Callable[[np.ndarray], np.ndarray | np.floating]


def mean(sums: Float[np.ndarray, "*axes 2"]) -> Float[np.ndarray, "*axes"] | np.floating:
    """Return the means of sums of scores and of ones: the `number` of most measures."""
    return sums[..., 0] / sums[..., 1]


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
        numbers = [
            domain.number(np.stack([row[indices].sum(axis) for row in domain.values.T], axis=-1))
            for domain, indices in zip(strata, drawn)
        ]
        return np.mean(numbers, axis=0)

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
