"""Attention by oneDNN is the same attention, to its rounding."""

import copy

import pytest
import torch
from torch.nn import functional as F

from semanticodec.runtimes.onednn.attention import (
    FEWEST_BLOCKED_QUERIES,
    QUERY_BLOCK,
    FastDotProductAttention,
    FastGatedFeedForward,
)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def heads(batch_size, num_heads, num_queries, num_keys, dtype=torch.float32):
    """Queries, keys and values as the layers hand them over: views of joined rows."""
    return tuple(
        torch.randn(batch_size, length, num_heads, 32).to(dtype).transpose(1, 2)
        for length in (num_queries, num_keys, num_keys)
    )


def exact_attention(queries, keys, values):
    attended = F.scaled_dot_product_attention(queries.double(), keys.double(), values.double())
    return attended.transpose(1, 2).flatten(2)


@torch.no_grad()
@pytest.mark.parametrize("num_queries", [FEWEST_BLOCKED_QUERIES, QUERY_BLOCK + 100])
@pytest.mark.parametrize(("batch_size", "num_heads"), [(1, 1), (1, 3), (2, 2)])
def test_attention_by_blocks_is_the_same_attention(num_queries, batch_size, num_heads):
    inputs = heads(batch_size, num_heads, num_queries, 70)
    error = FastDotProductAttention()(*inputs).double() - exact_attention(*inputs)
    assert error.abs().max() < 4e-6


@torch.no_grad()
@pytest.mark.parametrize("num_queries", [20, FEWEST_BLOCKED_QUERIES])
def test_bfloat16_attention_errs_by_its_rounding(num_queries):
    inputs = heads(2, 2, num_queries, 300, torch.bfloat16)
    exact = exact_attention(*inputs)
    error = FastDotProductAttention()(*inputs).double() - exact
    # Rounding the exact result gives 0.0017.
    assert error.std() < 0.005 * exact.std()


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [0.0, 5.0, 20.0])
def test_scores_of_any_size_are_attended(size, dtype):
    # At the largest, scores lie hundreds below their bound, where weights would vanish.
    queries, keys, values = heads(1, 2, FEWEST_BLOCKED_QUERIES, 70, dtype)
    queries = size * queries
    exact = exact_attention(queries, keys, values)
    error = FastDotProductAttention()(queries, keys, values).double() - exact
    assert error.std() < (4e-6 if dtype == torch.float32 else 0.01) * exact.std()


@torch.no_grad()
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.02)])
def test_gated_feed_forward_is_its_formula(dtype, tolerance):
    layer, tokens = FastGatedFeedForward(48).to(dtype), torch.randn(2, 30, 48).to(dtype)
    exact = copy.deepcopy(layer).double()
    values, gates = exact.expand(tokens.double()).chunk(2, dim=-1)
    expected = exact.contract(F.gelu(gates) * values)
    torch.testing.assert_close(layer(tokens).double(), expected, rtol=tolerance, atol=tolerance / 5)
