"""The 64-bin log mel: lengths, tones in their bins, gradients."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semanticodec.audio.mel import Mel
from semanticodec.audio.spectrogram import slaney_filters
from semanticodec.errors import AudioError


@settings(max_examples=20, deadline=None)
@given(num_samples=st.integers(433, 10_000))
def test_one_frame_per_hop(num_samples: int) -> None:
    assert Mel()(torch.randn(2, num_samples)).shape == (2, num_samples // 160, 64)


@pytest.mark.parametrize("frequency_hz", [250.0, 1000.0, 3000.0, 6000.0])
def test_a_tone_peaks_in_the_bin_of_its_frequency(frequency_hz: float) -> None:
    time = torch.arange(16_000) / 16_000
    mel = Mel()(torch.sin(2 * math.pi * frequency_hz * time).unsqueeze(0))
    peak = mel[0, 50].argmax().item()
    filters = slaney_filters(16_000, 1024, 64, 8000.0)
    loudest_line = filters[:, peak].argmax().item() * 16_000 / 1024
    assert abs(loudest_line - frequency_hz) < 0.06 * frequency_hz + 16


def test_twice_the_level_is_log_two_more() -> None:
    wav = torch.randn(1, 3200) * 0.1
    difference = Mel()(2 * wav) - Mel()(wav)
    assert torch.allclose(difference, torch.full_like(difference, math.log(2)), atol=1e-3)


def test_silence_is_finite_and_has_a_gradient() -> None:
    wav = torch.zeros(1, 3200, requires_grad=True)
    mel = Mel()(wav)
    mel.sum().backward()
    assert mel.isfinite().all() and wav.grad is not None and wav.grad.isfinite().all()


def test_short_audio_is_refused() -> None:
    with pytest.raises(AudioError, match="432 samples"):
        Mel()(torch.zeros(1, 432))
