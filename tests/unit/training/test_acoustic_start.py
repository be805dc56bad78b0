"""The start of an acoustic encoder that sees patches, on energies whose laws the test knows."""

from dataclasses import replace

import pytest
import torch

from semanticodec.audio.detail import split_detail
from semanticodec.encoder.acoustic_encoder import AcousticEncoder
from semanticodec.encoder.audiomae import patchify
from semanticodec.encoder.vector_quantizer import VectorQuantizer
from semanticodec.training.acoustic_start import (
    DETAIL_STD,
    DETAIL_WEIGHTS,
    LEVEL_STD,
    NUM_AXES,
    Positions,
    extend_with_detail,
    start_from_patches,
    weighted_energies,
)

WIDTH, NUM_BANDS = 40, 8


def fbank_of(seed, frames=64):
    """Return a filter bank with much level and little detail, both of few kinds."""
    generator = torch.Generator().manual_seed(seed)
    slow = torch.randn(1, frames // 16, 4, generator=generator).repeat_interleave(16, dim=1)
    level = torch.nn.functional.interpolate(slow, size=128, mode="linear")
    comb = torch.cos(torch.arange(128) * 2.2) * torch.randn(1, frames // 16, 1, generator=generator)
    return 0.5 * level + 0.1 * comb.repeat_interleave(16, dim=1)


def window(seed, stack_factor=1):
    fbank = fbank_of(seed)
    patches = patchify(fbank)
    generator = torch.Generator().manual_seed(1000 + seed)
    features = torch.randn(patches.shape[1], WIDTH, generator=generator)
    return Positions(
        features=features,
        centroids=features.round(),
        patches=patches[0],
        energies=weighted_energies(patches, stack_factor, NUM_BANDS)[0],
        bands=torch.arange(patches.shape[1]) % NUM_BANDS,
    )


def found_again(seen, energies, held_out):
    """Return what a linear map, fitted on what was seen, finds of held-out energies."""
    mean = seen.mean(0)
    product = (seen - mean).T @ (seen - mean)
    ridge = 1e-3 * product.trace() / len(product) * torch.eye(len(product))
    weight = torch.linalg.solve(product + ridge, (seen - mean).T @ (energies - energies.mean(0)))
    return (held_out - mean) @ weight + energies.mean(0)


def test_level_and_detail_are_each_on_their_own_scale():
    fbank = fbank_of(0)
    level, detail = split_detail(fbank)
    parts = weighted_energies(patchify(fbank), 1, NUM_BANDS)
    torch.testing.assert_close(parts[..., :256], patchify(level) / LEVEL_STD)
    weights = torch.tensor(DETAIL_WEIGHTS).repeat(4).view(1, -1, 1)
    torch.testing.assert_close(parts[..., 256:], weights * patchify(detail) / DETAIL_STD)
    assert weighted_energies(patchify(fbank), 4, NUM_BANDS).shape == (1, 8, 4 * 512)


def test_the_encoder_starts_with_most_of_what_the_centroids_do_not_tell():
    torch.manual_seed(0)
    config = AcousticEncoder.Config(
        width=WIDTH, hidden=4, num_layers=1, is_residual=True, patch_width=256
    )
    acoustic = AcousticEncoder(config)
    windows = [window(seed) for seed in range(40)]
    start_from_patches(acoustic, windows)
    held_out = window(99)
    rows = [part[None] for part in (held_out.features, held_out.centroids, held_out.patches)]
    with torch.no_grad():
        vectors = acoustic(*rows)[0]
    assert vectors[:, NUM_AXES:].abs().max() == 0
    # A linear map from the vectors finds the detail again.
    with torch.no_grad():
        seen = torch.cat(
            [acoustic(w.features[None], w.centroids[None], w.patches[None])[0] for w in windows]
        )
    energies = torch.cat([part.energies for part in windows])
    errors = held_out.energies - found_again(seen, energies, vectors)
    assert errors[:, 256:].square().mean() < 0.5 * held_out.energies[:, 256:].var()


@pytest.mark.parametrize("stack_factor", [2, 4])
def test_stacked_positions_have_all_their_patches(stack_factor):
    patches = patchify(fbank_of(0))
    single = weighted_energies(patches, 1, NUM_BANDS)
    stacked = weighted_energies(patches, stack_factor, NUM_BANDS)
    assert stacked.numel() == single.numel()
    torch.testing.assert_close(stacked.square().sum(), single.square().sum())


def extended():
    """Return an acoustic encoder, the earlier quantizer, the wider one, and windows."""
    torch.manual_seed(0)
    sizes = AcousticEncoder.Config(
        width=WIDTH, hidden=4, num_layers=1, is_residual=True, patch_width=256
    )
    acoustic = AcousticEncoder(sizes)
    with torch.no_grad():
        acoustic.residual.weight[:, WIDTH:] = 0
    quantizer = VectorQuantizer.Config(width=WIDTH, codebook_size=16, code_width=8)
    earlier = VectorQuantizer(quantizer)
    windows = [window(seed) for seed in range(40)]
    vectors = torch.cat([vectors_of(acoustic, w) for w in windows])
    earlier.start_from(vectors, torch.Generator().manual_seed(0))
    wider = VectorQuantizer(replace(quantizer, code_width=12))
    before = earlier.bypass(vectors[None])[0]
    extend_with_detail(acoustic, wider, earlier, windows, vectors)
    return acoustic, wider, windows, before


@torch.no_grad()
def vectors_of(acoustic, rows):
    return acoustic(rows.features[None], rows.centroids[None], rows.patches[None])[0]


@torch.no_grad()
def test_a_decoder_finds_what_it_knew_where_it_was():
    acoustic, wider, windows, before = extended()
    after = wider.bypass(torch.cat([vectors_of(acoustic, w) for w in windows])[None])[0]
    added = torch.linalg.qr(wider.project_out.weight[:, 8:]).Q
    beside = torch.eye(WIDTH) - added @ added.T
    torch.testing.assert_close((after @ beside), (before @ beside), rtol=1e-3, atol=1e-4)
    assert (after @ added).var() > 0


@torch.no_grad()
def test_the_added_dimensions_hold_detail():
    acoustic, wider, windows, _ = extended()
    held_out = window(99)
    fit, test = (
        torch.cat([wider.project_in(vectors_of(acoustic, w)) for w in ws])[:, 8:]
        for ws in (windows, [held_out])
    )
    detail = torch.cat([w.energies[:, 256:] for w in windows])
    errors = held_out.energies[:, 256:] - found_again(fit, detail, test)
    assert errors.square().mean() < 0.7 * held_out.energies[:, 256:].var()
