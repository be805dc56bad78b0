"""Convolutional parts of the T-UNet: residual block, down-sampling and up-sampling.

Shapes: B batch · C channels · T frames · F latent frequency · D width.
"""

from typing import TypeVar

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from semanticodec.errors import ConfigError
from semanticodec.layers.norm import GroupNorm

LayerT = TypeVar("LayerT", bound=nn.Module)


def zero_init(layer: LayerT) -> LayerT:
    """Set every parameter of a layer to zero and return the layer.

    The last layer of a residual branch starts at zero, so that a deep network begins as the
    identity.
    """
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def group_norm(channels: int, num_groups: int, eps: float) -> GroupNorm:
    """Return a group normalization after checking that the groups divide the channels.

    Raises:
        ConfigError: `num_groups` does not divide `channels`.
    """
    if channels % num_groups:
        raise ConfigError(
            f"{channels} channels cannot be split into {num_groups} groups: "
            "choose num_groups so that it divides the channels of every level."
        )
    return GroupNorm(num_groups, channels, eps=eps)


class PointwiseConv(nn.Conv2d):
    """1 × 1 convolution: a linear map of every cell."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 1)


class ResidualBlock(nn.Module):
    """Two normalized 3 × 3 convolutions around the timestep's embedding, added to the input.

    The VAE's block (`decoder.vae`) knows no timestep, and its weights have other names.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output; if they differ, a 1 × 1 convolution maps the input.
        embedding_width: width of the timestep embedding.
        num_groups: groups of the normalization; divides both channel counts.
        eps: constant of the normalization.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        embedding_width: int,
        num_groups: int = 32,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.norm_in = group_norm(in_channels, num_groups, eps)
        self.conv_in = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.embedding = nn.Linear(embedding_width, out_channels)
        self.norm_out = group_norm(out_channels, num_groups, eps)
        self.conv_out = zero_init(nn.Conv2d(out_channels, out_channels, 3, padding=1))
        is_same = in_channels == out_channels
        self.skip = nn.Identity() if is_same else PointwiseConv(in_channels, out_channels)
        self.silu = nn.SiLU()

    def forward(
        self, features: Float[Tensor, "B C T F"], embedding: Float[Tensor, "B D"]
    ) -> Float[Tensor, "B C2 T F"]:
        """Return the input plus what the two convolutions add to it.

        Args:
            features: input of the block.
            embedding: timestep embedding.
        """
        hidden = self.conv_in(self.silu(self.norm_in(features)))
        hidden += self.embedding(F.silu(embedding))[:, :, None, None]
        hidden = self.conv_out(self.silu(self.norm_out(hidden)))
        return hidden.add_(self.skip(features))


class Downsample(nn.Module):
    """Halve frames and frequencies by a convolution of stride 2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, features: Float[Tensor, "B C T F"]) -> Float[Tensor, "B C (T+1)//2 (F+1)//2"]:
        """Return the features at half the resolution (odd sizes are rounded up)."""
        return self.conv(features)


class Upsample(nn.Module):
    """Double frames and frequencies by repetition and a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: Float[Tensor, "B C T F"]) -> Float[Tensor, "B C 2*T 2*F"]:
        """Return the features at twice the resolution."""
        return self.conv(F.interpolate(features, scale_factor=2.0, mode="nearest"))
