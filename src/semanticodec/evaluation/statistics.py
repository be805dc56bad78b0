"""How sure a mean over clips is: bootstrap intervals, paired differences, rank correlation.

Every figure of a report is one of: a mean over clips; a ratio of sums (word errors / words); the
mean over domains of one of these. All are `Strata`: per domain, values and their weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float

NUM_RESAMPLES = 2000
CONFIDENCE = 0.95
SEED = 0
# Indices drawn at once: bounds the memory of resampling a large suite.
MAX_DRAWN = 4_000_000


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure with its 95 % interval.

    Attributes:
        mean: over the clips as they are.
        low: 2.5th percentile over resampled sets of clips.
        high: 97.5th percentile.
        num_clips: how many clips it rests on.
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
    """The clips of one domain; its figure is sum(values) / sum(weights).

    Attributes:
        values: one per clip: a score, or a count of word errors.
        weights: one per clip: 1 for a mean, the number of words for an error rate.
    """

    values: Float[np.ndarray, " N"]
    weights: Float[np.ndarray, " N"]


def stratum(values: Sequence[float], weights: Sequence[float] | None = None) -> Stratum:
    """Return the clips of a domain.

    Args:
        values: at least one, finite.
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
    """Return the mean over domains of each domain's figure, with its percentile interval.

    Clips are drawn with replacement inside each domain, so that every resampled set has as many
    clips of each as the suite has.

    Args:
        strata: one per domain, none empty.
        num_resamples: sets of clips to draw.
        seed: of the draws; the same seed and clips give the same interval.
    """
    assert strata and all(len(domain.values) for domain in strata)
    rng = np.random.default_rng(seed)
    means = [domain.values.sum() / domain.weights.sum() for domain in strata]
    resampled = np.mean([_resample(domain, num_resamples, rng) for domain in strata], axis=0)
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(resampled, [tail, 100 - tail])
    return Estimate(
        mean=float(np.mean(means)),
        low=float(low),
        high=float(high),
        num_clips=sum(len(domain.values) for domain in strata),
    )


def _resample(
    domain: Stratum, num_resamples: int, rng: np.random.Generator
) -> Float[np.ndarray, " resamples"]:
    """Return the domain's figure for each set of clips drawn from it."""
    num_clips = len(domain.values)
    rows = max(1, MAX_DRAWN // num_clips)
    figures = []
    for start in range(0, num_resamples, rows):
        drawn = rng.integers(num_clips, size=(min(rows, num_resamples - start), num_clips))
        figures.append(domain.values[drawn].sum(axis=1) / domain.weights[drawn].sum(axis=1))
    return np.concatenate(figures)


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """Return Spearman's rank correlation; equal values share the mean of their ranks.

    Raises:
        ValueError: fewer than two pairs, different lengths, or all values of one side equal.
    """
    if len(first) != len(second) or len(first) < 2:
        raise ValueError(
            f"{len(first)} and {len(second)} values have no rank correlation; give at least two "
            "pairs"
        )
    ranks = np.stack([_ranks(first), _ranks(second)])
    if np.any(ranks.std(axis=1) == 0):
        raise ValueError("values that are all equal have no rank correlation")
    return float(np.corrcoef(ranks)[0, 1])


def _ranks(values: Sequence[float]) -> Float[np.ndarray, " N"]:
    array = np.asarray(values, dtype=np.float64)
    _, groups, counts = np.unique(array, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[groups]
