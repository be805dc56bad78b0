"""Energies that semantic codes leave untold, on cells whose places the test knows."""

import dataclasses

import pytest
import torch

from semanticodec.encoder.untold_energies import UntoldEnergies

WIDTH = 12
ROWS = {1: 8, 2: 4, 4: 4}


def module_of(stack_factor: int) -> UntoldEnergies:
    torch.manual_seed(0)
    module = UntoldEnergies(
        UntoldEnergies.Config(
            width=WIDTH,
            num_mel_bins=64,
            stack_factor=stack_factor,
            num_bands=ROWS[stack_factor],
            num_axes=5,
            neighbor_width=3,
        )
    )
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    return module


def given(stack_factor: int, frames: int = 96):
    mel = torch.randn(1, frames, 64, generator=torch.Generator().manual_seed(1))
    length = frames // 16 * 8 // stack_factor
    centroids = torch.randn(1, length, WIDTH, generator=torch.Generator().manual_seed(2))
    return centroids, mel


@pytest.mark.parametrize(("stack_factor", "frames", "bins"), [(1, 16, 8), (2, 16, 16), (4, 32, 16)])
def test_a_position_has_the_cells_of_its_patches(stack_factor, frames, bins):
    module = module_of(stack_factor)
    _, mel = given(stack_factor)
    cells = module.positions(mel)
    assert cells.shape[1:] == (96 // 16 * 8 // stack_factor, frames * bins)
    # Second column, second band.
    wanted = mel[0, frames : 2 * frames, bins : 2 * bins]
    found = cells[0, ROWS[stack_factor] + 1]
    assert torch.equal(found.sort().values, wanted.flatten().sort().values)


@pytest.mark.parametrize("stack_factor", [1, 2, 4])
@torch.no_grad()
def test_a_position_sees_its_cells_and_the_centroids_beside_it(stack_factor):
    module = module_of(stack_factor)
    centroids, mel = given(stack_factor)
    rows = ROWS[stack_factor]
    at = rows + 1
    base = module(centroids, mel)
    for position in range(centroids.shape[1]):
        other = centroids.clone()
        other[0, position] += 1
        is_seen = not torch.equal(module(other, mel)[0, at], base[0, at])
        assert is_seen == (position in {at, at - 1, at + 1, at - rows, at + rows}), position


@pytest.mark.parametrize(("stack_factor", "width"), [(1, 200), (4, 600), (4, 12)])
@torch.no_grad()
def test_values_come_back_as_cells_of_their_patches(stack_factor, width):
    config = dataclasses.replace(module_of(stack_factor).config, width=width)
    module = UntoldEnergies(config)
    values = torch.randn(1, 12, 5)
    parts = module.as_cells(values).unflatten(2, (stack_factor, -1))
    cells = module.spread(values).unflatten(2, (stack_factor, -1))
    shown = min(parts.shape[3], cells.shape[3])
    assert torch.equal(parts[..., :shown], cells[..., :shown])
    assert parts.shape[2:] == (stack_factor, width // stack_factor)
    assert not parts[..., shown:].any()


@torch.no_grad()
def test_cells_that_are_masked_count_a_tenth():
    module = module_of(1)
    mel = torch.full((1, 32, 64), -9.0)
    mel[0, :, :8] = 1.0
    weights = module.weights(mel)
    assert weights.shape == (1, 16, 128)
    assert torch.equal(weights[0, ::8], torch.ones(2, 128))
    assert torch.allclose(weights[0, 1], torch.tensor(0.1))


@torch.no_grad()
def test_untrained_it_gives_nothing():
    module = UntoldEnergies(module_of(1).config)
    assert module(*given(1)).abs().max() == 0
