"""HiFi-GAN vocoder (V1 shape, as AudioLDM 2 uses it): log mel -> 16 kHz waveform."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

LEAKY_SLOPE = 0.1
# The reference architecture leaves the slope before the last convolution at torch's default.
LAST_LEAKY_SLOPE = 0.01


class ResidualUnit(nn.Module):
    """Dilated and plain convolutions in turn, each pair beside a shortcut."""

    def __init__(self, channels: int, kernel_size: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.dilated = nn.ModuleList(
            nn.Conv1d(
                channels,
                channels,
                kernel_size,
                dilation=dilation,
                padding=dilation * (kernel_size - 1) // 2,
            )
            for dilation in dilations
        )
        self.plain = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel_size, padding=(kernel_size - 1) // 2)
            for _ in dilations
        )

    def forward(self, features: Float[Tensor, "B C S"]) -> Float[Tensor, "B C S"]:
        for dilated, plain in zip(self.dilated, self.plain):
            hidden = dilated(F.leaky_relu(features, LEAKY_SLOPE))
            features = features + plain(F.leaky_relu(hidden, LEAKY_SLOPE))
        return features


class HiFiGAN(nn.Module):
    """Transposed convolutions up to the sample rate, with parallel residual units at each rate."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        num_mel_bins: int = 64
        initial_channels: int = 1024
        upsample_rates: tuple[int, ...] = (5, 4, 2, 2, 2)
        upsample_kernels: tuple[int, ...] = (16, 16, 8, 4, 4)
        residual_kernels: tuple[int, ...] = (3, 7, 11)
        residual_dilations: tuple[int, ...] = (1, 3, 5)

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        channels = config.initial_channels
        self.conv_in = nn.Conv1d(config.num_mel_bins, channels, 7, padding=3)
        self.upsamplers = nn.ModuleList()
        self.residuals = nn.ModuleList()
        for stride, kernel in zip(config.upsample_rates, config.upsample_kernels):
            self.upsamplers.append(
                nn.ConvTranspose1d(
                    channels, channels // 2, kernel, stride, padding=(kernel - stride) // 2
                )
            )
            channels //= 2
            self.residuals.append(
                nn.ModuleList(
                    ResidualUnit(channels, size, config.residual_dilations)
                    for size in config.residual_kernels
                )
            )
        self.conv_out = nn.Conv1d(channels, 1, 7, padding=3)

    def forward(self, mel: Float[Tensor, "B T M"]) -> Float[Tensor, "B S"]:
        """Return the waveform in [-1, 1], S = 160 T + 32 at the official sizes.

        The 32 samples come from the odd kernel-stride difference of the first stage; callers that
        join windows cut them off.
        """
        features = self.conv_in(mel.transpose(1, 2))  # B T M -> B M T
        for upsampler, residuals in zip(self.upsamplers, self.residuals):
            upsampled = upsampler(F.leaky_relu(features, LEAKY_SLOPE))
            assert isinstance(residuals, nn.ModuleList)
            features = torch.stack([unit(upsampled) for unit in residuals]).mean(dim=0)
        return torch.tanh(self.conv_out(F.leaky_relu(features, LAST_LEAKY_SLOPE))).squeeze(1)
