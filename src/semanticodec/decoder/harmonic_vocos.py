"""Vocos on the phases of a harmonic source (not in the paper): voices keep their harmonics.

    mel -> pitch -> pulses -> STFT ── phases, where there is voice ──────┐
     │                         └──────────┐                              │
     └── convolution ─────────────────── + ─> ConvNeXt ─> magnitudes, phases less those -> wav

The phases of a voice run on from frame to frame as its pitch says. A network that sees some
frames at a time cannot make them up: its harmonics above some hundred hertz blur, however true
their magnitudes are. Here the pulses have them, and the network says what is local, the
magnitudes and by how much the phases differ. Without voice it is Vocos.

Source: neural source-filter models (arXiv 1904.12088) for the source; Vocos (arXiv 2306.00814).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn
from torch.nn import functional as F

from semanticodec.decoder.pitch import Pitch, PitchEstimator, pulses
from semanticodec.decoder.vocos import Vocos
from semanticodec.layers.full_precision import without_autocast

# Where the pulses' lines are weaker, their phase means nothing.
SMALLEST_MAGNITUDE = 1e-4
VOICED = 0.5


class HarmonicVocos(Vocos):
    """Vocos whose phases are relative to those of pulses with the pitch of the mel."""

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
        self.pitch = PitchEstimator(config.pitch)
        num_lines = config.fft_size // 2 + 1
        self.source_in = nn.Linear(2 * num_lines, config.width, bias=False)
        # The phases start as those of the pulses.
        nn.init.zeros_(self.spectrum.weight[num_lines:])
        nn.init.zeros_(self.spectrum.bias[num_lines:])

    def forward(
        self, mel: Float[Tensor, "B T M"], pitch: Pitch | None = None
    ) -> Float[Tensor, "B S"]:
        """Return the waveform, S = T * hop_length.

        Args:
            mel: natural-log mel magnitudes, 100 frames per second.
            pitch: pitch of every frame, None to find it in the mel.
        """
        source = self.source(self.pitch.pitch(mel) if pitch is None else pitch)
        return self.inverse_stft(torch.complex(*self.lines(mel, source.real, source.imag)))

    def lines(
        self,
        mel: Float[Tensor, "B T M"],
        source_real: Float[Tensor, "B T F"],
        source_imag: Float[Tensor, "B T F"],
    ) -> tuple[Float[Tensor, "B T F"], Float[Tensor, "B T F"]]:
        """Return real and imaginary part of every STFT line, float32.

        Args:
            mel: natural-log mel magnitudes.
            source_real: real part of `source`.
            source_imag: imaginary part of it.
        """
        magnitude, phase = self.polar(mel, self._frames(mel, source_real, source_imag))
        cos, sin = magnitude * phase.cos(), magnitude * phase.sin()
        return cos * source_real - sin * source_imag, cos * source_imag + sin * source_real

    def frames(self, mel: Float[Tensor, "B T M"]) -> Float[Tensor, "B T D"]:
        """Return the last features of every frame, with the pitch found in the mel."""
        source = self.source(self.pitch.pitch(mel))
        return self._frames(mel, source.real, source.imag)

    def _frames(
        self,
        mel: Float[Tensor, "B T M"],
        source_real: Float[Tensor, "B T F"],
        source_imag: Float[Tensor, "B T F"],
    ) -> Float[Tensor, "B T D"]:
        first = self.conv_in(mel.transpose(1, 2))  # B T M -> B D T
        parts = torch.cat([source_real, source_imag], dim=-1)
        seen = self.source_in(parts.to(first.dtype)).transpose(1, 2)
        return self.trunk(first + seen)

    @torch.no_grad()
    def source(self, pitch: Pitch) -> Complex[Tensor, "B T F"]:
        """Return the phases of the pulses as numbers of magnitude 1; 1 where there is no voice."""
        with without_autocast(pitch.frequency):
            size, hop = self.config.fft_size, self.config.hop_length
            edge = (size - hop) // 2
            wav = F.pad(pulses(pitch.frequency, hop), (edge, edge))
            lines = torch.fft.rfft(wav.unfold(-1, size, hop) * self.inverse_stft.window)
            return torch.complex(*unit_phases(lines.real, lines.imag, pitch.voicing))


def unit_phases(
    real: Float[Tensor, "B T F"], imag: Float[Tensor, "B T F"], voicing: Float[Tensor, "B T"]
) -> tuple[Float[Tensor, "B T F"], Float[Tensor, "B T F"]]:
    """Return real and imaginary part of lines at magnitude 1, and (1, 0) where there is no voice.

    Args:
        real: real parts of the pulses' lines.
        imag: imaginary parts of them.
        voicing: probability of a pitch, per frame.
    """
    magnitude = (real.square() + imag.square()).sqrt()
    is_known = (voicing >= VOICED).unsqueeze(-1) & (magnitude > SMALLEST_MAGNITUDE)
    divisor = magnitude.clamp_min(SMALLEST_MAGNITUDE)
    return torch.where(is_known, real / divisor, 1.0), torch.where(is_known, imag / divisor, 0.0)
