"""Magnitudes follow the waveform, mel filters lie where Slaney's scale puts them."""

from __future__ import annotations

import math

import pytest
import torch

from semanticodec.audio.spectrogram import magnitude_spectrogram, slaney_filters


@pytest.mark.parametrize(("size", "num_bins"), [(1024, 64), (2048, 320), (256, 20)])
def test_every_filter_averages_over_its_band(size, num_bins):
    filters = slaney_filters(16_000, size, num_bins, 8000.0)
    assert filters.shape == (size // 2 + 1, num_bins)
    # Wide triangles are sampled well: their area over frequency is one.
    areas = filters.sum(dim=0)[-num_bins // 4 :] * 16_000 / size
    assert torch.allclose(areas, torch.ones_like(areas), atol=0.05)
    peaks = filters[:, filters.sum(dim=0) > 0].argmax(dim=0)
    assert (peaks.diff() >= 0).all()


def test_magnitudes_grow_with_the_waveform_and_peak_at_its_tone():
    tone = torch.cos(2 * math.pi * 1000 / 16_000 * torch.arange(4096))[None]
    window = torch.hann_window(512)
    magnitudes = magnitude_spectrogram(tone, window, 128)
    assert magnitudes.shape == (1, 4096 // 128 + 1, 257)
    assert (magnitudes[0].argmax(dim=1)[2:-2] == 1000 * 512 // 16_000).all()
    assert torch.allclose(magnitude_spectrogram(3 * tone, window, 128), 3 * magnitudes, atol=1e-4)
