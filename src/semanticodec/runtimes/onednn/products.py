"""oneDNN's matrix product, and when it may be used.

Why: the BLAS inside torch's wheel runs AVX2 code on processors that are not Intel's. Measured on
one AMD core with AVX-512, over all shapes of the official networks: 97 to 106 GFLOP/s through
torch.nn.functional.linear, 203 to 231 through oneDNN. In bfloat16 torch's own product is oneDNN's
too; the operator saves copying the bias and can apply a function to the result before rounding it.
It is the one that torch.compile emits. It is not public, so it is tried once for each type, and
left alone where it does not answer rightly. Both products compute the same sums and differ by
their rounding.

Shapes: N rows · D width of the input · D2 width of the output · `...` any leading axes.
"""

from functools import cache
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

# A call of oneDNN costs 10 microseconds more, which smaller products do not earn back.
FEWEST_MULTIPLICATIONS = 2**21
# PyTorch before 2.4 cannot be asked all that `uses_onednn` asks; its own product computes there.
CAN_BE_ASKED = hasattr(torch.amp, "is_autocast_available")


@cache
def _product(dtype: torch.dtype) -> Any:
    """Return oneDNN's operator, None where this torch has none that answers rightly."""
    try:
        operator = torch.ops.mkldnn._linear_pointwise
        ones = torch.ones(2, 2, dtype=dtype)
        packed = torch.ops.mkldnn._reorder_linear_weight(ones, 2)
        plain = operator(ones, ones, ones[0], "none", [], "")
        is_right = torch.equal(plain, 3 * ones)
        is_right &= torch.equal(operator(ones, packed, None, "none", [], ""), 2 * ones)
        # Far below zero a sigmoid is the exponential function: see `onednn.attention`.
        tiny = operator(ones, ones, -42 * ones[0], "sigmoid", [], "none").float()
        is_right &= torch.allclose(tiny, torch.tensor(-40.0).exp(), rtol=2**-8, atol=0)
    except (AttributeError, RuntimeError):
        return None
    return operator if is_right else None


def is_cpu_inference(inputs: Tensor) -> bool:
    """Return whether this input is computed on a CPU, and nobody asks for gradients."""
    return inputs.is_cpu and not torch.is_grad_enabled()


def uses_onednn(inputs: Tensor) -> bool:
    """Return whether oneDNN's product can take this input, and may."""
    return (
        CAN_BE_ASKED
        and inputs.dtype in (torch.float32, torch.bfloat16)
        and is_cpu_inference(inputs)
        and not torch.is_autocast_enabled("cpu")
        and torch.backends.mkldnn.enabled
        and not torch.compiler.is_compiling()
        and not torch.onnx.is_in_onnx_export()
        and _product(inputs.dtype) is not None
    )


def linear(
    inputs: Float[Tensor, "... D"],
    weight: Float[Tensor, "D2 D"],
    bias: Float[Tensor, " D2"] | None = None,
) -> Float[Tensor, "... D2"]:
    """Return inputs · weightᵀ + bias, by oneDNN where it may and is faster."""
    is_large = inputs.numel() * len(weight) >= FEWEST_MULTIPLICATIONS
    if not (is_large and uses_onednn(inputs)):
        return F.linear(inputs, weight, bias)
    # Strided weights would reach oneDNN's reference kernel, a thousand times slower. The last
    # arguments apply nothing to the result.
    return _product(inputs.dtype)(inputs, weight.contiguous(), bias, "none", [], "")


def activated_linear(
    inputs: Float[Tensor, "... D"],
    weight: Float[Tensor, "D2 D"],
    bias: Float[Tensor, " D2"],
    activation: Literal["gelu", "sigmoid"],
) -> Float[Tensor, "... D2"]:
    """Return a function of inputs · weightᵀ + bias, rounded once; where `uses_onednn` holds.

    oneDNN applies it while the sums are in registers: less than half the time of a second pass.

    Args:
        inputs: any rows.
        weight: contiguous weight.
        bias: added to every row.
        activation: name of the function.
    """
    return _product(inputs.dtype)(inputs, weight, bias, activation, [], "none")


class PackedWeight:
    """A weight in oneDNN's own order, for many products with few rows where `uses_onednn` holds.

    A product with few rows takes as long as reading its weight, and in this order reading is 1.4
    to 1.8 times as fast (measured with 38 MB on one AMD core). It is a copy: hold it briefly.

    Args:
        weight: weight as `linear` takes it.
        num_rows: rows that the order is chosen for; any number works.
    """

    def __init__(self, weight: Float[Tensor, "D2 D"], num_rows: int) -> None:
        self._packed = torch.ops.mkldnn._reorder_linear_weight(weight, num_rows)

    def product(self, inputs: Float[Tensor, "N D"]) -> Float[Tensor, "N D2"]:
        """Return inputs · weightᵀ."""
        return _product(inputs.dtype)(inputs, self._packed, None, "none", [], "")
