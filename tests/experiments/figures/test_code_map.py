"""Maps of the codes count what bands use."""

import numpy as np
import pytest

from experiments.figures.code_map import map_of


def test_uses_are_counted_by_band():
    # Two bands, time-major: the lower one says 5, 5, 1; the upper one 2, 2, 5.
    found = map_of([np.array([5, 2, 5, 2]), np.array([1, 5])], codebook_size=8, num_bands=2)
    assert found.counts[:, [1, 2, 5]].tolist() == [[1, 0, 2], [0, 2, 1]]
    assert found.counts.sum() == 6
    assert found.used.tolist() == [1, 5, 2]  # from low to high
    assert found.share_of_one_band == pytest.approx(2 / 5)  # of 2, 2, 5, 5, 5


def test_nothing_in_common_is_all_of_one_band():
    stream = np.array([0, 7] * 10)
    assert map_of([stream], 8, 2).share_of_one_band == 1.0
    assert map_of([stream], 8, 1).share_of_one_band == 1.0
    assert map_of([np.array([0, 0, 7, 7])], 8, 2).share_of_one_band == 0.0
