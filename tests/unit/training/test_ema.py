"""Laws of the moving average of weights."""

import pytest
import torch
from torch.nn import Parameter

from semanticodec.training.ema import WeightAverage


def test_average_follows_its_formula_with_warm_up():
    weight = Parameter(torch.tensor([0.0]))
    average = WeightAverage({"w": weight}, decay=0.9)
    expected = 0.0
    for step in range(20):
        weight.data.fill_(step + 1.0)
        average.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * (step + 1.0)
    assert average.averages["w"].item() == pytest.approx(expected, rel=1e-5)


def test_applied_gives_the_weights_back_even_after_an_error():
    weight = Parameter(torch.tensor([1.0]))
    average = WeightAverage({"w": weight}, decay=0.9)
    weight.data.fill_(5.0)

    def look():
        with average.applied():
            assert weight.item() == 1.0
            raise KeyError

    with pytest.raises(KeyError):
        look()
    assert weight.item() == 5.0
    assert average.averages["w"].item() == 1.0
