import pytest
import torch

from semanticodec.errors import ConfigError
from semanticodec.layers.attention import (
    Attention,
    SelfAttention,
    SpatialTransformer,
    TransformerBlock,
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


def test_self_attention_is_attention_over_the_tokens():
    layer, tokens = Attention(8, head_width=2), torch.randn(1, 6, 8)
    torch.testing.assert_close(layer(tokens), layer(tokens, layer.keys_values(tokens)))


def test_a_joint_projection_is_three_projections():
    joint, apart = SelfAttention(8, num_heads=2), Attention(8, head_width=4)
    weights = zip((apart.query, apart.key, apart.value), joint.qkv.weight.chunk(3))
    with torch.no_grad():
        joint.qkv.bias.zero_()
        for projection, weight in weights:
            projection.weight.copy_(weight)
    apart.output.load_state_dict(joint.project.state_dict())
    tokens = torch.randn(2, 6, 8)
    torch.testing.assert_close(joint(tokens), apart(tokens))


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
