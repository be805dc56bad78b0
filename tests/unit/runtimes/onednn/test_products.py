"""Products by oneDNN compute what torch's own do, and are used only where they may be."""

import pytest
import torch
from torch.nn import functional as F

from semanticodec.layers.residual import PointwiseConv
from semanticodec.runtimes.onednn import products, use_onednn
from semanticodec.runtimes.onednn.linear import FastLinear
from semanticodec.runtimes.onednn.products import (
    FEWEST_MULTIPLICATIONS,
    PackedWeight,
    activated_linear,
    linear,
    uses_onednn,
)

ROWS, WIDTH = 128, 192  # large enough to go through oneDNN
assert ROWS * WIDTH * WIDTH >= FEWEST_MULTIPLICATIONS

needs_onednn = pytest.mark.skipif(
    not products.CAN_BE_ASKED
    or any(products._product(dtype) is None for dtype in (torch.float32, torch.bfloat16)),
    reason="this torch has no oneDNN product",
)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("shape", [(ROWS, WIDTH), (2, ROWS, WIDTH), (2, 8, ROWS // 8, WIDTH)])
def test_inference_agrees_with_float64(shape, has_bias):
    layer, inputs = FastLinear(WIDTH, WIDTH, bias=has_bias), torch.randn(shape)
    bias = layer.bias.double() if has_bias else None
    with torch.no_grad():
        outputs = layer(inputs)
        exact = F.linear(inputs.double(), layer.weight.double(), bias)
    torch.testing.assert_close(outputs.double(), exact, rtol=0, atol=2e-6)


@torch.no_grad()
@pytest.mark.parametrize("has_bias", [True, False])
def test_bfloat16_is_rounded_once(has_bias):
    layer = FastLinear(WIDTH, WIDTH, bias=has_bias).bfloat16()
    inputs = torch.randn(ROWS, WIDTH).bfloat16()
    bias = layer.bias.double() if has_bias else None
    exact = F.linear(inputs.double(), layer.weight.double(), bias)
    # Half a unit in the last of eight binary digits, and sums in float32 before.
    torch.testing.assert_close(layer(inputs).double(), exact, rtol=2**-8, atol=1e-5)


@needs_onednn
@torch.no_grad()
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.bfloat16, 2**-8)])
def test_activations_act_before_the_rounding(dtype, tolerance):
    layer = FastLinear(WIDTH, WIDTH).to(dtype)
    inputs = torch.randn(ROWS, WIDTH).to(dtype)
    exact = F.linear(inputs.double(), layer.weight.double(), layer.bias.double())
    gelu = activated_linear(inputs, layer.weight, layer.bias, "gelu")
    torch.testing.assert_close(gelu.double(), F.gelu(exact), rtol=tolerance, atol=1e-6)
    # Attention takes a sigmoid far below zero for the exponential function.
    shifted = activated_linear(inputs, layer.weight, layer.bias - 60, "sigmoid")
    exact = F.linear(inputs.double(), layer.weight.double(), (layer.bias - 60).double())
    torch.testing.assert_close(shifted.double(), exact.exp(), rtol=max(tolerance, 2e-5), atol=0)


@pytest.mark.parametrize(
    "weight",
    [
        torch.randn(WIDTH, 2 * WIDTH)[:, ::2],
        torch.randn(WIDTH, WIDTH).t(),
        torch.randn(1, WIDTH, 3, WIDTH)[0, :, 1],
    ],
)
def test_strided_inputs_and_weights_are_understood(weight):
    inputs = torch.randn(WIDTH, ROWS).t()
    with torch.no_grad():
        torch.testing.assert_close(
            linear(inputs, weight), inputs @ weight.t(), rtol=1e-4, atol=1e-4
        )


def test_training_is_torch_s_own():
    layer, inputs = FastLinear(WIDTH, WIDTH), torch.randn(ROWS, WIDTH, requires_grad=True)
    outputs = layer(inputs)
    expected = F.linear(inputs, layer.weight, layer.bias)
    assert torch.equal(outputs, expected)
    parameters = [inputs, layer.weight, layer.bias]
    ours = torch.autograd.grad(outputs.square().sum(), parameters)
    theirs = torch.autograd.grad(expected.square().sum(), parameters)
    assert all(torch.equal(first, second) for first, second in zip(ours, theirs))


@needs_onednn
@torch.no_grad()
def test_only_inference_on_a_cpu_goes_through_onednn():
    inputs = torch.randn(ROWS, WIDTH)
    assert uses_onednn(inputs) and uses_onednn(inputs.bfloat16())
    assert not uses_onednn(inputs.half()) and not uses_onednn(inputs.double())
    assert not uses_onednn(inputs.to("meta"))
    with torch.enable_grad():
        assert not uses_onednn(inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not uses_onednn(inputs)
        assert FastLinear(WIDTH, WIDTH)(inputs).dtype == torch.bfloat16


@torch.no_grad()
def test_without_the_operator_torch_computes(monkeypatch):
    monkeypatch.setattr(products, "_product", lambda _: None)
    layer, inputs = FastLinear(WIDTH, WIDTH), torch.randn(ROWS, WIDTH)
    assert not uses_onednn(inputs)
    assert torch.equal(layer(inputs), F.linear(inputs, layer.weight, layer.bias))


@torch.no_grad()
def test_pytorch_before_2_4_computes_itself(monkeypatch):
    weight, inputs = torch.randn(WIDTH, WIDTH), torch.randn(ROWS, WIDTH)
    expected = F.linear(inputs, weight)
    monkeypatch.setattr(products, "CAN_BE_ASKED", False)
    # What it lacks: the function, and the function's argument.
    monkeypatch.delattr(torch.compiler, "is_compiling", raising=False)
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda: False)
    assert torch.equal(linear(inputs, weight), expected)


@torch.no_grad()
def test_exported_graphs_hold_public_operators_only():
    class Both(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.conv = torch.nn.Linear(WIDTH, WIDTH), PointwiseConv(WIDTH, WIDTH)

        def forward(self, features):
            return self.linear(self.conv(features).flatten(2).transpose(1, 2))

    graph = torch.export.export(use_onednn(Both().eval()), (torch.randn(1, WIDTH, 32, 4),)).graph
    names = [str(node.target) for node in graph.nodes]
    assert any("linear" in name for name in names)
    assert not any("mkldnn" in name or "pointwise" in name for name in names)


@needs_onednn
@torch.no_grad()
def test_packed_weights_give_the_product_for_any_number_of_rows():
    weight = torch.randn(64, 48)
    packed = PackedWeight(weight, 8)
    for num_rows in (1, 2, 8, 30):
        inputs = torch.randn(num_rows, 48)
        torch.testing.assert_close(packed.product(inputs), inputs @ weight.t())
