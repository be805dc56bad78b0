"""The shared nearest-row search: exact, blocked, lowest index on ties, independent of the batch."""

import pytest
import torch

from semanticodec.encoder.nearest import check_codes, nearest_codes
from semanticodec.errors import CodesError


def test_agrees_with_float64_brute_force():
    torch.manual_seed(0)
    vectors, codebook = torch.randn(2, 37, 12), torch.randn(201, 12)
    expected = torch.cdist(vectors.double(), codebook.double()).argmin(dim=-1)
    assert torch.equal(nearest_codes(vectors, codebook), expected)


@pytest.mark.parametrize(("position_block", "row_block"), [(1, 1), (5, 7), (100, 33), (37, 201)])
def test_blocks_do_not_change_the_answer(position_block, row_block):
    torch.manual_seed(1)
    vectors, codebook = torch.randn(2, 37, 12), torch.randn(201, 12)
    blocked = nearest_codes(vectors, codebook, position_block, row_block)
    assert torch.equal(blocked, nearest_codes(vectors, codebook))


@pytest.mark.parametrize("row_block", [1, 2, 3, 100])
def test_the_lowest_index_wins_ties(row_block):
    codebook = torch.tensor([[4.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    vectors = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]])
    assert nearest_codes(vectors, codebook, row_block=row_block).tolist() == [[1, 2, 1]]


def test_an_item_does_not_depend_on_its_batch():
    torch.manual_seed(2)
    # Pairs of rows a rounding error apart: any other order of summation would show.
    rows = torch.randn(64, 96)
    codebook = torch.cat([rows, rows * (1 + 1e-7)])
    vectors = torch.randn(5, 50, 96)
    together = nearest_codes(vectors, codebook)
    alone = torch.cat([nearest_codes(item.unsqueeze(0), codebook) for item in vectors])
    assert torch.equal(together, alone)


def test_float32_under_autocast():
    torch.manual_seed(3)
    vectors, codebook = torch.randn(1, 200, 16), torch.randn(2000, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        codes = nearest_codes(vectors, codebook)
    assert torch.equal(codes, nearest_codes(vectors, codebook))


@pytest.mark.parametrize("codes", [[[0, 4096]], [[-1, 7]]])
def test_codes_out_of_range_name_the_range(codes):
    with pytest.raises(CodesError, match=r"semantic codes run from .* \(0 to 4095\)"):
        check_codes(torch.tensor(codes), 4096, "semantic")


def test_codes_must_be_integers():
    with pytest.raises(CodesError, match=r"torch\.float32; give integers"):
        check_codes(torch.zeros(1, 3), 4096, "acoustic")


def test_no_codes_are_in_range():
    check_codes(torch.zeros(1, 0, dtype=torch.int64), 4, "acoustic")
