"""The stages with discriminators: generator and discriminators take turns in every step.

generator's turn:       items -> loss of the stage + adversarial [+ feature matching]
discriminators' turn:   the same recordings and generated items -> tell one from the other
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import Parameter

from semanticodec.layers.processes import sum_over_processes
from semanticodec.training.data import Batch
from semanticodec.training.discriminators import DiscriminatorOutput
from semanticodec.training.losses import (
    GanLoss,
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
)
from semanticodec.training.stage import Stage, StepOutput

LARGEST_ADAPTIVE_WEIGHT = 1e4


class AdversarialTerms(NamedTuple):
    """What the generator pays for being found out, not weighted yet."""

    adversarial: Float[Tensor, ""]
    feature_matching: Float[Tensor, ""] | None


class AdversarialStage(Stage):
    """Trains generators against discriminators.

    A subclass names the modules of both sides, and computes the generators' loss in
    `generator_step`: its own terms and, where `is_adversarial`, those of `adversarial_terms`.
    """

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Config:
        """Weights of the adversarial losses, and when they begin.

        Attributes:
            adversarial_weight: weight of the generators' GAN loss, which is averaged over the
                discriminators; 0 leaves the discriminators out.
            feature_matching_weight: weight of the distance of the discriminators' activations,
                averaged over the discriminators; 0 leaves it out.
            discriminator_start: first step with discriminators; before it the other losses work
                alone.
            trains_discriminators: False leaves the discriminators as they were given, which then
                judge but do not learn.
            gan_loss: kind of the GAN loss.
        """

        adversarial_weight: float = 1.0
        feature_matching_weight: float = 0.0
        discriminator_start: int = 0
        trains_discriminators: bool = True
        gan_loss: GanLoss = "hinge"

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self._pairs = GeneratedPairs()

    def generators(self) -> Sequence[nn.Module]:
        """Return the modules that descend the loss of `generator_step`."""
        raise NotImplementedError

    def discriminators(self) -> Sequence[nn.Module]:
        """Return the modules that give a `DiscriminatorOutput` for recordings and generated items.

        Recordings and generated items are of one shape: waveforms or spectrograms.
        """
        raise NotImplementedError

    def generator_step(self, batch: Batch) -> StepOutput:
        """Return the loss of the generators."""
        raise NotImplementedError

    def optimizer_groups(self) -> dict[str, list[Parameter]]:
        """Return the generators and the discriminators, in the order of their turns."""
        sides = {"generator": self.generators(), "discriminator": self.discriminators()}
        return {
            side: [p for module in modules for p in module.parameters() if p.requires_grad]
            for side, modules in sides.items()
        }

    def active_groups(self, step: int) -> list[str]:
        """Leave the discriminators alone before their first step, and where they do not learn."""
        learns = self.config.trains_discriminators and self.is_adversarial(step)
        return ["generator", "discriminator"] if learns else ["generator"]

    def is_adversarial(self, step: int) -> bool:
        """Say whether the discriminators take part in a step."""
        return self.config.adversarial_weight > 0 and step >= self.config.discriminator_start

    def training_step(self, batch: Batch, group: str) -> StepOutput:
        """Return the loss of the generators or of the discriminators."""
        if group == "generator":
            return self.generator_step(batch)
        logits = self.discriminate(torch.cat(self._pairs.take(batch))).logits
        return discriminator_output(logits, self.config.gan_loss)

    def discriminate(self, items: Float[Tensor, "B ..."]) -> DiscriminatorOutput:
        """Return what all discriminators say of recordings or generated items."""
        outputs = [discriminator(items) for discriminator in self.discriminators()]
        return DiscriminatorOutput(
            logits=[logits for output in outputs for logits in output.logits],
            features=[features for output in outputs for features in output.features],
        )

    def adversarial_terms(
        self, batch: Batch, real: Float[Tensor, "B ..."], generated: Float[Tensor, "B ..."]
    ) -> AdversarialTerms:
        """Return the generators' adversarial losses, and keep the items for the discriminators.

        Args:
            batch: the batch that both belong to.
            real: recordings in the form that the discriminators take.
            generated: result generated for each of them.
        """
        self._pairs.put(batch, real, generated)
        judged = self.discriminate(generated)
        matching = None
        if self.config.feature_matching_weight > 0:
            with torch.no_grad():
                expected = self.discriminate(real)
            matching = feature_matching_loss(expected.features, judged.features)
        return AdversarialTerms(generator_loss(judged.logits, self.config.gan_loss), matching)


class GeneratedPairs:
    """Keeps what the generators made of each (micro-)batch until the discriminators' turn.

    Saves the discriminators a generator pass of their own; they see the items as they were before
    the generators' update, as usual in GAN training.
    """

    def __init__(self) -> None:
        self._step = -1
        self._pairs: dict[torch.Generator, tuple[Tensor, Tensor]] = {}

    def put(
        self, batch: Batch, real: Float[Tensor, "B ..."], generated: Float[Tensor, "B ..."]
    ) -> None:
        """Keep real and generated items of a batch; those of earlier steps are forgotten."""
        if batch.step != self._step:
            self._pairs.clear()
        self._step = batch.step
        # Micro-batches are told apart by their first item's generator object.
        self._pairs[batch.generators[0]] = (real.detach(), generated.detach())

    def take(self, batch: Batch) -> tuple[Float[Tensor, "B ..."], Float[Tensor, "B ..."]]:
        """Hand out the real and generated items of a batch, once."""
        pair = self._pairs.pop(batch.generators[0], None)
        assert pair is not None, "the generator's turn comes first in every step"
        return pair


def discriminator_output(logits: Sequence[Float[Tensor, "N ..."]], kind: GanLoss) -> StepOutput:
    """Return the discriminators' loss and their mean logits, to be seen drifting apart.

    Args:
        logits: one tensor per discriminator; the first half of its rows are for recordings, the
            second half for generated items.
        kind: name of the GAN loss.
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
        reconstruction: loss whose gradient is the measure.
        adversarial: loss to be weighted.
        last_weight: kernel of the last layer.
    Source: VQGAN (arXiv 2012.09841) Eq. 7.
    """
    gradients = [
        torch.autograd.grad(loss, last_weight, retain_graph=True)[0].float()
        for loss in (reconstruction, adversarial)
    ]
    ours, theirs = sum_over_processes(torch.stack(gradients)).flatten(1).norm(dim=1)
    return (ours / theirs.clamp_min(1e-8)).clamp_max(LARGEST_ADAPTIVE_WEIGHT).detach()
