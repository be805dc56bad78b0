"""Layers over maps with the channels last: the same values, in both memory orders."""

import pytest
import torch
from torch.nn import functional as F

from semanticodec.runtimes.onednn.maps import (
    FastConv2d,
    FastPointwiseConv,
    FastSiLU,
    FastUpsample,
    FirstConv2d,
    channels_last,
)

WIDTH = 192


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_pointwise_convolution_is_a_convolution(layout):
    layer, features = FastPointwiseConv(WIDTH, 96), torch.randn(2, WIDTH, 16, 8)
    expected = F.conv2d(features, layer.weight, layer.bias)
    features = features.contiguous(memory_format=layout)
    torch.testing.assert_close(layer(features), expected, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(layer(features), expected, rtol=1e-4, atol=1e-5)


def test_channels_come_last_without_a_change_of_values_and_not_in_training():
    features = torch.randn(2, 8, 6, 4)
    assert channels_last(features) is features
    with torch.no_grad():
        moved = channels_last(features)
    assert torch.equal(moved, features)
    assert moved.is_contiguous(memory_format=torch.channels_last)
    layer = FirstConv2d(8, 8, 3, padding=1)
    assert layer(features).is_contiguous()
    with torch.no_grad():
        assert layer(features).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("bins", [1, 2, 3, 8])
def test_narrow_maps_are_convolved_alike(bins):
    layer, features = FastConv2d(24, 40, 3, padding=1), torch.randn(2, 24, 64, bins)
    expected = F.conv2d(features, layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(layer(features), expected)
    with torch.no_grad():
        for given in (features, channels_last(features)):
            torch.testing.assert_close(layer(given), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("settings", [{"stride": 2}, {"dilation": 2}, {"groups": 8}])
def test_convolutions_of_another_kind_stay_torch_s(settings):
    layer, features = FastConv2d(24, 40, 3, padding=2, **settings), torch.randn(2, 24, 64, 2)
    expected = F.conv2d(features, layer.weight, layer.bias, padding=2, **settings)
    torch.testing.assert_close(layer(features), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.02)])
def test_upsampling_by_parity_is_the_convolution_of_a_repeated_map(dtype, tolerance):
    layer, features = FastUpsample(16).to(dtype), torch.randn(2, 16, 6, 5).to(dtype)
    expected = layer(features)  # with gradients: repeated, then convolved
    with torch.no_grad():
        torch.testing.assert_close(layer(features), expected, rtol=tolerance, atol=tolerance)


def test_silu_keeps_its_input_only_where_a_gradient_needs_it():
    layer, features = FastSiLU(), torch.randn(3, 4)
    expected = F.silu(features)
    assert torch.equal(layer(features), expected)
    assert not torch.equal(features, expected)
    with torch.no_grad():
        assert layer(features) is features
    assert torch.equal(features, expected)
