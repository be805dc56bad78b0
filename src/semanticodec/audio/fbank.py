"""Kaldi-style log filter bank: what AudioMAE sees (128 bins; not the VAE's `mel`).

wav [B, S] -> frames of 400 samples every 160 -> minus mean -> pre-emphasis -> Hann
    -> 512-point power spectrum -> 128 triangles on the HTK mel scale -> log
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from semanticodec.errors import AudioError, ConfigError
from semanticodec.token_format import SAMPLE_RATE

FRAME_LENGTH = 400  # 25 ms
HOP_LENGTH = 160  # 10 ms
FFT_SIZE = 512
PREEMPHASIS = 0.97
LOWEST_HZ = 20.0
# Tables are computed, never loaded: they need real memory even where weights are built without it.
TABLE_DEVICE = "cpu"
LOG_FLOOR = 1.1920928955078125e-07  # float32 epsilon, Kaldi's floor under the logarithm
FBANK_MEAN = -4.2677393  # AudioSet statistics that AudioMAE was trained with
FBANK_STD = 4.5689974
# Samples of the next window that the last two frames of a window reach into.
LOOKAHEAD_SAMPLES = FRAME_LENGTH - HOP_LENGTH


def _mel_scale(frequency_hz: float) -> float:
    return 1127.0 * math.log(1.0 + frequency_hz / 700.0)


def mel_triangles(num_mel_bins: int) -> Float[Tensor, "257 M"]:
    """Return Kaldi's triangular weights from power-spectrum lines to mel bins.

    At 128 bins the triangle of bin 3 falls between two lines and stays empty, as in Kaldi.
    Computed in float32 on purpose: the reference tables are, and log energies show it.
    """
    lowest, highest = _mel_scale(LOWEST_HZ), _mel_scale(SAMPLE_RATE / 2)
    spacing = (highest - lowest) / (num_mel_bins + 1)
    bins = torch.arange(num_mel_bins, dtype=torch.float32, device=TABLE_DEVICE)
    left, center, right = (lowest + (bins + edge) * spacing for edge in (0.0, 1.0, 2.0))
    lines = torch.arange(FFT_SIZE // 2, dtype=torch.float32, device=TABLE_DEVICE)
    lines_hz = lines * (SAMPLE_RATE / FFT_SIZE)
    line_mels = (1127.0 * (1.0 + lines_hz / 700.0).log())[:, None]
    rising = (line_mels - left) / (center - left)
    falling = (right - line_mels) / (right - center)
    triangles = torch.minimum(rising, falling).clamp_min(0)
    # The Nyquist line takes no part in Kaldi's bank.
    return F.pad(triangles, (0, 0, 0, 1))


class Fbank(nn.Module):
    """Batched, differentiable Kaldi filter bank (25 ms Hann, 10 ms hop, no dither)."""

    window: Tensor
    triangles: Tensor

    def __init__(self, num_mel_bins: int = 128) -> None:
        super().__init__()
        if not 1 <= num_mel_bins <= FFT_SIZE // 2:
            raise ConfigError(
                f"num_mel_bins is {num_mel_bins}; the filter bank has 1 to {FFT_SIZE // 2}"
            )
        window = torch.hann_window(
            FRAME_LENGTH, periodic=False, dtype=torch.float64, device=TABLE_DEVICE
        ).float()
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("triangles", mel_triangles(num_mel_bins), persistent=False)

    def forward(self, wav: Float[Tensor, "B S"]) -> Float[Tensor, "B T M"]:
        """Return log mel energies, T = 1 + (S - 400) // 160.

        Args:
            wav: 16 kHz waveform in [-1, 1].
        Raises:
            AudioError: S is shorter than one frame of 400 samples.
        """
        if wav.shape[-1] < FRAME_LENGTH:
            raise AudioError(
                f"{wav.shape[-1]} samples are shorter than one analysis frame; "
                f"give at least {FRAME_LENGTH} samples (25 ms at 16 kHz)"
            )
        frames = wav.unfold(-1, FRAME_LENGTH, HOP_LENGTH)  # B S -> B T 400
        frames = frames - frames.mean(dim=-1, keepdim=True)
        # Kaldi emphasizes the first sample against itself.
        previous = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
        shaped = (frames - PREEMPHASIS * previous) * self.window
        spectrum = torch.fft.rfft(shaped, n=FFT_SIZE)
        power = spectrum.real.square() + spectrum.imag.square()
        return torch.log((power @ self.triangles).clamp_min(LOG_FLOOR))


def normalize_fbank(fbank: Float[Tensor, " ..."]) -> Float[Tensor, " ..."]:
    """Return the filter bank on the scale that AudioMAE was trained with."""
    return (fbank - FBANK_MEAN) / (2 * FBANK_STD)


def window_fbank(fbank: Fbank, wav: Float[Tensor, "B S"]) -> Float[Tensor, "B T M"]:
    """Return the normalized filter bank of a window, T rounded up to whole patches.

    A window that the recording fills comes with its `LOOKAHEAD_SAMPLES`, and every row is real.
    The last, zero-padded window (S = 163 840) has two rows that no frame reaches; they are 0
    before normalizing, the convention that official weights were trained with.

    Args:
        fbank: the filter bank module.
        wav: S a multiple of 2560 samples (0.16 s, one patch), or that plus the look-ahead.
    """
    energies = fbank(wav)
    num_frames = math.ceil(energies.shape[1] / 16) * 16
    return normalize_fbank(F.pad(energies, (0, 0, 0, num_frames - energies.shape[1])))
