"""Group normalization: exact in both memory orders, also far from zero."""

import pytest
import torch
import torch.nn.functional as F

from semanticodec.layers.norm import GroupNorm


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("mean", [0.0, 10.0, -50.0])
def test_normalization_agrees_with_float64_wherever_the_mean_lies(mean, layout):
    norm = GroupNorm(4, 16)
    torch.nn.init.normal_(norm.weight)
    # Groups of different means, and items too.
    offsets = mean * torch.tensor([[1.0], [0.5]]) * torch.arange(4.0).repeat_interleave(4)
    features = torch.randn(2, 16, 64, 16) + offsets[:, :, None, None]
    given = features.contiguous(memory_format=layout).requires_grad_()
    normed = norm(given)
    assert normed.is_contiguous(memory_format=layout)
    exact_input = features.double().requires_grad_()
    exact = F.group_norm(exact_input, 4, norm.weight.double(), norm.bias.double(), norm.eps)
    # float32 holds values around the mean to 6e-8 of it.
    tolerance = 1e-6 * (5 + abs(mean))
    assert (normed - exact).abs().max() < tolerance
    direction = torch.randn(normed.shape)
    (ours,) = torch.autograd.grad((normed * direction).sum(), given)
    (theirs,) = torch.autograd.grad((exact * direction.double()).sum(), exact_input)
    assert (ours - theirs).abs().max() < 5 * tolerance
