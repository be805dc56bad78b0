"""Convolutional parts of the T-UNet: residual block, down-sampling and up-sampling.

Shapes: B batch · C channels · T frames · F latent frequency · D width.
"""

from typing import TypeVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from semanticodec.errors import ConfigError
from semanticodec.layers.linear import Linear, PointwiseConv, linear, uses_onednn
from semanticodec.layers.norm import GroupNorm, normalised_silu

LayerT = TypeVar("LayerT", bound=nn.Module)

# Frequencies up to which a convolution is faster as a linear map: half the speed at 4.
NARROW_BINS = 2


def zero_init(layer: LayerT) -> LayerT:
    """Set every parameter of a layer to zero and return the layer.

    The last layer of a residual branch starts at zero, so that a deep network begins as the
    identity.
    """
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def group_norm(channels: int, num_groups: int, eps: float) -> GroupNorm:
    """Return a group normalisation after checking that the groups divide the channels.

    Raises:
        ConfigError: `num_groups` does not divide `channels`.
    """
    if channels % num_groups:
        raise ConfigError(
            f"{channels} channels cannot be split into {num_groups} groups: "
            "choose num_groups so that it divides the channels of every level."
        )
    return GroupNorm(num_groups, channels, eps=eps)


class Conv3x3(nn.Conv2d):
    """3 × 3 convolution that keeps the size, also fast on maps of very few frequencies.

    oneDNN's convolution works along the last axis. On the two frequencies of the coarsest level it
    reaches 90 GFLOP/s of 240 (one AMD core); a linear map of every cell's neighbourhood reaches
    190.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)

    def forward(self, input: Float[Tensor, "B C T F"]) -> Float[Tensor, "B C2 T F"]:
        """Return the convolved map."""
        if input.shape[3] > NARROW_BINS or not uses_onednn(input):
            return super().forward(input)
        padded = F.pad(input.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
        # Channels innermost, as in memory: B T F C 3 3 -> B T F 3 3 C -> B T F D.
        neighbourhoods = padded.unfold(1, 3, 1).unfold(2, 3, 1).permute(0, 1, 2, 4, 5, 3).flatten(3)
        cells = linear(neighbourhoods, self.weight.permute(0, 2, 3, 1).flatten(1), self.bias)
        return cells.permute(0, 3, 1, 2)  # B T F C -> B C T F, channels last in memory


class ResidualBlock(nn.Module):
    """Two normalised 3 × 3 convolutions around an optional embedding, added to the input.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output; if they differ, a 1 × 1 convolution maps the input.
        embedding_width: width of the timestep embedding, None for a block without one.
        num_groups: groups of the normalisation; divides both channel counts.
        eps: constant of the normalisation.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        embedding_width: int | None = None,
        num_groups: int = 32,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.norm_in = group_norm(in_channels, num_groups, eps)
        self.conv_in = Conv3x3(in_channels, out_channels)
        self.embedding = Linear(embedding_width, out_channels) if embedding_width else None
        self.norm_out = group_norm(out_channels, num_groups, eps)
        self.conv_out = zero_init(Conv3x3(out_channels, out_channels))
        is_same = in_channels == out_channels
        self.skip = nn.Identity() if is_same else PointwiseConv(in_channels, out_channels)

    def forward(
        self, features: Float[Tensor, "B C T F"], embedding: Float[Tensor, "B D"] | None = None
    ) -> Float[Tensor, "B C2 T F"]:
        """Return the input plus what the two convolutions add to it.

        Args:
            features: input of the block.
            embedding: timestep embedding, exactly when the block was built for one.
        """
        hidden = self.conv_in(normalised_silu(self.norm_in, features))
        if self.embedding is not None:
            assert embedding is not None, "this block was built with an embedding"
            hidden += self.embedding(F.silu(embedding))[:, :, None, None]
        hidden = self.conv_out(normalised_silu(self.norm_out, hidden))
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
        if uses_onednn(features):
            return self._by_parity(features)
        return self.conv(F.interpolate(features, scale_factor=2.0, mode="nearest"))

    def _by_parity(self, features: Float[Tensor, "B C T F"]) -> Float[Tensor, "B C 2*T 2*F"]:
        """Compute the rows and columns of each parity by a convolution of their own.

        Of a repeated map, nine weights see four different cells: those on the same cell are added
        first, which leaves 4/9 of the multiplications. Twice as fast on one AMD core.
        """
        batch_size, channels, num_frames, num_bins = features.shape
        padded = F.pad(features, (1, 1, 1, 1))
        upsampled = features.new_empty(batch_size, 2 * num_frames, 2 * num_bins, channels)
        for row, frame_weights in enumerate(_merged_weights(self.conv.weight, 2)):
            for column, weights in enumerate(_merged_weights(frame_weights, 3)):
                cells = padded[:, :, row : row + num_frames + 1, column : column + num_bins + 1]
                convolved = F.conv2d(cells, weights, self.conv.bias)
                upsampled[:, row::2, column::2] = convolved.permute(0, 2, 3, 1)
        return upsampled.permute(0, 3, 1, 2)  # B T F C -> B C T F, channels last in memory


def _merged_weights(weight: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Return what three taps on repeated cells become: two, for even and for odd outputs."""
    before, here, after = weight.unbind(axis)
    even = torch.stack([before, here + after], dim=axis)
    odd = torch.stack([before + here, after], dim=axis)
    return even, odd
