"""The variational autoencoder between the 64-bin mel and the diffusion latent (AudioLDM 2's shape).

    mel [B, T, M] -> VAEEncoder -> mean, log variance [B, 8, T/4, M/4] -> VAEDecoder -> mel

The encoder is needed for training only; the codec holds the decoder alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

GROUP_NORM_EPS = 1e-6
# Bounds of the log variance: beyond them the sample is the mean, or only noise.
LOG_VARIANCE_RANGE = (-30.0, 20.0)


@dataclass(frozen=True, kw_only=True)
class VAEConfig:
    """Sizes shared by both halves; the defaults are the official ones."""

    base_channels: int = 128
    channel_multipliers: tuple[int, ...] = (1, 2, 4)
    num_res_blocks: int = 2
    latent_channels: int = 8
    num_groups: int = 32

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of every resolution level, finest first."""
        return tuple(self.base_channels * multiplier for multiplier in self.channel_multipliers)


class ResidualBlock(nn.Module):
    """Two normalised 3 x 3 convolutions beside a shortcut."""

    def __init__(self, in_channels: int, out_channels: int, num_groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(num_groups, in_channels, eps=GROUP_NORM_EPS)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(num_groups, out_channels, eps=GROUP_NORM_EPS)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, features: Float[Tensor, "B C T F"]) -> Float[Tensor, "B C T F"]:
        hidden = self.conv1(F.silu(self.norm1(features)))
        hidden = self.conv2(F.silu(self.norm2(hidden)))
        return self.shortcut(features) + hidden


class SpatialAttention(nn.Module):
    """Single-head self-attention over all cells of the coarsest grid."""

    def __init__(self, channels: int, num_groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(num_groups, channels, eps=GROUP_NORM_EPS)
        self.query = nn.Conv2d(channels, channels, 1)
        self.key = nn.Conv2d(channels, channels, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, features: Float[Tensor, "B C T F"]) -> Float[Tensor, "B C T F"]:
        normed = self.norm(features)
        # One head as an axis of its own: the fused kernels take four dimensions only.
        query, key, value = (
            layer(normed).flatten(2).transpose(1, 2).unsqueeze(1)  # B C T F -> B 1 TF C
            for layer in (self.query, self.key, self.value)
        )
        attended = F.scaled_dot_product_attention(query, key, value).squeeze(1)
        return features + self.project(attended.transpose(1, 2).reshape(features.shape))


class Middle(nn.Module):
    """Residual block, attention, residual block at the coarsest resolution."""

    def __init__(self, channels: int, num_groups: int) -> None:
        super().__init__()
        self.block1 = ResidualBlock(channels, channels, num_groups)
        self.attention = SpatialAttention(channels, num_groups)
        self.block2 = ResidualBlock(channels, channels, num_groups)

    def forward(self, features: Float[Tensor, "B C T F"]) -> Float[Tensor, "B C T F"]:
        return self.block2(self.attention(self.block1(features)))


class Downsample(nn.Module):
    """Halves time and frequency; the zero row and column go to the far edge only."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, features: Float[Tensor, "B C T F"]) -> Float[Tensor, "B C T/2 F/2"]:
        return self.conv(F.pad(features, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """Doubles time and frequency by repetition and a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: Float[Tensor, "B C T F"]) -> Float[Tensor, "B C 2T 2F"]:
        return self.conv(F.interpolate(features, scale_factor=2.0, mode="nearest"))


class VAEEncoder(nn.Module):
    """Mel -> mean and log variance of the latent."""

    Config = VAEConfig

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        channels, groups = config.channels, config.num_groups
        self.conv_in = nn.Conv2d(1, channels[0], 3, padding=1)
        self.levels = nn.ModuleList()
        width = channels[0]
        for index, level_channels in enumerate(channels):
            level: list[nn.Module] = []
            for _ in range(config.num_res_blocks):
                level.append(ResidualBlock(width, level_channels, groups))
                width = level_channels
            if index < len(channels) - 1:
                level.append(Downsample(width))
            self.levels.append(nn.Sequential(*level))
        self.middle = Middle(width, groups)
        self.norm_out = nn.GroupNorm(groups, width, eps=GROUP_NORM_EPS)
        self.conv_out = nn.Conv2d(width, 2 * config.latent_channels, 3, padding=1)
        self.moments = nn.Conv2d(2 * config.latent_channels, 2 * config.latent_channels, 1)

    def forward(
        self, mel: Float[Tensor, "B T M"]
    ) -> tuple[Float[Tensor, "B C T/4 M/4"], Float[Tensor, "B C T/4 M/4"]]:
        """Return mean and log variance of the latent.

        Args:
            mel: log mel, T and M multiples of 4.
        """
        features = self.conv_in(mel.unsqueeze(1))
        for level in self.levels:
            features = level(features)
        features = self.conv_out(F.silu(self.norm_out(self.middle(features))))
        mean, log_variance = self.moments(features).chunk(2, dim=1)
        return mean, log_variance.clamp(*LOG_VARIANCE_RANGE)


class VAEDecoder(nn.Module):
    """Latent -> mel."""

    Config = VAEConfig

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        channels, groups = config.channels, config.num_groups
        self.unpack = nn.Conv2d(config.latent_channels, config.latent_channels, 1)
        width = channels[-1]
        self.conv_in = nn.Conv2d(config.latent_channels, width, 3, padding=1)
        self.middle = Middle(width, groups)
        self.levels = nn.ModuleList()  # coarsest first
        for index in reversed(range(len(channels))):
            level: list[nn.Module] = []
            for _ in range(config.num_res_blocks + 1):
                level.append(ResidualBlock(width, channels[index], groups))
                width = channels[index]
            if index > 0:
                level.append(Upsample(width))
            self.levels.append(nn.Sequential(*level))
        self.norm_out = nn.GroupNorm(groups, width, eps=GROUP_NORM_EPS)
        self.conv_out = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, latent: Float[Tensor, "B C T F"]) -> Float[Tensor, "B 4T 4F"]:
        """Return the log mel of a latent in the autoencoder's own scale."""
        features = self.middle(self.conv_in(self.unpack(latent)))
        for level in self.levels:
            features = level(features)
        return self.conv_out(F.silu(self.norm_out(features))).squeeze(1)


class VAE(nn.Module):
    """Both halves, for training."""

    Config = VAEConfig

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = VAEEncoder(config)
        self.decoder = VAEDecoder(config)

    def encode(self, mel: Float[Tensor, "B T M"]) -> tuple[Tensor, Tensor]:
        """Return mean and log variance, each [B, C, T/4, M/4]."""
        return self.encoder(mel)

    def decode(self, latent: Float[Tensor, "B C T F"]) -> Float[Tensor, "B 4T 4F"]:
        """Return the log mel of a latent."""
        return self.decoder(latent)


def sample_latent(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """Return a draw from the encoder's Gaussian with the given standard normal noise."""
    return mean + torch.exp(0.5 * log_variance) * noise
