import pytest
import torch

from semanticodec.errors import ConfigError
from semanticodec.layers.residual import Downsample, ResidualBlock, Upsample


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_block_starts_as_its_skip():
    features, embedding = torch.randn(2, 8, 4, 4), torch.randn(2, 6)
    same = ResidualBlock(8, 8, embedding_width=6, num_groups=4)
    assert torch.equal(same(features, embedding), features)
    wider = ResidualBlock(8, 12, embedding_width=6, num_groups=4)
    torch.testing.assert_close(wider(features, embedding), wider.skip(features))


def test_gradients_of_a_block_are_those_of_its_formula():
    block = ResidualBlock(8, 12, embedding_width=6, num_groups=4).double()
    torch.nn.init.normal_(block.conv_out.weight)
    inputs = torch.randn(2, 8, 4, 2).double(), torch.randn(2, 6).double()
    for tensor in inputs:
        tensor.requires_grad_()
    # Sums in place must not spoil what the gradient needs.
    assert torch.autograd.gradcheck(block, inputs)


def test_embedding_acts_per_item():
    block = ResidualBlock(8, 8, embedding_width=6, num_groups=4)
    torch.nn.init.normal_(block.conv_out.weight)
    features = torch.randn(1, 8, 4, 4).expand(2, -1, -1, -1)
    embedding = torch.randn(2, 6)
    both = block(features, embedding)
    assert (both[0] - both[1]).abs().max() > 0.1
    torch.testing.assert_close(both[1:], block(features[1:], embedding[1:]))


def test_norm_ignores_the_scale_of_the_input():
    block = ResidualBlock(8, 8, embedding_width=6, num_groups=4)
    torch.nn.init.normal_(block.conv_out.weight)
    torch.nn.init.zeros_(block.conv_in.bias)
    torch.nn.init.zeros_(block.embedding.bias)
    features, embedding = torch.randn(1, 8, 4, 4), torch.zeros(1, 6)
    added = block(features, embedding) - features
    added_scaled = block(100 * features, embedding) - 100 * features
    torch.testing.assert_close(added_scaled, added, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("frames", "bins"), [(8, 4), (32, 16), (2, 2)])
def test_down_and_up_are_exact_inverses_in_size(frames, bins):
    features = torch.randn(1, 4, frames, bins)
    halved = Downsample(4)(features)
    assert halved.shape == (1, 4, frames // 2, bins // 2)
    assert Upsample(4)(halved).shape == features.shape


def test_groups_must_divide_the_channels():
    with pytest.raises(ConfigError, match="48 channels cannot be split into 32 groups"):
        ResidualBlock(48, 64, embedding_width=6)
