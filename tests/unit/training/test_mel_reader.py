"""Reading a mel from a condition: the order of patches, and the start from the data."""

import torch

from semanticodec.layers.patches import cut_patches
from semanticodec.training.mel_reader import MelReader

WIDTH, BANDS, BINS = 12, 4, 16


def test_patches_are_read_back_where_they_came_from():
    mel = torch.randn(2, 48, BINS)
    patches = cut_patches(mel, 16, mel.shape[2] // BANDS)
    assert patches.shape == (2, 3 * BANDS, 16 * BINS // BANDS)
    # Column 1, band 2: frames 16 to 31, bins 8 to 11.
    assert torch.equal(patches[:, BANDS + 2].unflatten(1, (16, 4)), mel[:, 16:32, 8:12])


def test_the_reader_starts_at_what_a_condition_means_in_each_band():
    torch.manual_seed(0)
    reader = MelReader(WIDTH, 8, BANDS, BINS)
    context, bands = torch.randn(4000, WIDTH), torch.arange(4000) % BANDS
    maps, offsets = torch.randn(BANDS, WIDTH, 64), torch.randn(BANDS, 64)
    patches = torch.einsum("ne,nep->np", context, maps[bands]) + offsets[bands]
    reader.start(context, None, patches, torch.ones(len(bands)))
    mel = reader(context[None, :40], torch.randn(1, 40, 8))
    assert mel.shape == (1, 160, BINS)
    assert (cut_patches(mel, 16, mel.shape[2] // BANDS)[0] - patches[:40]).abs().max() < 0.01


def test_the_reader_starts_at_what_a_transformer_has_learned():
    torch.manual_seed(0)
    reader = MelReader(WIDTH, 8, BANDS, BINS)
    context, features = torch.randn(4000, WIDTH), torch.randn(4000, 8)
    context[:, 0] = 0.7  # a constant is no matter
    patches = context @ torch.randn(WIDTH, 64) + features @ torch.randn(8, 64) + 3.0
    reader.start(context, features, patches, torch.ones(4000))
    read = cut_patches(reader(context[None], features[None]), 16, BINS // BANDS)[0]
    # What features tell is as good as independent of the condition.
    assert (read - patches).square().mean() < 0.02 * patches.var()
