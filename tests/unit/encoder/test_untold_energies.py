"""Energies that semantic codes leave untold, on patches whose places the test knows."""

import pytest
import torch

from semanticodec.encoder.audiomae import patchify
from semanticodec.encoder.untold_energies import MARGIN_BINS, MARGIN_FRAMES, UntoldEnergies
from semanticodec.layers.stacking import stack_patches

WIDTH = 12
ROWS = {1: 8, 2: 4, 4: 4}


def module_of(stack_factor: int) -> UntoldEnergies:
    torch.manual_seed(0)
    module = UntoldEnergies(
        UntoldEnergies.Config(
            width=WIDTH,
            patch_width=256 * stack_factor,
            stack_factor=stack_factor,
            num_bands=ROWS[stack_factor],
            out_width=5,
            centroid_width=3,
        )
    )
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    return module


def given(stack_factor: int, frames: int = 96):
    fbank = torch.randn(1, frames, 128, generator=torch.Generator().manual_seed(1))
    patches = stack_patches(patchify(fbank), stack_factor)
    features = torch.randn(1, patches.shape[1], WIDTH, generator=torch.Generator().manual_seed(2))
    return fbank, features, features.round(), patches


@pytest.mark.parametrize("stack_factor", [1, 2, 4])
def test_patches_become_the_filter_bank_that_they_were_cut_from(stack_factor):
    fbank, _, _, patches = given(stack_factor)
    assert torch.equal(module_of(stack_factor).fbank(patches), fbank)


@pytest.mark.parametrize("stack_factor", [1, 2, 4])
@torch.no_grad()
def test_a_position_sees_its_patches_a_margin_and_the_centroids_beside_it(stack_factor):
    module = module_of(stack_factor)
    _, features, centroids, patches = given(stack_factor)
    rows, times = ROWS[stack_factor], module.times
    at = rows + 1  # second column, second band
    base = module(features, centroids, patches)
    assert base.shape == (1, patches.shape[1], 5)
    for position in range(patches.shape[1]):
        other = centroids.clone()
        other[0, position] += 1
        is_seen = not torch.equal(module(features, other, patches)[0, at], base[0, at])
        assert is_seen == (position in {at, at - 1, at + 1, at - rows, at + rows}), position
    fbank, size = module.fbank(patches), 16
    first, low = times * size, module.bands * size
    for frame, bin_, is_near in (
        (first - MARGIN_FRAMES, low - MARGIN_BINS, True),
        (first - MARGIN_FRAMES - 1, low, False),
        (2 * first + MARGIN_FRAMES - 1, 2 * low + MARGIN_BINS - 1, True),
        (first, 2 * low + MARGIN_BINS, False),
    ):
        other = fbank.clone()
        other[0, frame, bin_] -= 0.01  # not the loudest: all weights stay
        inputs = module.inputs(features, centroids, other)
        is_changed = not torch.equal(
            inputs[0, at], module.inputs(features, centroids, fbank)[0, at]
        )
        assert is_changed == is_near, (frame, bin_)


@torch.no_grad()
def test_cells_that_are_masked_count_a_tenth():
    module = module_of(1)
    fbank = torch.full((1, 32, 128), -5.0)
    fbank[0, :, :16] = 1.0
    weights = module.weights(fbank)
    assert weights.shape == (1, 16, 128)
    assert torch.equal(weights[0, ::8], torch.ones(2, 128))
    assert torch.allclose(weights[0, 1], torch.tensor(0.1))


@torch.no_grad()
def test_untrained_it_gives_nothing():
    module = UntoldEnergies(module_of(1).config)
    _, features, centroids, patches = given(1)
    assert module(features, centroids, patches).abs().max() == 0
