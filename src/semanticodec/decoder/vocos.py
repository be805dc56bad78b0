"""Vocos vocoder (arXiv 2306.00814): ConvNeXt at the frame rate, then an inverse STFT.

    mel [B, T, M] -> convolution -> ConvNeXt blocks -> log magnitude and phase of every STFT line
        -> inverse FFT, Hann window, overlap-add -> wav [B, 160 T]

About ten times cheaper than HiFi-GAN; the vocoder of the built-in model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn
from torch.nn import functional as F

from semanticodec.audio.mel import FFT_SIZE
from semanticodec.audio.spectrogram import slaney_filters
from semanticodec.decoder.vocoder import Vocoder
from semanticodec.layers.convnext import LAYER_NORM_EPS, ConvNeXtBlock
from semanticodec.layers.full_precision import without_autocast
from semanticodec.token_format import SAMPLE_RATE

# Log magnitude of an STFT line: larger ones would overflow before training settles.
LARGEST_LOG_MAGNITUDE = math.log(1e2)
# Mean and standard deviation of natural-log mels over recordings.
TYPICAL_LOG_MEL = -6.0
TYPICAL_SPREAD = 3.0


class InverseSTFT(nn.Module):
    """Overlap-add of inverse FFT frames, cut so that T frames give exactly T hops."""

    window: Tensor

    def __init__(self, fft_size: int, hop_length: int) -> None:
        super().__init__()
        self.fft_size, self.hop_length = fft_size, hop_length
        self.register_buffer("window", torch.hann_window(fft_size, device="cpu"), persistent=False)

    def _overlap_add(self, frames: Float[Tensor, "B T {self.fft_size}"]) -> Float[Tensor, "B S"]:
        num_frames = frames.shape[1]
        length = (num_frames - 1) * self.hop_length + self.fft_size
        folded = F.fold(
            frames.transpose(1, 2), (1, length), (1, self.fft_size), stride=(1, self.hop_length)
        )
        edge = (self.fft_size - self.hop_length) // 2
        return folded[:, 0, 0, edge : length - edge]

    def forward(self, spectrum: Complex[Tensor, "B T F"]) -> Float[Tensor, "B S"]:
        """Return the waveform of a complex spectrum, F = fft_size / 2 + 1, S = T * hop_length."""
        frames = torch.fft.irfft(spectrum, n=self.fft_size) * self.window
        envelope = self.window.square().expand(1, frames.shape[1], -1)
        return self._overlap_add(frames) / self._overlap_add(envelope)


class MelShortcut(nn.Module):
    """A linear map from log mel to the log magnitude of every STFT line (not in the paper).

    It starts as the interpolation of the mel between the centers of its bins, so that a network
    that has learned nothing yet already gives the right spectral envelope.

    Args:
        config: sizes of the vocoder.
    """

    def __init__(self, config: Vocos.Config) -> None:
        super().__init__()
        filters = slaney_filters(SAMPLE_RATE, config.fft_size, config.num_mel_bins, SAMPLE_RATE / 2)
        # No triangle reaches the first and the last line.
        filters[0, 0] = filters[-1, -1] = 1.0
        self.interpolate = nn.Linear(config.num_mel_bins, len(filters))
        # A filter averages magnitudes over Hz; those of noise grow with the root of the window.
        scale = SAMPLE_RATE / FFT_SIZE * math.sqrt(config.fft_size / FFT_SIZE)
        with torch.no_grad():
            self.interpolate.weight.copy_(filters / filters.sum(dim=1, keepdim=True))
            self.interpolate.bias.fill_(math.log(scale))

    def forward(self, mel: Float[Tensor, "B T M"]) -> Float[Tensor, "B T F"]:
        """Return log magnitudes, float32."""
        weight, bias = self.interpolate.weight.float(), self.interpolate.bias.float()
        with without_autocast(mel):
            return F.linear(mel.float(), weight, bias)


class Vocos(Vocoder):
    """Frame-rate vocoder; exact length, no drift."""

    config: Config

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Sizes.

        Attributes:
            num_mel_bins: bins of the mel spectrogram.
            width: width of the features of a frame.
            hidden: width inside the feed-forward part of a block.
            num_layers: number of ConvNeXt blocks.
            kernel_size: number of frames that a block's depthwise convolution sees.
            fft_size: window length of the inverse STFT in samples.
            hop_length: samples per frame.
            mel_shortcut: add a linear map from the mel to the log magnitudes, see `MelShortcut`.
        """

        num_mel_bins: int = 64
        width: int = 256
        hidden: int = 768
        num_layers: int = 6
        kernel_size: int = 7
        fft_size: int = 640
        hop_length: int = 160
        mel_shortcut: bool = False

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.conv_in = nn.Conv1d(config.num_mel_bins, config.width, 7, padding=3)
        self._start_level()
        self.norm_in = nn.LayerNorm(config.width, eps=LAYER_NORM_EPS)
        self.blocks = nn.ModuleList(
            ConvNeXtBlock(config.width, config.hidden, config.kernel_size, 1 / config.num_layers)
            for _ in range(config.num_layers)
        )
        self.norm_out = nn.LayerNorm(config.width, eps=LAYER_NORM_EPS)
        self.spectrum = nn.Linear(config.width, config.fft_size + 2)
        self.shortcut = MelShortcut(config) if config.mel_shortcut else None
        self.inverse_stft = InverseSTFT(config.fft_size, config.hop_length)

    @torch.no_grad()
    def _start_level(self) -> None:
        """Give the first layer a bias that keeps the level of a frame through the normalization.

        Log mels lie around -6. Without a bias of their size, frames that differ in level alone
        point into the same direction, and the normalization makes them equal.
        """
        response = self.conv_in.weight.sum(dim=(1, 2))
        spread = TYPICAL_SPREAD * response.std() * torch.randn(len(response))
        bias = self.conv_in.bias
        assert bias is not None
        bias.copy_(spread - TYPICAL_LOG_MEL * response)

    def forward(self, mel: Float[Tensor, "B T M"]) -> Float[Tensor, "B S"]:
        """Return the waveform, S = T * hop_length.

        Args:
            mel: natural-log mel magnitudes, 100 frames per second.
        """
        return self.inverse_stft(torch.polar(*self.spectrogram(mel)))

    def spectrogram(
        self, mel: Float[Tensor, "B T M"]
    ) -> tuple[Float[Tensor, "B T F"], Float[Tensor, "B T F"]]:
        """Return magnitude and phase of every STFT line, float32."""
        return self.polar(mel, self.frames(mel))

    def frames(self, mel: Float[Tensor, "B T M"]) -> Float[Tensor, "B T D"]:
        """Return the last features of every frame."""
        return self.trunk(self.conv_in(mel.transpose(1, 2)))  # B T M -> B D T

    def polar(
        self, mel: Float[Tensor, "B T M"], features: Float[Tensor, "B T D"]
    ) -> tuple[Float[Tensor, "B T F"], Float[Tensor, "B T F"]]:
        """Return magnitude and phase of every STFT line from the last features, float32."""
        lines = self.spectrum(features)
        # Complex FFTs exist in float32 only, whatever autocast says.
        log_magnitude, phase = lines.float().chunk(2, dim=-1)
        if self.shortcut is not None:
            log_magnitude = log_magnitude + self.shortcut(mel)
        magnitude = log_magnitude.clamp_max(LARGEST_LOG_MAGNITUDE).exp()
        # No mel filter sees the line at 0 Hz, so nothing teaches its level: sound has none.
        return F.pad(magnitude[..., 1:], (1, 0)), phase

    def trunk(self, features: Float[Tensor, "B D T"]) -> Float[Tensor, "B T D"]:
        """Return what the blocks make of the first layer's output."""
        features = self.norm_in(features.transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            features = block(features)
        return self.norm_out(features.transpose(1, 2))
