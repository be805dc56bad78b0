"""Patches of a spectrogram."""

import torch

from semanticodec.layers.patches import cut_patches, join_patches


def test_patches_are_time_major_and_come_together_again():
    spectrogram = torch.arange(6 * 8.0).view(1, 6, 8)
    patches = cut_patches(spectrogram, 3, 4)
    assert patches.shape == (1, 4, 12)
    assert torch.equal(patches[0, 1].view(3, 4), spectrogram[0, :3, 4:])
    assert torch.equal(patches[0, 2].view(3, 4), spectrogram[0, 3:, :4])
    assert torch.equal(join_patches(patches, 3, 2), spectrogram)
