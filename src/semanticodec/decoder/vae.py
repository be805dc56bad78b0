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

from semanticodec.layers.attention import DotProductAttention
from semanticodec.layers.norm import GroupNorm
from semanticodec.layers.residual import PointwiseConv, Upsample

GROUP_NORM_EPS = 1e-6
# Bounds of the log variance: beyond them the sample is the mean, or only noise.
LOG_VARIANCE_RANGE = (-30.0, 20.0)


# With the shortcut, a latent cell starts as the patch's mean and its lowest cosine coefficients.
# The mean varies most (standard deviation 10 before scaling, the others 0.4 to 1.8): the scales
# bring them to order one. The middle of the log mel is moved to zero, and the latent starts nearly
# without noise (standard deviation 0.05).
SHORTCUT_MEAN_SCALE = 0.125
SHORTCUT_DETAIL_SCALE = 0.5
SHORTCUT_MEL_MEAN = -5.5
SHORTCUT_LOG_VARIANCE = -6.0


@dataclass(frozen=True, kw_only=True)
class VAEConfig:
    """Sizes shared by both halves; the defaults are the official ones.

    Attributes:
        base_channels: channels of the finest level.
        channel_multipliers: channels of each level over `base_channels`.
        num_res_blocks: residual blocks per level (one more on the way up).
        latent_channels: channels of the latent.
        num_groups: groups of every group normalization.
        patch_shortcut: beside the convolutions, map every patch of the mel to its latent cell and
            back linearly, starting from its lowest cosine coefficients (not official). Training
            then starts from a usable autoencoder, which small budgets need.
        middle_attention: whether the coarsest cells see one another between the middle's blocks.
            A decoder that is trained end to end hardly needs it (the T-UNet has attention), and
            it is a third of the time of a small one.
    """

    base_channels: int = 128
    channel_multipliers: tuple[int, ...] = (1, 2, 4)
    num_res_blocks: int = 2
    latent_channels: int = 8
    num_groups: int = 32
    patch_shortcut: bool = False
    middle_attention: bool = True

    @property
    def patch_size(self) -> int:
        """Mel frames and bins under one latent cell, along each axis."""
        return 2 ** (len(self.channel_multipliers) - 1)

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of every resolution level, finest first."""
        return tuple(self.base_channels * multiplier for multiplier in self.channel_multipliers)


class ResidualBlock(nn.Module):
    """Two normalized 3 x 3 convolutions with a shortcut."""

    def __init__(self, in_channels: int, out_channels: int, num_groups: int) -> None:
        super().__init__()
        self.norm1 = GroupNorm(num_groups, in_channels, eps=GROUP_NORM_EPS)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm2 = GroupNorm(num_groups, out_channels, eps=GROUP_NORM_EPS)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else PointwiseConv(in_channels, out_channels)
        self.silu = nn.SiLU()

    def forward(self, features: Float[Tensor, "B C T F"]) -> Float[Tensor, "B C2 T F"]:
        hidden = self.conv1(self.silu(self.norm1(features)))
        hidden = self.conv2(self.silu(self.norm2(hidden)))
        return hidden.add_(self.shortcut(features))


class SpatialAttention(nn.Module):
    """Single-head self-attention over all cells of the coarsest grid."""

    def __init__(self, channels: int, num_groups: int) -> None:
        super().__init__()
        self.norm = GroupNorm(num_groups, channels, eps=GROUP_NORM_EPS)
        self.query = PointwiseConv(channels, channels)
        self.key = PointwiseConv(channels, channels)
        self.value = PointwiseConv(channels, channels)
        self.attend = DotProductAttention()
        self.project = PointwiseConv(channels, channels)

    def forward(self, features: Float[Tensor, "B C T F"]) -> Float[Tensor, "B C T F"]:
        normed = self.norm(features)
        # One head as an axis of its own: the fused kernels take four dimensions only.
        query, key, value = (
            layer(normed).flatten(2).transpose(1, 2).unsqueeze(1)  # B C T F -> B 1 TF C
            for layer in (self.query, self.key, self.value)
        )
        attended = self.attend(query, key, value).transpose(1, 2)  # B TF C -> B C TF
        return self.project(attended.reshape(features.shape)).add_(features)


class Middle(nn.Module):
    """Residual block, attention (or none), residual block at the coarsest resolution."""

    def __init__(self, channels: int, num_groups: int, has_attention: bool) -> None:
        super().__init__()
        self.block1 = ResidualBlock(channels, channels, num_groups)
        self.attention = SpatialAttention(channels, num_groups) if has_attention else nn.Identity()
        self.block2 = ResidualBlock(channels, channels, num_groups)

    def forward(self, features: Float[Tensor, "B C T F"]) -> Float[Tensor, "B C T F"]:
        return self.block2(self.attention(self.block1(features)))


class Downsample(nn.Module):
    """Halves time and frequency; the zero row and column go to the far edge only."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, features: Float[Tensor, "B C T F"]) -> Float[Tensor, "B C T//2 F//2"]:
        return self.conv(F.pad(features, (0, 1, 0, 1)))


def cosine_patches(
    patch_size: int, num_patches: int
) -> Float[Tensor, "C 1 {patch_size} {patch_size}"]:
    """Return orthonormal 2-D cosines over a patch, the lowest frequencies first."""
    points = (torch.arange(patch_size, dtype=torch.float64) + 0.5) / patch_size
    waves = torch.cos(torch.pi * torch.arange(patch_size, dtype=torch.float64)[:, None] * points)
    waves = waves / waves.norm(dim=1, keepdim=True)
    orders = sorted(
        ((row, column) for row in range(patch_size) for column in range(patch_size)), key=sum
    )
    patches = [torch.outer(waves[row], waves[column]) for row, column in orders[:num_patches]]
    return torch.stack(patches).unsqueeze(1).float()


def _shortcut_scales(config: VAEConfig) -> Float[Tensor, "C 1 1 1"]:
    scales = torch.full((config.latent_channels, 1, 1, 1), SHORTCUT_DETAIL_SCALE)
    scales[0] = SHORTCUT_MEAN_SCALE
    return scales


class PatchAnalysis(nn.Conv2d):
    """Mel patches -> latent cells, linearly."""

    def __init__(self, config: VAEConfig) -> None:
        size, channels = config.patch_size, config.latent_channels
        super().__init__(1, channels, size, stride=size)
        patches = _shortcut_scales(config) * cosine_patches(size, channels)
        offset = SHORTCUT_MEL_MEAN * patches.sum(dim=(1, 2, 3))
        self.weight = nn.Parameter(patches)
        self.bias = nn.Parameter(-offset)


class PatchSynthesis(nn.ConvTranspose2d):
    """Latent cells -> mel patches, linearly; the mel's middle is the last convolution's bias."""

    def __init__(self, config: VAEConfig) -> None:
        size, channels = config.patch_size, config.latent_channels
        super().__init__(channels, 1, size, stride=size, bias=False)
        self.weight = nn.Parameter(cosine_patches(size, channels) / _shortcut_scales(config))


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
        self.middle = Middle(width, groups, config.middle_attention)
        self.norm_out = GroupNorm(groups, width, eps=GROUP_NORM_EPS)
        self.silu = nn.SiLU()
        self.conv_out = nn.Conv2d(width, 2 * config.latent_channels, 3, padding=1)
        self.moments = nn.Conv2d(2 * config.latent_channels, 2 * config.latent_channels, 1)
        self.patch_shortcut = PatchAnalysis(config) if config.patch_shortcut else None
        if config.patch_shortcut:
            # The convolutions join in from zero.
            nn.init.zeros_(self.moments.weight)
            bias = torch.zeros(2, config.latent_channels)
            bias[1] = SHORTCUT_LOG_VARIANCE
            self.moments.bias = nn.Parameter(bias.flatten())

    def forward(
        self, mel: Float[Tensor, "B T M"]
    ) -> tuple[Float[Tensor, "B C T2 F"], Float[Tensor, "B C T2 F"]]:
        """Return mean and log variance of the latent.

        Args:
            mel: log mel, T and M multiples of 4.
        """
        features = self.conv_in(mel.unsqueeze(1))
        for level in self.levels:
            features = level(features)
        features = self.conv_out(self.silu(self.norm_out(self.middle(features))))
        mean, log_variance = self.moments(features).chunk(2, dim=1)
        if self.patch_shortcut is not None:
            mean = mean + self.patch_shortcut(mel.unsqueeze(1))
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
        self.middle = Middle(width, groups, config.middle_attention)
        self.levels = nn.ModuleList()  # coarsest first
        for index in reversed(range(len(channels))):
            level: list[nn.Module] = []
            for _ in range(config.num_res_blocks + 1):
                level.append(ResidualBlock(width, channels[index], groups))
                width = channels[index]
            if index > 0:
                level.append(Upsample(width))
            self.levels.append(nn.Sequential(*level))
        self.norm_out = GroupNorm(groups, width, eps=GROUP_NORM_EPS)
        self.silu = nn.SiLU()
        self.conv_out = nn.Conv2d(width, 1, 3, padding=1)
        self.patch_shortcut = PatchSynthesis(config) if config.patch_shortcut else None
        if config.patch_shortcut:
            nn.init.zeros_(self.conv_out.weight)
            self.conv_out.bias = nn.Parameter(torch.full((1,), SHORTCUT_MEL_MEAN))

    def forward(self, latent: Float[Tensor, "B C T F"]) -> Float[Tensor, "B T2 M"]:
        """Return the log mel of a latent in the autoencoder's own scale."""
        features = self.middle(self.conv_in(self.unpack(latent)))
        for level in self.levels:
            features = level(features)
        mel = self.conv_out(self.silu(self.norm_out(features)))
        if self.patch_shortcut is not None:
            mel = mel + self.patch_shortcut(latent)
        return mel.squeeze(1)


class VAE(nn.Module):
    """Both halves, for training."""

    Config = VAEConfig

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = VAEEncoder(config)
        self.decoder = VAEDecoder(config)

    def encode(
        self, mel: Float[Tensor, "B T M"]
    ) -> tuple[Float[Tensor, "B C T2 F"], Float[Tensor, "B C T2 F"]]:
        """Return mean and log variance of the latent."""
        return self.encoder(mel)

    def decode(self, latent: Float[Tensor, "B C T F"]) -> Float[Tensor, "B T2 M"]:
        """Return the log mel of a latent."""
        return self.decoder(latent)


def sample_latent(
    mean: Float[Tensor, "*shape"],
    log_variance: Float[Tensor, "*shape"],
    noise: Float[Tensor, "*shape"],
) -> Float[Tensor, "*shape"]:
    """Return a draw from the encoder's Gaussian with the given standard normal noise."""
    return mean + torch.exp(0.5 * log_variance) * noise
