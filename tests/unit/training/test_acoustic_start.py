"""The start of an acoustic encoder that sees patches, on energies whose laws the test knows."""

import pytest
import torch

from semanticodec.audio.detail import split_detail
from semanticodec.encoder.acoustic_encoder import AcousticEncoder
from semanticodec.encoder.audiomae import patchify
from semanticodec.training.acoustic_start import (
    DETAIL_GAIN,
    NUM_AXES,
    Positions,
    start_from_patches,
    weighted_energies,
)

WIDTH, NUM_BANDS = 64, 8


def fbank_of(seed, frames=64):
    """Return a filter bank with much level and little detail, both of few kinds."""
    generator = torch.Generator().manual_seed(seed)
    slow = torch.randn(1, frames // 16, 4, generator=generator).repeat_interleave(16, dim=1)
    level = torch.nn.functional.interpolate(slow, size=128, mode="linear")
    comb = torch.cos(torch.arange(128) * 2.2) * torch.randn(1, frames // 16, 1, generator=generator)
    return 0.5 * level + 0.1 * comb.repeat_interleave(16, dim=1)


def window(acoustic, seed, stack_factor=1):
    fbank = fbank_of(seed)
    patches = patchify(fbank)
    generator = torch.Generator().manual_seed(1000 + seed)
    features = torch.randn(patches.shape[1], WIDTH, generator=generator)
    return Positions(
        inputs=acoustic.residual_inputs(features[None], features.round()[None], patches)[0],
        centroids=features.round(),
        energies=weighted_energies(fbank, stack_factor, NUM_BANDS)[0],
        bands=torch.arange(patches.shape[1]) % NUM_BANDS,
    )


def found_again(seen, energies, held_out):
    """Return what a linear map, fitted on what was seen, finds of held-out energies."""
    mean = seen.mean(0)
    product = (seen - mean).T @ (seen - mean)
    ridge = 1e-3 * product.trace() / len(product) * torch.eye(len(product))
    weight = torch.linalg.solve(product + ridge, (seen - mean).T @ (energies - energies.mean(0)))
    return (held_out - mean) @ weight + energies.mean(0)


def test_detail_counts_twice_beside_the_level():
    fbank = fbank_of(0)
    level, detail = split_detail(fbank)
    parts = weighted_energies(fbank, 1, NUM_BANDS)
    torch.testing.assert_close(parts[..., :256], patchify(level))
    torch.testing.assert_close(parts[..., 256:], DETAIL_GAIN * patchify(detail))
    assert weighted_energies(fbank, 4, NUM_BANDS).shape == (1, 8, 4 * 512)


def test_the_encoder_starts_with_most_of_what_the_centroids_do_not_tell():
    torch.manual_seed(0)
    config = AcousticEncoder.Config(
        width=WIDTH, hidden=4, num_layers=1, is_residual=True, patch_width=256
    )
    acoustic = AcousticEncoder(config)
    windows = [window(acoustic, seed) for seed in range(40)]
    start_from_patches(acoustic, windows)
    held_out = window(acoustic, 99)
    with torch.no_grad():
        vectors = acoustic.residual_vectors(held_out.inputs[None])[0]
        seen = torch.cat([acoustic.residual_vectors(w.inputs[None])[0] for w in windows])
    assert vectors.shape[1] == WIDTH and vectors[:, NUM_AXES:].abs().max() == 0
    # A linear map from the vectors finds the detail again.
    energies = torch.cat([part.energies for part in windows])
    errors = held_out.energies - found_again(seen, energies, vectors)
    assert errors[:, 256:].square().mean() < 0.5 * held_out.energies[:, 256:].var()


@pytest.mark.parametrize("stack_factor", [2, 4])
def test_stacked_positions_have_all_their_patches(stack_factor):
    fbank = fbank_of(0)
    single = weighted_energies(fbank, 1, NUM_BANDS)
    stacked = weighted_energies(fbank, stack_factor, NUM_BANDS)
    assert stacked.numel() == single.numel()
    torch.testing.assert_close(stacked.square().sum(), single.square().sum())
