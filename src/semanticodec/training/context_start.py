"""Where a context transformer starts: every stream of the condition enters centered, as large.

Acoustic codes tell a tenth of a condition's variance and most of what is left to learn. Drowned
by the rest, they are read late.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from semanticodec.decoder.context_transformer import ContextTransformer


@torch.no_grad()
def start_input(
    transformer: ContextTransformer, context: Float[Tensor, "N E"], widths: Sequence[int]
) -> None:
    """Scale the transformer's untrained first layer to its inputs.

    Args:
        transformer: untrained; its first features then have about unit variance.
        context: rows of the condition of many windows.
        widths: those of the streams that a row joins.
    """
    layer = transformer.input
    mean, variances = context.mean(dim=0), context.var(dim=0).split(list(widths))
    shares = [share for share in widths if share]
    for weight, variance in zip(layer.weight.split(list(widths), dim=1), variances, strict=True):
        # PyTorch draws weights of the variance 1 / (3 * inputs).
        own = variance.sum() / (3 * layer.in_features)
        weight.div_((len(shares) * own).sqrt().clamp_min(1e-6))
    layer.bias.copy_(-layer.weight @ mean)
