import copy

import pytest
import torch
import torch.nn.functional as F

from semanticodec.errors import ConfigError
from semanticodec.layers.attention import (
    FEWEST_BLOCKED_QUERIES,
    QUERY_BLOCK,
    Attention,
    GatedFeedForward,
    SpatialTransformer,
    TransformerBlock,
    attend,
)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_attention_is_the_softmax_average_of_each_head():
    layer = Attention(8, head_width=4, context_width=6)
    tokens, context = torch.randn(2, 5, 8), torch.randn(2, 7, 6)
    heads = []
    for head in range(2):
        rows = slice(4 * head, 4 * head + 4)
        query = tokens @ layer.query.weight[rows].T
        key = context @ layer.key.weight[rows].T
        value = context @ layer.value.weight[rows].T
        heads.append(torch.softmax(query @ key.transpose(1, 2) / 2.0, dim=-1) @ value)
    expected = layer.output(torch.cat(heads, dim=-1))
    actual = layer(tokens, layer.keys_values(context))
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-6)


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
    error = attend(*inputs).double() - exact_attention(*inputs)
    assert error.abs().max() < 4e-6


@torch.no_grad()
@pytest.mark.parametrize("num_queries", [20, FEWEST_BLOCKED_QUERIES])
def test_bfloat16_attention_errs_by_its_rounding(num_queries):
    inputs = heads(2, 2, num_queries, 300, torch.bfloat16)
    exact = exact_attention(*inputs)
    error = attend(*inputs).double() - exact
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
    error = attend(queries, keys, values).double() - exact
    assert error.std() < (4e-6 if dtype == torch.float32 else 0.01) * exact.std()


@torch.no_grad()
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.02)])
def test_gated_feed_forward_is_its_formula(dtype, tolerance):
    layer, tokens = GatedFeedForward(48).to(dtype), torch.randn(2, 30, 48).to(dtype)
    exact = copy.deepcopy(layer).double()
    values, gates = exact.expand(tokens.double()).chunk(2, dim=-1)
    expected = exact.contract(F.gelu(gates) * values)
    torch.testing.assert_close(layer(tokens).double(), expected, rtol=tolerance, atol=tolerance / 5)


def test_self_attention_is_attention_over_the_tokens():
    layer, tokens = Attention(8, head_width=2), torch.randn(1, 6, 8)
    torch.testing.assert_close(layer(tokens), layer(tokens, layer.keys_values(tokens)))


def test_order_of_the_context_does_not_matter_but_order_of_the_tokens_is_kept():
    block = TransformerBlock(8, head_width=4, context_width=6)
    tokens, context = torch.randn(1, 5, 8), torch.randn(1, 7, 6)
    result = block(tokens, block.second_attention.keys_values(context))
    shuffled = block(tokens, block.second_attention.keys_values(context[:, torch.randperm(7)]))
    torch.testing.assert_close(shuffled, result)
    order = torch.randperm(5)
    moved = block(tokens[:, order], block.second_attention.keys_values(context))
    torch.testing.assert_close(moved, result[:, order])


def test_spatial_transformer_starts_as_the_identity_and_keeps_the_layout():
    layer = SpatialTransformer(8, head_width=4, num_groups=2)
    features = torch.randn(2, 8, 6, 4)
    assert torch.equal(layer(features), features)
    torch.nn.init.normal_(layer.project_out.weight)
    # Attention knows no positions: swapping two cells of the input swaps them in the output.
    swapped = features.clone()
    swapped[:, :, 0, 1], swapped[:, :, 5, 2] = features[:, :, 5, 2], features[:, :, 0, 1]
    result, moved = layer(features), layer(swapped)
    torch.testing.assert_close(moved[:, :, 0, 1], result[:, :, 5, 2])
    torch.testing.assert_close(moved[:, :, 3, 3], result[:, :, 3, 3])


def test_context_must_match_the_kind_of_transformer():
    alone = SpatialTransformer(8, head_width=4, num_groups=2)
    crossed = SpatialTransformer(8, head_width=4, context_width=6, num_groups=2)
    features, keys_values = torch.randn(1, 8, 2, 2), crossed.keys_values(torch.randn(1, 3, 6))
    with pytest.raises(AssertionError, match="wrong block"):
        alone(features, keys_values)
    with pytest.raises(AssertionError, match="wrong block"):
        crossed(features)


def test_heads_must_divide_the_width():
    with pytest.raises(ConfigError, match="48 channels cannot have heads of 32"):
        Attention(48, head_width=32)
