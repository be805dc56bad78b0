"""64-bin log-mel spectrogram: the VAE's and the vocoder's side (not AudioMAE's `fbank`)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from semanticodec.audio.spectrogram import slaney_filters
from semanticodec.errors import AudioError
from semanticodec.token_format import PATCH_SAMPLES, SAMPLE_RATE

FFT_SIZE = 1024
HOP_LENGTH = 160
NUM_MEL_BINS = 64
LOG_FLOOR = 1e-5


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
        """Return the log-mel spectrogram, T = S // 160; frame t is centered at sample 160 t + 80.

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


def window_mel(mel: Mel, wav: Float[Tensor, "B S"]) -> Float[Tensor, "B T 64"]:
    """Return the log-mel spectrogram of a window's whole patches, without its look-ahead.

    Args:
        mel: the spectrogram module.
        wav: S a multiple of 2560 samples (0.16 s, one patch), or that plus the look-ahead.
    """
    return mel(wav[:, : wav.shape[1] // PATCH_SAMPLES * PATCH_SAMPLES])
