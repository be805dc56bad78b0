"""64-bin log-mel spectrogram: the VAE's and the vocoder's side (not AudioMAE's `fbank`)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from semanticodec.errors import AudioError

SAMPLE_RATE = 16_000
FFT_SIZE = 1024
HOP_LENGTH = 160
NUM_MEL_BINS = 64
LOG_FLOOR = 1e-5
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
    """Return area-normalised triangles on Slaney's mel scale from 0 Hz to `highest_hz`."""
    lines_hz = torch.linspace(0, sample_rate / 2, fft_size // 2 + 1, dtype=torch.float64)
    top = _mel_scale(torch.tensor(highest_hz, dtype=torch.float64))
    edges_hz = _frequency_hz(torch.linspace(0, 1, num_mel_bins + 2, dtype=torch.float64) * top)
    left, centre, right = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    rising = (lines_hz[:, None] - left) / (centre - left)
    falling = (right - lines_hz[:, None]) / (right - centre)
    triangles = torch.minimum(rising, falling).clamp_min(0)
    return (triangles * 2.0 / (right - left)).float()


class Mel(nn.Module):
    """Natural log of the mel magnitude spectrogram, 100 frames per second, 0-8000 Hz."""

    window: Tensor
    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(FFT_SIZE), persistent=False)
        filters = slaney_filters(SAMPLE_RATE, FFT_SIZE, NUM_MEL_BINS, SAMPLE_RATE / 2)
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, wav: Float[Tensor, "B S"]) -> Float[Tensor, "B T 64"]:
        """Return the log-mel spectrogram, T = S // 160; frame t is centred at sample 160 t + 80.

        Args:
            wav: 16 kHz waveform in [-1, 1].
        Raises:
            AudioError: S is too short for the reflected edges.
        """
        edge = (FFT_SIZE - HOP_LENGTH) // 2
        if wav.shape[-1] <= edge:
            raise AudioError(
                f"{wav.shape[-1]} samples are too short for a mel spectrogram; "
                f"give more than {edge} samples"
            )
        padded = F.pad(wav.unsqueeze(1), (edge, edge), mode="reflect").squeeze(1)
        spectrum = torch.stft(
            padded, FFT_SIZE, HOP_LENGTH, window=self.window, center=False, return_complex=True
        )
        # The small constant keeps the gradient of the magnitude finite in silence.
        magnitude = (spectrum.real.square() + spectrum.imag.square() + 1e-9).sqrt()
        mel = magnitude.transpose(1, 2) @ self.filters  # B F T -> B T F -> B T M
        return torch.log(mel.clamp_min(LOG_FLOOR))
