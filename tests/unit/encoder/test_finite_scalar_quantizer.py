"""Finite scalar quantizer: every code is a point of a grid, and rounding lets gradients through."""

import math

import pytest
import torch

from semanticodec.encoder.finite_scalar_quantizer import FiniteScalarQuantizer
from semanticodec.errors import CodesError, ConfigError

LEVELS = [(5, 5), (8, 6, 5), (2, 3, 4), (2,)]


def quantizer_of(levels=(8, 6, 5), width=8) -> FiniteScalarQuantizer:
    torch.manual_seed(0)
    return FiniteScalarQuantizer(FiniteScalarQuantizer.Config(width=width, levels=levels))


def vectors_of(batch: int, length: int = 12, width: int = 8) -> torch.Tensor:
    return torch.randn(batch, length, width, generator=torch.Generator().manual_seed(1))


def identity_of(levels) -> FiniteScalarQuantizer:
    """Return a quantizer whose maps do nothing, so that vectors are coordinates."""
    module = quantizer_of(levels, width=len(levels))
    for layer in (module.project_in, module.project_out):
        torch.nn.init.eye_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    return module


@pytest.mark.parametrize("levels", LEVELS)
def test_there_are_as_many_codes_as_points_of_the_grid(levels):
    module = identity_of(levels)
    size = module.config.codebook_size
    assert size == math.prod(levels)
    points = module.decode(torch.arange(size).view(1, -1))[0]
    assert len(points.unique(dim=0)) == size
    assert points.min() >= -1 and points.max() <= 1
    for axis, count in enumerate(levels):
        assert len(points[:, axis].unique()) == count


@pytest.mark.parametrize("levels", LEVELS)
def test_every_code_is_reached_and_the_digits_are_in_mixed_radix(levels):
    module = identity_of(levels)
    # Far out and in small steps between: every level of every coordinate is met.
    line = torch.linspace(-9, 9, 2001)
    per_axis = []
    for axis in range(len(levels)):
        vectors = torch.zeros(1, len(line), len(levels))
        vectors[0, :, axis] = line
        codes = module.encode(vectors)[0]
        # Also far out, where rounding must not step over the last level.
        torch.testing.assert_close(module(vectors).quantized[0], module.decode(codes[None])[0])
        digits = codes // math.prod(levels[:axis]) % levels[axis]
        assert (digits.diff() >= 0).all()
        per_axis.append(set(digits.tolist()))
    assert per_axis == [set(range(count)) for count in levels]
    zero = torch.zeros(1, 1, len(levels))
    torch.testing.assert_close(module.bypass(zero), zero)


def test_encode_forward_and_decode_agree():
    module = quantizer_of().eval()
    vectors = vectors_of(3)
    output = module(vectors)
    assert torch.equal(output.codes, module.encode(vectors))
    torch.testing.assert_close(output.quantized, module.decode(output.codes))
    assert output.losses == {}


def test_an_item_does_not_depend_on_its_batch():
    module, vectors = quantizer_of(), vectors_of(9, length=33)
    together = module.encode(vectors)
    alone = torch.cat([module.encode(vectors[item : item + 1]) for item in range(9)])
    assert torch.equal(together, alone)


def test_gradients_pass_the_rounding():
    module = quantizer_of().train()
    rounded, smooth = (vectors_of(2).requires_grad_() for _ in range(2))
    module(rounded).quantized.sum().backward()
    module.bypass(smooth).sum().backward()
    torch.testing.assert_close(rounded.grad, smooth.grad)
    assert rounded.grad.abs().max() > 0
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_rounding_moves_a_coordinate_by_half_a_level_at_most():
    levels = (8, 6, 5)
    module = identity_of(levels)
    vectors = 3 * vectors_of(2, length=500, width=3)
    moved = (module(vectors).quantized - module.bypass(vectors)).abs().amax(dim=(0, 1))
    half_steps = torch.tensor([0.5 / (count // 2) for count in levels])
    assert (moved <= half_steps + 1e-3).all()
    assert (moved > 0.9 * half_steps).all()


def test_it_starts_on_the_principal_axes_and_uses_most_codes():
    # A flat, off-center cloud: what an untrained encoder emits.
    generator = torch.Generator().manual_seed(0)
    cloud = 3 + 0.05 * torch.randn(4000, 3, generator=generator) @ torch.randn(3, 8)
    used, errors = {}, {}
    for name in ("plain", "started"):
        module = quantizer_of((5, 5, 5))
        if name == "started":
            module.start_from(cloud, torch.Generator())
        output = module(cloud.unsqueeze(0))
        used[name] = len(output.codes.unique())
        errors[name] = (output.quantized[0] - cloud).square().mean().item()
    assert used["plain"] < 20
    assert used["started"] > 100
    # The best five levels for normal values leave 8 % of the variance (Max, 1960).
    assert errors["started"] < 0.16 * cloud.var(dim=0).mean().item()


def test_float32_under_autocast_and_with_half_weights():
    module = quantizer_of().eval()
    vectors = vectors_of(4, length=100)
    expected = module(vectors)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = module(vectors)
    assert torch.equal(output.codes, expected.codes)
    assert torch.equal(output.quantized, expected.quantized)
    half = module.half()(vectors)
    assert half.quantized.dtype == torch.float32
    assert (half.codes == expected.codes).float().mean() > 0.95


def test_codes_out_of_range_are_refused():
    with pytest.raises(CodesError, match="acoustic codes run from 3 to 240"):
        quantizer_of().decode(torch.tensor([[3, 240]]))


@pytest.mark.parametrize("levels", [(), (8, 1)])
def test_levels_that_are_no_grid_are_refused(levels):
    with pytest.raises(ConfigError, match="give 2 or more for each coordinate"):
        quantizer_of(levels)
