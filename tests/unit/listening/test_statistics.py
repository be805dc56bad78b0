"""Intervals hold what they promise; guessing has the binomial's chance."""

import numpy as np
import pytest

from semanticodec.listening.statistics import binomial, describe, differences, interval


def test_an_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    found = [interval(rng.normal(50, 10, 8)) for _ in range(1000)]
    covered = sum(item.low <= 50 <= item.high for item in found)
    assert 925 <= covered <= 975


def test_pages_of_one_listener_are_no_listeners():
    # Two listeners who disagree: many pages make nobody surer of the third.
    values = np.repeat([[40.0], [60.0]], 200, axis=1)
    found = describe(values)
    assert found["mean"] == 50
    assert (found["low"], found["high"]) == (0.0, 100.0)
    assert found["median"] == 50
    assert (found["lower_quartile"], found["upper_quartile"]) == (40, 60)


def test_one_listener_has_an_interval_of_no_width():
    found = describe(np.array([[10.0, 30.0]]))
    assert (found["mean"], found["low"], found["high"]) == (20, 20, 20)


def test_differences_are_those_of_each_listener():
    bias = np.array([-30.0, 0.0, 30.0])
    (found,) = differences({"a": 50 + bias, "b": 45 + bias})
    assert (found["condition"], found["other"]) == ("a", "b")
    assert (found["mean"], found["low"], found["high"]) == pytest.approx((5, 5, 5))


def test_guessing():
    # 12 of 16 is the usual threshold of ABX tests.
    assert binomial(12, 16)["p_value"] == pytest.approx(0.0384, abs=1e-4)
    assert binomial(11, 16)["p_value"] > 0.05
    found = binomial(8, 16)
    assert found["low"] < found["share"] == 0.5 < found["high"]
