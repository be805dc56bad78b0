"""How far a setting is from the first one, on numbers known beforehand."""

import torch

from experiments.determinism.compare import (
    Comparison,
    Stream,
    compare_stream,
    together,
    two_nearest,
)

CODEBOOK = torch.tensor([[0.0, 0.0], [2.0, 0.0], [9.0, 9.0]])
# The second vector is 0.01 before the middle of two rows: its gap is 4 * 0.01.
VECTORS = torch.tensor([[0.5, 0.0], [0.99, 0.0]])


def test_gaps_are_squared_distance_to_the_runner_up_less_that_to_the_nearest():
    nearest = two_nearest(VECTORS, CODEBOOK)
    torch.testing.assert_close(nearest.gaps, torch.tensor([2.0, 0.04]).double())
    assert torch.equal(nearest.rows[0], CODEBOOK[:2].double())


def test_a_flipped_code_lies_within_the_floor():
    nearest = two_nearest(VECTORS, CODEBOOK)
    differs = torch.tensor([False, True])
    stream = compare_stream(nearest, VECTORS + 0.02, differs, torch.zeros(2, dtype=torch.bool))
    assert (stream.num_positions, stream.num_different, stream.num_near) == (2, 1, 1)
    assert 0.03 < stream.widest < stream.floor < 0.09


def test_positions_behind_another_code_do_not_count_for_the_floor():
    nearest = two_nearest(VECTORS, CODEBOOK)
    everywhere = torch.ones(2, dtype=torch.bool)
    stream = compare_stream(nearest, VECTORS + 5, everywhere, everywhere)
    assert (stream.num_different, stream.num_behind) == (2, 2)
    assert stream.floor == 2 * nearest.rounding < 1e-5


def test_the_rounding_of_a_search_far_from_zero_is_part_of_the_floor():
    """Its distances are differences of large numbers: in float32 those of 1e6 are 0.06 apart."""
    nearest = two_nearest(VECTORS + 1000, CODEBOOK + 1000)
    nowhere = torch.zeros(2, dtype=torch.bool)
    stream = compare_stream(nearest, VECTORS + 1000, nowhere, nowhere)
    assert 0.01 < nearest.rounding < 1
    assert stream.floor >= 2 * nearest.rounding


def test_several_codecs_are_one_row_of_counts_and_largest_gaps():
    fewer, more = Stream(10, 1, 0, 0.2, 0.1, 3), Stream(20, 0, 2, 0.4, 0.0, 1)
    found = together([Comparison(fewer, more, wav=1e-5), Comparison(more, more, wav=3e-5)])
    assert found.semantic == Stream(30, 1, 2, 0.4, 0.1, 4)
    assert found.acoustic == Stream(40, 0, 4, 0.4, 0.0, 2)
    assert found.wav == 3e-5
