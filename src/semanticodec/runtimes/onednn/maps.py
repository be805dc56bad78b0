"""Layers over maps [B, C, T, F] with the channels last in memory, as oneDNN likes them.

The first convolution of a network asks for that order, and the other layers keep it: 3 × 3
convolutions rise from 200 to 240 GFLOP/s (one AMD core), and the cells of a map are the
rows of linear maps and transformers without being moved. With gradients it is slower (0.8 of the
speed for a T-UNet in bfloat16), so training keeps its order.

Shapes: B batch · C channels · T frames · F frequency.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from semanticodec.layers.residual import PointwiseConv, Upsample
from semanticodec.runtimes.onednn.products import is_cpu_inference, linear, uses_onednn

# Frequencies up to which a convolution is faster as a linear map: half the speed at 4.
NARROW_BINS = 2


def channels_last(features: Float[Tensor, "B C T F"]) -> Float[Tensor, "B C T F"]:
    """Return the map with its channels last in memory, unmoved where that brings nothing."""
    if not is_cpu_inference(features):
        return features
    return features.contiguous(memory_format=torch.channels_last)


class FastConv2d(nn.Conv2d):
    """torch.nn.Conv2d, also fast on maps of very few frequencies.

    oneDNN's convolution works along the last axis. On the two frequencies of the T-UNet's coarsest
    level it reaches 90 GFLOP/s of 240 (one AMD core); a linear map of every cell's neighborhood
    reaches 190.
    """

    def forward(self, input: Float[Tensor, "B C T F"]) -> Float[Tensor, "B C2 T2 F2"]:
        """Return the convolved map."""
        is_narrow = input.shape[3] <= NARROW_BINS and self._keeps_size()
        if is_narrow and uses_onednn(input):
            return self._by_neighborhoods(input)
        return super().forward(input)

    def _keeps_size(self) -> bool:
        sizes = self.kernel_size, self.stride, self.padding, self.dilation, self.groups
        return sizes == ((3, 3), (1, 1), (1, 1), (1, 1), 1)

    def _by_neighborhoods(self, features: Float[Tensor, "B C T F"]) -> Float[Tensor, "B C2 T F"]:
        padded = F.pad(features.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
        # Channels innermost, as in memory: B T F C 3 3 -> B T F 3 3 C -> B T F D.
        neighborhoods = padded.unfold(1, 3, 1).unfold(2, 3, 1).permute(0, 1, 2, 4, 5, 3).flatten(3)
        cells = linear(neighborhoods, self.weight.permute(0, 2, 3, 1).flatten(1), self.bias)
        return cells.permute(0, 3, 1, 2)  # B T F C -> B C T F, channels last in memory


class FirstConv2d(FastConv2d):
    """The first convolution of a network: it turns the map channels last."""

    def forward(self, input: Float[Tensor, "B C T F"]) -> Float[Tensor, "B C2 T2 F2"]:
        """Return the convolved map."""
        return super().forward(channels_last(input))


class FastPointwiseConv(PointwiseConv):
    """1 × 1 convolution as a linear map of the cells.

    As a convolution it is torch's slowest: 50 GFLOP/s where a linear map reaches 220.
    """

    def forward(self, input: Float[Tensor, "B C T F"]) -> Float[Tensor, "B C2 T F"]:
        """Return the mapped cells."""
        if not uses_onednn(input):
            return super().forward(input)
        cells = linear(input.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias)
        return cells.permute(0, 3, 1, 2)  # B T F C -> B C T F, channels last in memory


class FastUpsample(Upsample):
    """Up-sampling that computes the rows and columns of each parity by a convolution of their own.

    Of a repeated map, nine weights see four different cells: those on the same cell are added
    first, which leaves 4/9 of the multiplications. Twice as fast on one AMD core.
    """

    def forward(self, features: Float[Tensor, "B C T F"]) -> Float[Tensor, "B C 2*T 2*F"]:
        """Return the features at twice the resolution."""
        if not uses_onednn(features):
            return super().forward(features)
        batch_size, channels, num_frames, num_bins = features.shape
        padded = F.pad(features, (1, 1, 1, 1))
        upsampled = features.new_empty(batch_size, 2 * num_frames, 2 * num_bins, channels)
        for row, frame_weights in enumerate(_merged_weights(self.conv.weight, 2)):
            for column, weights in enumerate(_merged_weights(frame_weights, 3)):
                cells = padded[:, :, row : row + num_frames + 1, column : column + num_bins + 1]
                convolved = F.conv2d(cells, weights, self.conv.bias)
                upsampled[:, row::2, column::2] = convolved.permute(0, 2, 3, 1)
        return upsampled.permute(0, 3, 1, 2)  # B T F C -> B C T F, channels last in memory


def _merged_weights(
    weight: Float[Tensor, "C2 C _ _"], axis: int
) -> tuple[Float[Tensor, "C2 C _ _"], Float[Tensor, "C2 C _ _"]]:
    """Return what three taps on repeated cells become: two, for even and for odd outputs."""
    before, here, after = weight.unbind(axis)
    even = torch.stack([before, here + after], dim=axis)
    odd = torch.stack([before + here, after], dim=axis)
    return even, odd


class FastSiLU(nn.SiLU):
    """torch.nn.SiLU in the memory of its input, where no gradient needs that.

    Large new tensors cost more than the arithmetic: on 1024 × 64 cells of 128 channels 17 ms with
    one, 2 ms without. Its input must not be used afterwards, as behind a normalization.
    """

    def forward(self, input: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return input · sigmoid(input)."""
        return F.silu(input, inplace=not torch.is_grad_enabled())
