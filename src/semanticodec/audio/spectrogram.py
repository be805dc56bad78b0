"""Magnitude spectrograms and Slaney's mel filters: what `mel`, losses and metrics are made of."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

# Slaney's scale: linear below 1 kHz (3 mel per 200 Hz), then 27 steps per factor of 6.4.
_BREAK_HZ = 1000.0
_MELS_PER_HZ = 3.0 / 200.0
_LOG_STEP = torch.log(torch.tensor(6.4, dtype=torch.float64)) / 27.0


def _mel_scale(frequency_hz: Tensor) -> Tensor:
    above = torch.log(frequency_hz.clamp_min(_BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return torch.where(frequency_hz < _BREAK_HZ, frequency_hz * _MELS_PER_HZ, 15.0 + above)


def _frequency_hz(mels: Tensor) -> Tensor:
    above = _BREAK_HZ * torch.exp(_LOG_STEP * (mels - 15.0).clamp_min(0))
    return torch.where(mels < 15.0, mels / _MELS_PER_HZ, above)


def slaney_filters(
    sample_rate: int, fft_size: int, num_mel_bins: int, highest_hz: float
) -> Float[Tensor, "F M"]:
    """Return area-normalized triangles on Slaney's mel scale from 0 Hz to `highest_hz`."""
    lines_hz = torch.linspace(0, sample_rate / 2, fft_size // 2 + 1, dtype=torch.float64)
    top = _mel_scale(torch.tensor(highest_hz, dtype=torch.float64))
    edges_hz = _frequency_hz(torch.linspace(0, 1, num_mel_bins + 2, dtype=torch.float64) * top)
    left, center, right = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    rising = (lines_hz[:, None] - left) / (center - left)
    falling = (right - lines_hz[:, None]) / (right - center)
    triangles = torch.minimum(rising, falling).clamp_min(0)
    return (triangles * 2.0 / (right - left)).float()


def magnitude_spectrogram(
    wav: Float[Tensor, "B S"], window: Float[Tensor, " N"], hop_length: int
) -> Float[Tensor, "B T N/2+1"]:
    """Return the magnitude of the centered short-time Fourier transform, time before frequency.

    Args:
        wav: waveforms longer than half a window (the ends are reflected).
        window: analysis window; its length is the transform's.
        hop_length: samples between frames.
    """
    size = window.numel()
    spectrum = torch.stft(
        wav, size, hop_length, window=window, center=True, pad_mode="reflect", return_complex=True
    )
    return spectrum.abs().transpose(1, 2)  # B F T -> B T F
