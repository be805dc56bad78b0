"""Training of the mel autoencoder: reconstruction + KL + patch discriminator.

wav -> mel -> encoder -> mean, log variance -> draw -> decoder -> reconstruction
generator:      L1 + kl_weight * KL + factor * adversarial_weight * (fool the discriminator)
discriminator:  tell mel from reconstruction, from `discriminator_start` on
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from semanticodec.audio.mel import Mel
from semanticodec.checkpoints.trained_module import export_trained, restore_module
from semanticodec.decoder.vae import VAE, VAEConfig, sample_latent
from semanticodec.layers.processes import sum_over_processes, world_size
from semanticodec.training.data import Batch, randn_per_item
from semanticodec.training.discriminators import MEL_MEAN, PatchDiscriminator
from semanticodec.training.losses import kl_divergence
from semanticodec.training.monitor import Sample
from semanticodec.training.stage import StepOutput
from semanticodec.training.stages.adversarial import AdversarialStage, adaptive_weight


class Reconstruction(NamedTuple):
    """A mel through the autoencoder: what came out, and the latent's draw, mean, log variance."""

    mel: Float[Tensor, "B T M"]
    latent: Float[Tensor, "B C T2 F"]
    mean: Float[Tensor, "B C T2 F"]
    logvar: Float[Tensor, "B C T2 F"]


class VAEStage(AdversarialStage):
    """Trains the autoencoder; exports both halves as `vae`."""

    config: Config

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Config(AdversarialStage.Config):
        """Sizes and weights.

        Attributes:
            vae: sizes of the autoencoder.
            discriminator: sizes of the discriminator.
            kl_weight: weight of the KL divergence in nats per latent element, added to the mean
                absolute log-mel error. Small: it only keeps the latent's size near 1.
            adversarial_weight: weight of the decoder's GAN loss; see `AdversarialStage.Config`.
            is_adaptive: whether the adversarial weight is multiplied by the ratio of gradient
                norms at the last layer.
        """

        vae: VAEConfig = VAEConfig()
        discriminator: PatchDiscriminator.Config = PatchDiscriminator.Config()
        kl_weight: float = 1e-3
        adversarial_weight: float = 0.5
        is_adaptive: bool = True

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.mel = Mel()
        self.vae = VAE(config.vae)
        # Saves the first hundreds of steps, which would only move the output to this level.
        last_bias = self.vae.decoder.conv_out.bias
        assert last_bias is not None
        nn.init.constant_(last_bias, MEL_MEAN)
        self.discriminator = PatchDiscriminator(config.discriminator)

    def initialize(self, folder: Path) -> None:
        """Start the autoencoder from an export of the same sizes."""
        restore_module(self.vae, folder, "vae")

    def generators(self) -> Sequence[nn.Module]:
        """Return the autoencoder."""
        return [self.vae]

    def discriminators(self) -> Sequence[nn.Module]:
        """Return the discriminator of mel spectrograms."""
        return [self.discriminator]

    def _target(self, batch: Batch) -> Float[Tensor, "B T M"]:
        with torch.autocast(batch.wav.device.type, enabled=False), torch.no_grad():
            return self.mel(batch.wav)

    def _reconstruct(
        self, mel: Float[Tensor, "B T M"], generators: list[torch.Generator]
    ) -> Reconstruction:
        mean, logvar = (moment.float() for moment in self.vae.encode(mel))
        noise = randn_per_item(generators, tuple(mean.shape[1:]), mean.device)
        latent = sample_latent(mean, logvar, noise)
        return Reconstruction(self.vae.decode(latent).float(), latent, mean, logvar)

    def generator_step(self, batch: Batch) -> StepOutput:
        """Return the loss of the autoencoder."""
        config = self.config
        mel = self._target(batch)
        generated, latent, mean, logvar = self._reconstruct(mel, batch.generators)
        reconstruction = F.l1_loss(generated, mel)
        kl = kl_divergence(mean, logvar)
        scalars = {
            "reconstruction": reconstruction,
            "kl": kl,
            "latent_std": _deviation(latent),
        }
        loss = reconstruction + config.kl_weight * kl
        if self.is_adversarial(batch.step):
            terms = self.adversarial_terms(batch, mel, generated)
            factor = torch.ones_like(loss)
            if config.is_adaptive:
                last_weight = self.vae.decoder.conv_out.weight
                factor = adaptive_weight(reconstruction, terms.adversarial, last_weight)
            loss = loss + config.adversarial_weight * factor * terms.adversarial
            scalars |= {"adversarial": terms.adversarial, "adversarial_factor": factor}
            if terms.feature_matching is not None:
                loss = loss + config.feature_matching_weight * terms.feature_matching
                scalars |= {"feature_matching": terms.feature_matching}
        return StepOutput(loss=loss, scalars=scalars)

    def samples(self, batch: Batch) -> dict[str, Sample]:
        """Return mel and reconstruction of the first item."""
        mel = self._target(batch)[:1]
        generated = self._reconstruct(mel, batch.generators[:1]).mel
        return {
            "target": Sample(spectrogram=mel[0], wav=batch.wav[0]),
            "reconstruction": Sample(spectrogram=generated[0]),
        }

    def export(self, folder: Path) -> None:
        """Write both halves."""
        export_trained(folder, "vae", self.vae)


@torch.no_grad()
def _deviation(latent: Float[Tensor, "B C T F"]) -> Float[Tensor, ""]:
    """Return the standard deviation of the latents of all processes."""
    moments = torch.stack([latent.mean(), latent.square().mean()])
    mean, mean_square = sum_over_processes(moments) / world_size()
    return (mean_square - mean.square()).clamp_min(0).sqrt()
