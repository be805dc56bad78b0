"""HiFi-GAN vocoder (V1 shape, as AudioLDM 2 uses it): log mel -> 16 kHz waveform."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from semanticodec.decoder.vocoder import Vocoder

LEAKY_SLOPE = 0.1
# The reference architecture leaves the slope before the last convolution at torch's default.
LAST_LEAKY_SLOPE = 0.01


class Conv(nn.Conv1d):
    """Convolution along the last axis of [B, C, 1, S], with the weights of a Conv1d.

    torch itself convolves one axis as two. As two the channels may lie last in memory, which is
    1.1 to 1.8 times faster on a CPU (narrow layers gain most).
    """

    def forward(self, input: Float[Tensor, "B C 1 S"]) -> Float[Tensor, "B C2 1 S"]:
        """Return the convolved features, as long as the input."""
        margin = self.dilation[0] * (self.kernel_size[0] - 1) // 2
        weight = self.weight.unsqueeze(2)
        return F.conv2d(
            input, weight, self.bias, padding=(0, margin), dilation=(1, self.dilation[0])
        )


class TransposedConv(nn.ConvTranspose1d):
    """Transposed convolution along the last axis of [B, C, 1, S]."""

    def forward(self, input: Float[Tensor, "B C 1 S"]) -> Float[Tensor, "B C2 1 S2"]:
        """Return the upsampled features."""
        stride, margin = (1, self.stride[0]), (0, int(self.padding[0]))
        return F.conv_transpose2d(input, self.weight.unsqueeze(2), self.bias, stride, margin)


class ResidualUnit(nn.Module):
    """Dilated and plain convolutions in turn, each pair with a shortcut."""

    def __init__(self, channels: int, kernel_size: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.dilated = nn.ModuleList(
            Conv(channels, channels, kernel_size, dilation=dilation) for dilation in dilations
        )
        self.plain = nn.ModuleList(Conv(channels, channels, kernel_size) for _ in dilations)

    def forward(self, features: Float[Tensor, "B C 1 S"]) -> Float[Tensor, "B C 1 S"]:
        for dilated, plain in zip(self.dilated, self.plain):
            hidden = dilated(F.leaky_relu(features, LEAKY_SLOPE))
            features = plain(F.leaky_relu_(hidden, LEAKY_SLOPE)).add_(features)
        return features


class HiFiGAN(Vocoder):
    """Transposed convolutions up to the sample rate, with parallel residual units at each rate."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Sizes; the defaults are the official ones.

        Attributes:
            num_mel_bins: bins of the mel spectrogram.
            initial_channels: channels at the frame rate, halved by every upsampling.
            upsample_rates: factor of every upsampling; their product is the samples per frame.
            upsample_kernels: kernel size of every upsampling.
            residual_kernels: kernel sizes of the parallel residual units after each upsampling.
            residual_dilations: dilations of the convolutions of every residual unit, in order.
        """

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
        self.conv_in = Conv(config.num_mel_bins, channels, 7)
        self.upsamplers = nn.ModuleList()
        self.residuals = nn.ModuleList()
        for stride, kernel in zip(config.upsample_rates, config.upsample_kernels):
            self.upsamplers.append(
                TransposedConv(
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
        self.conv_out = Conv(channels, 1, 7)

    def forward(self, mel: Float[Tensor, "B T M"]) -> Float[Tensor, "B S"]:
        """Return the waveform in [-1, 1], S = 160 T + 32 at the official sizes.

        The 32 samples come from the odd kernel-stride difference of the first stage; callers that
        join windows cut them off.
        """
        # B T M -> B M 1 T, the channels last in memory, which the convolutions keep.
        features = self.conv_in(mel.transpose(1, 2).unsqueeze(2))
        for upsampler, residuals in zip(self.upsamplers, self.residuals):
            upsampled = upsampler(F.leaky_relu_(features, LEAKY_SLOPE))
            assert isinstance(residuals, nn.ModuleList)
            first, *others = residuals
            features = first(upsampled)
            for unit in others:
                features += unit(upsampled)
            features /= len(residuals)
        return torch.tanh(self.conv_out(F.leaky_relu_(features, LAST_LEAKY_SLOPE)))[:, 0, 0]
