"""The start of an acoustic encoder that sees the mel, on energies whose laws the test knows."""

import pytest
import torch

from semanticodec.audio.detail import split_detail
from semanticodec.encoder.acoustic_encoder import AcousticEncoder
from semanticodec.layers.patches import cut_patches
from semanticodec.layers.told_energies import ToldEnergies
from semanticodec.training.acoustic_start import (
    NUM_AXES,
    KnownPatches,
    Window,
    start_axes,
    start_shown,
    start_told,
)

WIDTH = 50
ROWS = {1: 8, 2: 4, 4: 4}
NUM_WINDOWS = 40


def mel_of(seed, frames=128):
    """Return a mel with much level and little detail, both of few kinds."""
    generator = torch.Generator().manual_seed(seed)
    slow = torch.randn(1, frames // 16, 4, generator=generator).repeat_interleave(16, dim=1)
    level = torch.nn.functional.interpolate(slow, size=64, mode="linear")
    loudness = torch.randn(1, frames // 16, 1, generator=generator)
    comb = torch.cos(torch.arange(64) * 2.2)
    return level + 0.3 * (comb * loudness).repeat_interleave(16, dim=1)


def window(seed, stack_factor=1):
    width = WIDTH * stack_factor
    mel = mel_of(seed)
    length = mel.shape[1] // 16 * 8 // stack_factor
    generator = torch.Generator().manual_seed(1000 + seed)
    features = torch.randn(1, length, width, generator=generator)
    # Few centroids, which tell nothing.
    few = torch.randn(4, width, generator=torch.Generator().manual_seed(0))
    return Window(
        features=features,
        centroids=few[torch.randint(4, (length,), generator=generator)][None],
        valid=torch.ones(1, length, dtype=torch.bool),
        mel=mel,
    )


def encoder_of(stack_factor):
    torch.manual_seed(0)
    return AcousticEncoder(
        AcousticEncoder.Config(
            width=WIDTH * stack_factor,
            hidden=4,
            num_layers=1,
            is_residual=True,
            num_mel_bins=64,
            stack_factor=stack_factor,
            num_bands=ROWS[stack_factor],
        )
    )


def start(acoustic, windows):
    start_told([acoustic.residual.told], [windows])
    start_axes(acoustic.residual, windows)


def found_again(seen, cells, held_out):
    """Return what a linear map, fitted on what was seen, finds of held-out cells."""
    mean = seen.mean(0)
    product = (seen - mean).T @ (seen - mean)
    ridge = 1e-3 * product.trace() / len(product) * torch.eye(len(product))
    weight = torch.linalg.solve(product + ridge, (seen - mean).T @ (cells - cells.mean(0)))
    return (held_out - mean) @ weight + cells.mean(0)


@pytest.mark.parametrize("stack_factor", [1, 2, 4])
@torch.no_grad()
def test_vectors_tell_level_and_detail(stack_factor):
    acoustic = encoder_of(stack_factor)
    windows = [window(seed, stack_factor) for seed in range(NUM_WINDOWS)]
    start(acoustic, windows)
    items = [*windows, window(999, stack_factor)]
    *seen, held_out = [acoustic.residual_vectors(x.features, x.centroids, x.mel)[0] for x in items]
    assert held_out.shape[1] == NUM_AXES
    vectors = torch.cat(seen)
    # Back as cells they have kept their lengths.
    cells = acoustic.residual.spread(vectors)
    torch.testing.assert_close(cells.norm(dim=1), vectors.norm(dim=1))
    positions = acoustic.residual.positions
    for part in ("level", "detail"):
        cells = [positions(getattr(split_detail(item.mel), part))[0] for item in items]
        found = found_again(vectors, torch.cat(cells[:-1]), held_out)
        assert (cells[-1] - found).square().mean() < 0.3 * cells[-1].var(), part


@torch.no_grad()
def test_what_the_centroids_tell_is_left_out():
    def told(seed):
        item = window(seed)
        # Centroids that tell the level of their patch.
        level = acoustic.residual.positions(item.mel).mean(2, keepdim=True)
        return item._replace(centroids=level * torch.ones(WIDTH))

    sizes = {}
    for name, make in (("told", told), ("untold", window)):
        acoustic = encoder_of(1)
        windows = [make(seed) for seed in range(NUM_WINDOWS)]
        start(acoustic, windows)
        residual = acoustic.residual
        item = windows[0]
        left = residual.positions(item.mel) - residual.told(item.centroids)
        sizes[name] = left.std()
    assert sizes["told"] < 0.7 * sizes["untold"]


@torch.no_grad()
def test_what_is_told_is_one_map_for_all_rates():
    encoders = [encoder_of(factor) for factor in (1, 2)]
    windows = [[window(seed, factor) for seed in range(4)] for factor in (1, 2)]
    start_told([encoder.residual.told for encoder in encoders], windows)
    first, other = (encoder.residual.told.state_dict() for encoder in encoders)
    assert first.keys() == other.keys()
    # Parts of centroids that belong to patches are as wide at every rate.
    assert all(torch.equal(first[name], other[name]) for name in first)


@torch.no_grad()
def test_the_decoder_is_shown_cells_centered_and_smaller():
    sizes = ToldEnergies.Config(width=3, num_streams=2, neighbor_width=4)
    shown = ToldEnergies(sizes)
    known = []
    for seed in range(NUM_WINDOWS):
        mel = mel_of(seed) - 6.0
        level = cut_patches(mel, 16, 8).mean(dim=2, keepdim=True)
        vectors = torch.cat([torch.randn(1, level.shape[1], 5), level], dim=2)
        known.append(KnownPatches(vectors, torch.ones(level.shape[1], dtype=torch.bool), mel))
    start_shown(shown, known)
    cells = torch.cat([shown.cells(shown.surroundings(item.vectors)) for item in known])
    wanted = torch.cat([cut_patches(item.mel, 16, 8) for item in known])
    assert cells.mean().abs() < 0.2  # 1.5 with the mean
    assert 0.1 < cells.std() / wanted.std() < 0.25
