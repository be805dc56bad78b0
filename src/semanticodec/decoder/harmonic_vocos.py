"""Vocos with a harmonic source (not in the paper): voices keep their harmonics.

    mel -> pitch -> pulses -> STFT ── source ──────────────┐
     │                           └──────────┐              │
     └── convolution ───────────────────── + ─> ConvNeXt ──┼─> source * filter + rest -> wav
     └── linear map: log magnitudes of filter and rest ────┘

The phases of a voice run on from frame to frame as its pitch says. A network that sees some
frames at a time cannot make them up: its harmonics above some hundred hertz blur. Here the
source has them, and the network is left with what is local: a filter for the source, and all
that is no voice.

Source: neural source-filter models (arXiv 1904.12088) for the idea; Vocos (arXiv 2306.00814).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn
from torch.nn import functional as F

from semanticodec.decoder.pitch import Pitch, PitchEstimator, pulses
from semanticodec.decoder.vocos import LARGEST_LOG_MAGNITUDE, Vocos

# Keeps the root of a magnitude differentiable at silence.
SMALLEST_ENERGY = 1e-6
# Level of all but the pulses before training, in natural log.
FIRST_REST = -1.5


class HarmonicVocos(Vocos):
    """Vocos whose spectrum is a filtered train of pulses plus what is left."""

    config: Config

    @dataclass(frozen=True, kw_only=True)
    class Config(Vocos.Config):
        """Sizes.

        Attributes:
            pitch: sizes of the network that finds the pitch in the mel.
        """

        pitch: PitchEstimator.Config = PitchEstimator.Config()

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        num_lines = config.fft_size // 2 + 1
        self.pitch = PitchEstimator(config.pitch)
        self.source_in = nn.Linear(2 * num_lines, config.width, bias=False)
        self.filter = nn.Linear(config.width, 2 * num_lines)
        # The network starts as the pulses with the mel's envelope, and little else beside them:
        # what is drowned out at first would not be missed, and never grow.
        nn.init.zeros_(self.filter.weight)
        nn.init.zeros_(self.filter.bias)
        nn.init.constant_(self.spectrum.bias[:num_lines], FIRST_REST)

    def forward(
        self, mel: Float[Tensor, "B T M"], pitch: Pitch | None = None
    ) -> Float[Tensor, "B S"]:
        """Return the waveform, S = T * hop_length.

        Args:
            mel: natural-log mel magnitudes, 100 frames per second.
            pitch: pitch of every frame, None to find it in the mel.
        """
        return self.inverse_stft(self.lines(mel, self.pitch.pitch(mel) if pitch is None else pitch))

    def lines(self, mel: Float[Tensor, "B T M"], pitch: Pitch) -> Complex[Tensor, "B T F"]:
        """Return the complex value of every STFT line."""
        source = self.source(pitch)
        level = self.filter_level(mel)
        first = self.conv_in(mel.transpose(1, 2))  # B T M -> B D T
        seen = self.source_in(_compressed(source).to(first.dtype)).transpose(1, 2)
        features = self.trunk(first + seen)
        gain, turn = self.filter(features).float().chunk(2, dim=-1)
        log_magnitude, phase = self.spectrum(features).float().chunk(2, dim=-1)
        filtered = source * torch.polar(_magnitude(gain + level), turn)
        rest = torch.polar(_magnitude(log_magnitude + level), phase)
        # No mel filter sees the line at 0 Hz, so nothing teaches its level: sound has none.
        return F.pad((filtered + rest)[..., 1:], (1, 0))

    def filter_level(self, mel: Float[Tensor, "B T M"]) -> Float[Tensor, "B T F"] | float:
        """Return the log magnitudes that filter and rest start from."""
        return 0.0 if self.shortcut is None else self.shortcut(mel)

    @torch.no_grad()
    def source(self, pitch: Pitch) -> Complex[Tensor, "B T F"]:
        """Return the STFT of the pulses; the mean square of its lines is about 1 in voices."""
        with torch.autocast(pitch.frequency.device.type, enabled=False):
            wav = pulses(pitch, self.config.hop_length)
            window = self.inverse_stft.window
            edge = (self.config.fft_size - self.config.hop_length) // 2
            frames = F.pad(wav, (edge, edge)).unfold(
                -1, self.config.fft_size, self.config.hop_length
            )
            return torch.fft.rfft(frames * window) / window.square().sum().sqrt()


def _magnitude(log_magnitude: Float[Tensor, "B T F"]) -> Float[Tensor, "B T F"]:
    return log_magnitude.clamp_max(LARGEST_LOG_MAGNITUDE).exp()


def _compressed(lines: Complex[Tensor, "B T F"]) -> Float[Tensor, "B T 2*F"]:
    """Return real and imaginary parts with the root of their magnitude."""
    energy = lines.real.square() + lines.imag.square()
    scale = (energy + SMALLEST_ENERGY).pow(-0.25)
    return torch.cat([lines.real * scale, lines.imag * scale], dim=-1)
