"""The pitch of a mel spectrogram, and the pulses of that pitch: the source of a vocoder.

mel [B, T, M] -> ConvNeXt blocks -> logits of 192 pitches and of voicing -> frequency, voicing
    -> a train of pulses: all harmonics of the frequency, of equal strength, up to 8 kHz
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from semanticodec.decoder.vocos import TYPICAL_LOG_MEL, TYPICAL_SPREAD
from semanticodec.layers.convnext import LAYER_NORM_EPS, ConvNeXtBlock
from semanticodec.token_format import SAMPLE_RATE

# Four octaves in steps of 25 cents: voices, and most melodies.
LOWEST_PITCH = 50.0
STEPS_PER_OCTAVE = 48
NUM_PITCHES = 192
# Logits around the highest one whose mean is the pitch, on either side.
NEIGHBORS = 3
# Below this, sin(phase / 2) is too small to divide by: the pulse is at its peak.
PEAK = 1e-3


class PitchLogits(NamedTuple):
    """What `PitchEstimator` says of every frame.

    Attributes:
        pitches: logits of `NUM_PITCHES` pitches, `STEPS_PER_OCTAVE` to the octave, from
            `LOWEST_PITCH` on.
        voicing: logit of there being a pitch.
    """

    pitches: Float[Tensor, "B T pitches"]
    voicing: Float[Tensor, "B T"]


class Pitch(NamedTuple):
    """Pitch of every frame.

    Attributes:
        frequency: in Hz, also where there is no voice.
        voicing: probability of a pitch, 0 to 1.
    """

    frequency: Float[Tensor, "B T"]
    voicing: Float[Tensor, "B T"]


class PitchEstimator(nn.Module):
    """Finds the pitch of a mel spectrogram; the form of the output follows CREPE.

    Source: CREPE (arXiv 1802.06182) Sec. 2.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Sizes.

        Attributes:
            num_mel_bins: bins of the mel spectrogram.
            width: width of the features of a frame.
            hidden: width inside the feed-forward part of a block.
            num_layers: number of ConvNeXt blocks.
            kernel_size: number of frames that a block's depthwise convolution sees.
        """

        num_mel_bins: int = 64
        width: int = 128
        hidden: int = 256
        num_layers: int = 4
        kernel_size: int = 7

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.conv_in = nn.Conv1d(config.num_mel_bins, config.width, 7, padding=3)
        self.blocks = nn.ModuleList(
            ConvNeXtBlock(config.width, config.hidden, config.kernel_size, 1 / config.num_layers)
            for _ in range(config.num_layers)
        )
        self.norm_out = nn.LayerNorm(config.width, eps=LAYER_NORM_EPS)
        self.logits = nn.Linear(config.width, NUM_PITCHES + 1)

    def forward(self, mel: Float[Tensor, "B T M"]) -> PitchLogits:
        """Return the logits of pitch and voicing.

        Args:
            mel: natural-log mel magnitudes, 100 frames per second.
        """
        scaled = (mel - TYPICAL_LOG_MEL) / TYPICAL_SPREAD
        features = self.conv_in(scaled.transpose(1, 2))  # B T M -> B D T
        for block in self.blocks:
            features = block(features)
        logits = self.logits(self.norm_out(features.transpose(1, 2))).float()
        return PitchLogits(pitches=logits[..., :-1], voicing=logits[..., -1])

    @torch.no_grad()
    def pitch(self, mel: Float[Tensor, "B T M"]) -> Pitch:
        """Return frequency and voicing of every frame, without gradients.

        Args:
            mel: natural-log mel magnitudes, 100 frames per second.
        """
        return pitch_of(self(mel))


@torch.no_grad()
def pitch_of(logits: PitchLogits) -> Pitch:
    """Return the frequency and voicing that logits stand for, without gradients."""
    steps = torch.arange(NUM_PITCHES, device=logits.pitches.device)
    best = logits.pitches.argmax(dim=-1, keepdim=True)
    is_near = (steps - best).abs() <= NEIGHBORS
    weights = logits.pitches.masked_fill(~is_near, -torch.inf).softmax(dim=-1)
    octaves = (weights * steps).sum(dim=-1) / STEPS_PER_OCTAVE
    frequency = LOWEST_PITCH * (math.log(2.0) * octaves).exp()
    return Pitch(frequency, logits.voicing.sigmoid())


def pulses(frequency: Float[Tensor, "B T"], hop_length: int) -> Float[Tensor, "B S"]:
    """Return pulses of a pitch, with a variance of about 1.

    Every pulse is the sum of all harmonics below half the sample rate, as cosines. Their phases
    run on over the whole window: a network that sees some frames only could not keep them.

    Args:
        frequency: pitch of every frame in Hz.
        hop_length: samples per frame.
    """
    # In double precision, where there is one: thousands of cycles add up, times 160 harmonics.
    exact = frequency if frequency.device.type == "mps" else frequency.double()
    steps = _per_sample(exact, hop_length) / SAMPLE_RATE
    phase = (2 * math.pi * _cycles(steps, hop_length)).float()
    num_harmonics = (0.5 / steps).floor().float()
    half = torch.sin(phase / 2)
    is_peak = half.abs() < PEAK
    # The Dirichlet kernel: the sum of cos(h phase) for h = 1 ... num_harmonics.
    kernel = torch.sin((num_harmonics + 0.5) * phase) / (2 * half.masked_fill(is_peak, 1.0)) - 0.5
    return torch.where(is_peak, num_harmonics, kernel) * (2 / num_harmonics).sqrt()


def _per_sample(frames: Float[Tensor, "B T"], hop_length: int) -> Float[Tensor, "B S"]:
    """Interpolate linearly between the centers of frames (runtimes do so in float32 only)."""
    before = torch.cat([frames[:, :1], frames[:, :-1]], dim=1)
    after = torch.cat([frames[:, 1:], frames[:, -1:]], dim=1)
    place = torch.arange(hop_length, dtype=frames.dtype, device=frames.device)
    place = (place + 0.5) / hop_length - 0.5
    later = (after - frames).unsqueeze(-1) * place.clamp_min(0.0)
    earlier = (before - frames).unsqueeze(-1) * (-place).clamp_min(0.0)
    return (frames.unsqueeze(-1) + later + earlier).flatten(1)  # B T hop -> B S


def _cycles(steps: Float[Tensor, "B S"], hop_length: int) -> Float[Tensor, "B S"]:
    """Return the sum of all steps so far less its whole part, frame by frame to keep digits."""
    within = steps.unflatten(1, (-1, hop_length)).cumsum(dim=-1)  # B S -> B T H
    ends = _fraction(within[..., -1])
    before = _fraction(ends.cumsum(dim=1) - ends)
    return _fraction(within + before.unsqueeze(-1)).flatten(1)


def _fraction(cycles: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    return cycles - cycles.floor()
