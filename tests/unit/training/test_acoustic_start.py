"""The start of an acoustic encoder that sees patches, on energies whose laws the test knows."""

import pytest
import torch

from semanticodec.audio.detail import split_detail
from semanticodec.encoder.acoustic_encoder import AcousticEncoder
from semanticodec.encoder.audiomae import patchify
from semanticodec.layers.stacking import stack_patches
from semanticodec.training.acoustic_start import (
    NUM_AXES,
    Window,
    pair_bins,
    spectrogram_patches,
    start_from_patches,
)

WIDTH = 50
ROWS = {1: 8, 2: 4, 4: 4}
NUM_WINDOWS = 80


def fbank_of(seed, frames=128):
    """Return a filter bank with much level and little detail, both of few kinds."""
    generator = torch.Generator().manual_seed(seed)
    slow = torch.randn(1, frames // 16, 4, generator=generator).repeat_interleave(16, dim=1)
    level = torch.nn.functional.interpolate(slow, size=128, mode="linear")
    comb = torch.cos(torch.arange(64) * 2.2).repeat_interleave(2)
    loudness = torch.randn(1, frames // 16, 1, generator=generator)
    return 0.1 * level + 0.05 * (comb * loudness).repeat_interleave(16, dim=1)


def window(seed, stack_factor=1):
    fbank = fbank_of(seed)
    patches = stack_patches(patchify(fbank), stack_factor)
    generator = torch.Generator().manual_seed(1000 + seed)
    features = torch.randn(1, patches.shape[1], WIDTH, generator=generator)
    # Few centroids, which tell nothing.
    few = torch.randn(4, WIDTH, generator=torch.Generator().manual_seed(0))
    return Window(
        features=features,
        centroids=few[torch.randint(4, (patches.shape[1],), generator=generator)][None],
        patches=patches,
        valid=torch.ones(1, patches.shape[1], dtype=torch.bool),
        mel=pair_bins(fbank),
    )


def found_again(seen, cells, held_out):
    """Return what a linear map, fitted on what was seen, finds of held-out cells."""
    mean = seen.mean(0)
    product = (seen - mean).T @ (seen - mean)
    ridge = 1e-3 * product.trace() / len(product) * torch.eye(len(product))
    weight = torch.linalg.solve(product + ridge, (seen - mean).T @ (cells - cells.mean(0)))
    return (held_out - mean) @ weight + cells.mean(0)


@pytest.mark.parametrize("stack_factor", [1, 2, 4])
@torch.no_grad()
def test_the_encoder_starts_with_most_of_what_the_centroids_do_not_tell(stack_factor):
    torch.manual_seed(0)
    config = AcousticEncoder.Config(
        width=WIDTH,
        hidden=4,
        num_layers=1,
        is_residual=True,
        patch_width=256 * stack_factor,
        stack_factor=stack_factor,
        num_bands=ROWS[stack_factor],
    )
    acoustic = AcousticEncoder(config)
    windows = [window(seed, stack_factor) for seed in range(NUM_WINDOWS)]
    start_from_patches(acoustic, windows)
    *seen, held_out = [
        acoustic.residual_vectors(*item[:3])[0] for item in (*windows, window(999, stack_factor))
    ]
    assert held_out.shape[1] == WIDTH and held_out[:, NUM_AXES:].abs().max() == 0
    # A linear map from the vectors finds level and detail again.
    positions = acoustic.residual.positions
    for part in ("level", "detail"):
        cells = [
            positions(getattr(split_detail(item.mel), part))[0]
            for item in (*windows, window(999, stack_factor))
        ]
        found = found_again(torch.cat(seen), torch.cat(cells[:-1]), held_out)
        assert (cells[-1] - found).square().mean() < 0.3 * cells[-1].var(), part


@torch.no_grad()
def test_what_the_centroids_tell_is_left_out():
    torch.manual_seed(0)
    config = AcousticEncoder.Config(
        width=WIDTH, hidden=4, num_layers=1, is_residual=True, patch_width=256
    )

    def told(seed):
        item = window(seed)
        # Centroids that tell the level of their patch.
        level = spectrogram_patches(item.mel, 8).mean(2, keepdim=True)
        return item._replace(centroids=level * torch.ones(WIDTH), features=level + item.features)

    sizes = {}
    for name, make in (("told", told), ("untold", window)):
        acoustic = AcousticEncoder(config)
        windows = [make(seed) for seed in range(NUM_WINDOWS)]
        start_from_patches(acoustic, windows)
        residual = acoustic.residual
        fbank = residual.fbank(windows[0].patches)
        inputs = residual.inputs(*windows[0][:2], fbank)
        sizes[name] = residual.cells(residual.reduce(inputs)).std()
    assert sizes["told"] < 0.7 * sizes["untold"]
