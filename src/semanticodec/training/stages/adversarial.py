"""What the stages with a discriminator share: the hand-over of generated items, and a weight."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from semanticodec.training import distributed
from semanticodec.training.data import Batch
from semanticodec.training.losses import GanLoss, discriminator_loss
from semanticodec.training.trainer import StepOutput

LARGEST_ADAPTIVE_WEIGHT = 1e4


class HandOver:
    """Keeps what the generator made of each (micro-)batch until the discriminator's turn.

    Saves the discriminator a generator pass of its own; it sees the items as they were before
    the generator's update, as usual in GAN training.
    """

    def __init__(self) -> None:
        self._step = -1
        self._pairs: dict[torch.Generator, tuple[Tensor, Tensor]] = {}

    def put(self, batch: Batch, real: Tensor, generated: Tensor) -> None:
        """Keep real and generated items of a batch; those of earlier steps are forgotten."""
        if batch.step != self._step:
            self._pairs.clear()
        self._step = batch.step
        # Micro-batches are told apart by their first item's generator object.
        self._pairs[batch.generators[0]] = (real.detach(), generated.detach())

    def take(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Hand out the real and generated items of a batch, once."""
        pair = self._pairs.pop(batch.generators[0], None)
        assert pair is not None, "the generator's turn comes first in every step"
        return pair


def discriminator_output(logits: Sequence[Tensor], kind: GanLoss) -> StepOutput:
    """Return the discriminators' loss and their mean logits, to be seen drifting apart.

    Args:
        logits: One tensor per discriminator; the first half of its rows are for recordings, the
            second half for generated items.
        kind: Which GAN loss.
    """
    real = [both.float().chunk(2)[0] for both in logits]
    generated = [both.float().chunk(2)[1] for both in logits]
    return StepOutput(
        loss=discriminator_loss(real, generated, kind),
        scalars={
            "logit_real": torch.stack([each.mean() for each in real]).mean(),
            "logit_generated": torch.stack([each.mean() for each in generated]).mean(),
        },
    )


def adaptive_weight(
    reconstruction: Float[Tensor, ""], adversarial: Float[Tensor, ""], last_weight: Tensor
) -> Float[Tensor, ""]:
    """Return the weight that makes both losses pull equally hard at the generator's last layer.

    The gradients are averaged over the processes before their norms are compared, so that the
    weight does not depend on how a batch is spread.

    Args:
        reconstruction: Loss whose gradient is the measure.
        adversarial: Loss to be weighted.
        last_weight: Kernel of the last layer.
    Source: VQGAN (arXiv 2012.09841) Eq. 7.
    """
    gradients = [
        torch.autograd.grad(loss, last_weight, retain_graph=True)[0].float()
        for loss in (reconstruction, adversarial)
    ]
    ours, theirs = distributed.all_reduce_sum(torch.stack(gradients)).flatten(1).norm(dim=1)
    return (ours / theirs.clamp_min(1e-8)).clamp_max(LARGEST_ADAPTIVE_WEIGHT).detach()
