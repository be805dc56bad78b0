"""Laws of level and detail."""

import torch

from semanticodec.audio.detail import split_detail


def test_level_and_detail_add_up():
    fbank = torch.randn(2, 6, 32)
    level, detail = split_detail(fbank)
    assert torch.allclose(level + detail, fbank, atol=1e-6)


def test_a_slope_is_level_and_a_ripple_of_five_bins_is_detail():
    bins = torch.arange(64.0)
    slope, ripple = 0.1 * bins, (2 * torch.pi * bins / 5).sin()
    level, detail = split_detail((slope + ripple).expand(1, 3, 64))
    inner = slice(2, -2)  # the first and last two bins are smoothed against copies of the edge
    assert torch.allclose(level[0, 0, inner], slope[inner], atol=1e-5)
    assert torch.allclose(detail[0, 0, inner], ripple[inner], atol=1e-5)
