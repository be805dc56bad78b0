"""Training of the mel autoencoder: reconstruction + KL + patch discriminator.

wav -> mel -> encoder -> mean, log variance -> draw -> decoder -> reconstruction
generator:      L1 + kl_weight * KL + factor * adversarial_weight * (fool the discriminator)
discriminator:  tell mel from reconstruction, from `discriminator_start` on
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import Parameter

from semanticodec.audio.mel import Mel
from semanticodec.decoder.vae import VAE, VAEConfig, sample_latent
from semanticodec.errors import CheckpointError
from semanticodec.training import distributed
from semanticodec.training.data import Batch, randn_per_item
from semanticodec.training.discriminators import MEL_MEAN, PatchDiscriminator
from semanticodec.training.losses import GanLoss, generator_loss, kl_divergence
from semanticodec.training.monitor import Picture
from semanticodec.training.stages.adversarial import (
    HandOver,
    adaptive_weight,
    discriminator_output,
)
from semanticodec.training.state import export_box, load_export, write_json
from semanticodec.training.trainer import Stage, StepOutput

# The running moments of the latent look back over about this many steps.
MOMENT_DECAY = 0.99


def load_vae(folder: Path) -> tuple[VAE, float]:
    """Read an export of this stage.

    Returns:
        The autoencoder in evaluation mode without gradients, and the latent scale: latents
        times it have standard deviation 1.
    Raises:
        CheckpointError: The folder holds no (or a damaged) export of a VAE.
    """
    config, weights = load_export(folder, "vae")
    try:
        scale = float(json.loads((folder / "config.json").read_text("utf-8"))["latent_scale"])
        # JSON knows lists only.
        config["channel_multipliers"] = tuple(config["channel_multipliers"])
        vae = VAE(VAEConfig(**config))
        vae.load_state_dict(weights)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{folder} holds a VAE whose config.json and weights do not fit together ({error}). "
            "Export it again with `semanticodec train vae`."
        ) from error
    return vae.requires_grad_(False).eval(), scale


class VAEStage(Stage):
    """Trains the autoencoder; exports both halves as `vae` with the latent's scale."""

    latent_moments: Tensor

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Config:
        """Sizes and weights.

        Attributes:
            kl_weight: Of the KL divergence in nats per latent element, beside the mean absolute
                log-mel error. Small: it only keeps the latent's size near 1.
            adversarial_weight: Of the generator's GAN loss; 0 leaves the discriminator out.
            is_adaptive: Multiply it by the ratio of gradient norms at the last layer.
            discriminator_start: First step with a discriminator.
        """

        vae: VAEConfig = VAEConfig()
        discriminator: PatchDiscriminator.Config = PatchDiscriminator.Config()
        kl_weight: float = 1e-3
        adversarial_weight: float = 0.5
        is_adaptive: bool = True
        discriminator_start: int = 0
        gan_loss: GanLoss = "hinge"

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.mel = Mel()
        self.vae = VAE(config.vae)
        # Saves the first hundreds of steps, which would only move the output to this level.
        last_bias = self.vae.decoder.conv_out.bias
        assert last_bias is not None
        nn.init.constant_(last_bias, MEL_MEAN)
        self.discriminator = PatchDiscriminator(config.discriminator)
        # Mean and mean square of the drawn latents.
        self.register_buffer("latent_moments", torch.tensor([0.0, 1.0]))
        self._hand_over = HandOver()

    def initialize(self, folder: Path) -> None:
        """Start the autoencoder from an export of the same sizes."""
        _, weights = load_export(folder, "vae")
        try:
            self.vae.load_state_dict(weights)
        except RuntimeError as error:
            raise CheckpointError(
                f"{folder} holds a VAE of other sizes than the recipe's: {error}"
            ) from error

    def optimizer_groups(self) -> dict[str, list[Parameter]]:
        """Return the autoencoder and the discriminator."""
        return {
            "generator": list(self.vae.parameters()),
            "discriminator": list(self.discriminator.parameters()),
        }

    def active_groups(self, step: int) -> list[str]:
        """Leave the discriminator alone before its first step."""
        return ["generator", "discriminator"] if self._is_adversarial(step) else ["generator"]

    def _is_adversarial(self, step: int) -> bool:
        return self.config.adversarial_weight > 0 and step >= self.config.discriminator_start

    def training_step(self, batch: Batch, group: str) -> StepOutput:
        """Return the loss of the autoencoder or of the discriminator."""
        if group == "discriminator":
            return self._discriminator_step(batch)
        return self._generator_step(batch)

    def _target(self, batch: Batch) -> Float[Tensor, "B T M"]:
        with torch.autocast(batch.wav.device.type, enabled=False), torch.no_grad():
            return self.mel(batch.wav)

    def _reconstruct(
        self, mel: Float[Tensor, "B T M"], generators: list[torch.Generator]
    ) -> tuple[Float[Tensor, "B T M"], Tensor, Tensor, Tensor]:
        """Return the reconstruction, and the latent's draw, mean and log variance."""
        mean, logvar = (moment.float() for moment in self.vae.encode(mel))
        noise = randn_per_item(generators, tuple(mean.shape[1:]), mean.device)
        latent = sample_latent(mean, logvar, noise)
        return self.vae.decode(latent).float(), latent, mean, logvar

    def _generator_step(self, batch: Batch) -> StepOutput:
        config = self.config
        mel = self._target(batch)
        generated, latent, mean, logvar = self._reconstruct(mel, batch.generators)
        self._track(latent.detach(), batch.step)
        reconstruction = F.l1_loss(generated, mel)
        kl = kl_divergence(mean, logvar)
        scalars = {
            "reconstruction": reconstruction,
            "kl": kl,
            "latent_std": 1.0 / self.latent_scale(),
        }
        loss = reconstruction + config.kl_weight * kl
        if self._is_adversarial(batch.step):
            self._hand_over.put(batch, mel, generated)
            adversarial = generator_loss(self.discriminator(generated).logits, config.gan_loss)
            factor = torch.ones_like(loss)
            if config.is_adaptive:
                last_weight = self.vae.decoder.conv_out.weight
                factor = adaptive_weight(reconstruction, adversarial, last_weight)
            loss = loss + config.adversarial_weight * factor * adversarial
            scalars |= {"adversarial": adversarial, "adversarial_factor": factor}
        return StepOutput(loss=loss, scalars=scalars)

    def _discriminator_step(self, batch: Batch) -> StepOutput:
        logits = self.discriminator(torch.cat(self._hand_over.take(batch))).logits
        return discriminator_output(logits, self.config.gan_loss)

    @torch.no_grad()
    def _track(self, latent: Float[Tensor, "B C T F"], step: int) -> None:
        """Follow mean and mean square of the latent; a broken batch leaves them alone."""
        moments = torch.stack([latent.mean(), latent.square().mean()])
        moments = distributed.all_reduce_sum(moments) / distributed.world_size()
        decay = min(MOMENT_DECAY, step / (step + 1))
        followed = decay * self.latent_moments + (1 - decay) * moments
        is_finite = moments.isfinite().all()
        self.latent_moments.copy_(torch.where(is_finite, followed, self.latent_moments))

    def latent_scale(self) -> float:
        """Return 1 / standard deviation of the latent, as running moments say."""
        mean, mean_square = self.latent_moments.double().tolist()
        return max(mean_square - mean * mean, 1e-12) ** -0.5

    def pictures(self, batch: Batch) -> dict[str, Picture]:
        """Return mel and reconstruction of the first item."""
        mel = self._target(batch)[:1]
        generated = self._reconstruct(mel, batch.generators[:1])[0]
        return {
            "target": Picture(spectrogram=mel[0], wav=batch.wav[0]),
            "reconstruction": Picture(spectrogram=generated[0]),
        }

    def export(self, folder: Path) -> None:
        """Write both halves, with `latent_scale` beside the sizes in config.json."""
        config = dataclasses.asdict(self.config.vae)
        export_box(folder, box="vae", config=config, weights=self.vae.state_dict())
        description = json.loads((folder / "config.json").read_text("utf-8"))
        write_json(folder / "config.json", {**description, "latent_scale": self.latent_scale()})
