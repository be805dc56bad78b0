"""Intervals hold what they promise."""

import numpy as np
import pytest

from semanticodec.evaluation.statistics import Stratum, estimate, mean


def stratum(values, weights=None):
    """Return clips whose number is the sum of the values by that of the weights."""
    weights = np.ones(len(values)) if weights is None else weights
    return Stratum(values=np.stack([values, weights], axis=1).astype(float), number=mean)


def test_the_mean_is_the_mean_and_lies_inside_its_interval():
    values = [1.0, 2.0, 4.0, 9.0]
    found = estimate([stratum(values)])
    assert found.mean == pytest.approx(4.0)
    assert 1.0 <= found.low < found.mean < found.high <= 9.0
    assert found.num_clips == 4


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(200):
        found = estimate([stratum(rng.normal(3.0, 1.0, 40))], num_resamples=400)
        covered += found.low <= 3.0 <= found.high
    assert 0.88 <= covered / 200 <= 0.99


def test_the_interval_has_the_width_of_the_standard_error():
    values = np.random.default_rng(1).normal(0, 2.0, 100)
    found = estimate([stratum(values)])
    width = 2 * 1.96 * values.std() / 10
    assert found.high - found.low == pytest.approx(width, rel=0.1)


def test_an_error_rate_is_errors_over_words_not_a_mean_of_rates():
    found = estimate([stratum([0, 10], [90, 10])])
    assert found.mean == pytest.approx(0.1)
    assert found.low == 0.0
    assert found.high == 1.0


def test_any_function_of_sums_has_an_interval():
    values = np.random.default_rng(4).normal(5.0, 2.0, (200, 1))
    moments = np.concatenate([values, values**2, np.ones_like(values)], axis=1)

    def spread(sums):
        return np.sqrt(sums[..., 1] / sums[..., 2] - (sums[..., 0] / sums[..., 2]) ** 2)

    found = estimate([Stratum(values=moments, number=spread)])
    assert found.mean == pytest.approx(values.std())
    # The standard error of a standard deviation is about sigma / sqrt(2 N).
    assert found.high - found.low == pytest.approx(2 * 1.96 * 2.0 / 20, rel=0.2)


def test_domains_count_alike_whatever_their_sizes():
    found = estimate([stratum([1.0] * 100), stratum([3.0] * 4)])
    assert (found.mean, found.low, found.high) == (2.0, 2.0, 2.0)
    assert found.num_clips == 104


def test_domains_of_equal_size_are_resampled_independently():
    values = np.random.default_rng(2).normal(size=50)
    one = estimate([stratum(values)])
    two = estimate([stratum(values), stratum(values)])
    # The mean of two independent domains is sqrt(2) surer than one.
    ratio = (one.high - one.low) / (two.high - two.low)
    assert ratio == pytest.approx(2**0.5, rel=0.1)


def test_the_seed_decides_and_blocks_of_draws_do_not(monkeypatch):
    values = np.random.default_rng(3).normal(size=30)
    whole = estimate([stratum(values)])
    monkeypatch.setattr("semanticodec.evaluation.statistics.MAX_DRAWN", 100)
    assert estimate([stratum(values)]) == whole
    assert estimate([stratum(values)], seed=1) != whole


def test_one_clip_has_an_interval_of_no_width():
    found = estimate([stratum([2.5])])
    assert (found.mean, found.low, found.high) == (2.5, 2.5, 2.5)
