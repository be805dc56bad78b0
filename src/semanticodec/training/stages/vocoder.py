"""Training of a vocoder (HiFi-GAN or Vocos): mel loss + GAN losses + feature matching.

wav -> mel [-> VAE or codec -> mel, for some items] -> vocoder -> generated
generator:      mel_weight * mel loss + stft_weight * STFT loss
                + adversarial_weight * GAN + feature_matching_weight * feature matching
discriminator:  multi-period and multi-resolution, from `discriminator_start` on
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import Parameter

from semanticodec.audio.mel import HOP_LENGTH, Mel
from semanticodec.decoder.hifigan import HiFiGAN
from semanticodec.decoder.vae import VAE, sample_latent
from semanticodec.decoder.vocos import Vocos
from semanticodec.errors import CheckpointError, ConfigError
from semanticodec.training.data import Batch, rand_per_item, randn_per_item
from semanticodec.training.discriminators import (
    DiscriminatorOutput,
    MultiPeriodDiscriminator,
    MultiResolutionDiscriminator,
)
from semanticodec.training.losses import (
    GanLoss,
    MultiResolutionMelLoss,
    MultiResolutionStftLoss,
    feature_matching_loss,
    generator_loss,
)
from semanticodec.training.monitor import Picture
from semanticodec.training.stages.adversarial import HandOver, discriminator_output
from semanticodec.training.stages.decoded_mels import DecodedMels
from semanticodec.training.stages.vae import load_vae
from semanticodec.training.state import export_box, load_export
from semanticodec.training.trainer import Stage, StepOutput

# Mel frames that one frame of the VAE's latent covers.
VAE_STRIDE = 4


class VocoderStage(Stage):
    """Trains a vocoder; exports it as `vocos` or `hifigan`."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Config:
        """Sizes and weights.

        Attributes:
            vocoder: Its class decides which vocoder is trained.
            adversarial_weight, feature_matching_weight: Of losses averaged over the
                discriminators; HiFi-GAN sums them, so its 1 and 2 are 8 and 16 here.
            discriminator_start: First step with discriminators; before it the mel and STFT
                losses work alone.
            excerpt_samples: Length of the random excerpt of each item that the discriminators
                judge, to save time; 0 = all of it.
            vae_probability: Share of items whose mel goes through the VAE first, if the run has
                one (`--box vae=FOLDER`) and no codec takes the item.
            codec_probability: Share of the items whose mel goes through a codec at one of its
                rates, if the run has one (`--box codec=FOLDER`). The vocoder then learns to make
                up for what the codec usually loses.
        """

        vocoder: Vocos.Config | HiFiGAN.Config = Vocos.Config()
        periods: MultiPeriodDiscriminator.Config = MultiPeriodDiscriminator.Config()
        resolutions: MultiResolutionDiscriminator.Config = MultiResolutionDiscriminator.Config()
        mel: MultiResolutionMelLoss.Config = MultiResolutionMelLoss.Config()
        stft: MultiResolutionStftLoss.Config = MultiResolutionStftLoss.Config()
        mel_weight: float = 45.0
        stft_weight: float = 0.0
        adversarial_weight: float = 2.0
        feature_matching_weight: float = 2.0
        discriminator_start: int = 0
        excerpt_samples: int = 0
        vae_probability: float = 0.5
        codec_probability: float = 0.5
        gan_loss: GanLoss = "hinge"

    @classmethod
    def build(cls, config: Config, boxes: Mapping[str, Path]) -> VocoderStage:
        """Make the stage; the boxes it takes are a frozen `vae` and a finished `codec`.

        Raises:
            ConfigError: Another box is given.
        """
        if set(boxes) - {"vae", "codec"}:
            raise ConfigError(
                f"The vocoder stage uses the boxes vae and codec at most, but got "
                f"{', '.join(boxes)}; leave out the others."
            )
        return cls(
            config,
            load_vae(boxes["vae"])[0] if "vae" in boxes else None,
            DecodedMels(boxes["codec"]) if "codec" in boxes else None,
        )

    def __init__(
        self, config: Config, vae: VAE | None = None, decoded: DecodedMels | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.mel = Mel()
        sizes = config.vocoder
        self.vocoder = HiFiGAN(sizes) if isinstance(sizes, HiFiGAN.Config) else Vocos(sizes)
        self.periods = MultiPeriodDiscriminator(config.periods)
        self.resolutions = MultiResolutionDiscriminator(config.resolutions)
        self.mel_loss = MultiResolutionMelLoss(config.mel)
        self.stft_loss = MultiResolutionStftLoss(config.stft)
        # In a list, so that the frozen box is neither trained nor saved with every checkpoint.
        self._vae = [vae] if vae is not None else []
        self._decoded = decoded
        self._hand_over = HandOver()

    @property
    def _box(self) -> str:
        return "hifigan" if isinstance(self.vocoder, HiFiGAN) else "vocos"

    def initialize(self, folder: Path) -> None:
        """Start the vocoder from an export of the same class and sizes."""
        _, weights = load_export(folder, self._box)
        try:
            self.vocoder.load_state_dict(weights)
        except RuntimeError as error:
            raise CheckpointError(
                f"{folder} holds a vocoder of other sizes than the recipe's: {error}"
            ) from error

    def optimizer_groups(self) -> dict[str, list[Parameter]]:
        """Return the vocoder and the discriminators."""
        return {
            "generator": list(self.vocoder.parameters()),
            "discriminator": [*self.periods.parameters(), *self.resolutions.parameters()],
        }

    def active_groups(self, step: int) -> list[str]:
        """Leave the discriminators alone before their first step."""
        return ["generator", "discriminator"] if self._is_adversarial(step) else ["generator"]

    def _is_adversarial(self, step: int) -> bool:
        return self.config.adversarial_weight > 0 and step >= self.config.discriminator_start

    def training_step(self, batch: Batch, group: str) -> StepOutput:
        """Return the loss of the vocoder or of the discriminators."""
        if group == "discriminator":
            return self._discriminator_step(batch)
        return self._generator_step(batch)

    def _input(self, batch: Batch) -> Float[Tensor, "B T M"]:
        """Return the mel of every item, through the VAE or the codec for a random share of them."""
        with torch.autocast(batch.wav.device.type, enabled=False), torch.no_grad():
            mel = self.mel(batch.wav)
            if self._vae:
                rows = _chosen(batch, self.config.vae_probability)
                mel = self._through_vae(mel, rows, [batch.generators[row] for row in rows])
            if self._decoded is not None:
                mel = mel.clone()
                for row in _chosen(batch, self.config.codec_probability):
                    mel[row] = self._decoded.mel(batch.wav[row], batch.generators[row])
        return mel

    @torch.no_grad()
    def _through_vae(
        self, mel: Float[Tensor, "B T M"], rows: list[int], generators: list[torch.Generator]
    ) -> Float[Tensor, "B T M"]:
        if not rows:
            return mel
        (vae,) = self._vae
        if next(vae.parameters()).device != mel.device:
            vae.to(mel.device)
        mean, logvar = (moment.float() for moment in vae.encode(mel[rows]))
        noise = randn_per_item(generators, tuple(mean.shape[1:]), mean.device)
        passed = mel.clone()
        passed[rows] = vae.decode(sample_latent(mean, logvar, noise)).float()
        return passed

    def _generate(self, batch: Batch) -> Float[Tensor, "B S"]:
        frame = HOP_LENGTH * (VAE_STRIDE if self._vae else 1)
        num_samples = batch.wav.shape[-1]
        if num_samples % frame:
            raise ConfigError(
                f"Crops of {num_samples} samples do not make whole frames; choose a multiple of "
                f"{frame}."
            )
        # HiFi-GAN's odd first stage adds 32 samples at the end, which the codec cuts as well.
        return self.vocoder(self._input(batch)).float()[:, :num_samples]

    def _excerpts(
        self, batch: Batch, generated: Float[Tensor, "B S"]
    ) -> tuple[Float[Tensor, "B S2"], Float[Tensor, "B S2"]]:
        """Cut the same random excerpt from each recording and what was generated for it."""
        length = self.config.excerpt_samples or generated.shape[-1]
        spare = max(generated.shape[-1] - length, 0)
        draws = rand_per_item(batch.generators, ()).tolist()
        starts = [int(draw * (spare + 1)) for draw in draws]
        real_wav, generated_wav = (
            torch.stack([row[at : at + length] for row, at in zip(wav, starts, strict=True)])
            for wav in (batch.wav, generated)
        )
        return real_wav, generated_wav

    def _discriminate(self, wav: Float[Tensor, "B S"]) -> DiscriminatorOutput:
        periods, resolutions = self.periods(wav), self.resolutions(wav)
        return DiscriminatorOutput(
            logits=periods.logits + resolutions.logits,
            features=periods.features + resolutions.features,
        )

    def _generator_step(self, batch: Batch) -> StepOutput:
        config = self.config
        generated = self._generate(batch)
        mel = self.mel_loss(generated, batch.wav)
        loss = config.mel_weight * mel
        scalars = {"mel": mel}
        if config.stft_weight > 0:
            stft = self.stft_loss(generated, batch.wav)
            loss = loss + config.stft_weight * stft
            scalars |= {"stft": stft}
        if self._is_adversarial(batch.step):
            real_wav, generated_wav = self._excerpts(batch, generated)
            self._hand_over.put(batch, real_wav, generated_wav)
            with torch.no_grad():
                real = self._discriminate(real_wav)
            fake = self._discriminate(generated_wav)
            adversarial = generator_loss(fake.logits, config.gan_loss)
            matching = feature_matching_loss(real.features, fake.features)
            loss = loss + config.adversarial_weight * adversarial
            loss = loss + config.feature_matching_weight * matching
            scalars |= {"adversarial": adversarial, "feature_matching": matching}
        return StepOutput(loss=loss, scalars=scalars)

    def _discriminator_step(self, batch: Batch) -> StepOutput:
        logits = self._discriminate(torch.cat(self._hand_over.take(batch))).logits
        return discriminator_output(logits, self.config.gan_loss)

    def pictures(self, batch: Batch) -> dict[str, Picture]:
        """Return recording and generated audio of the first item."""
        first = Batch(wav=batch.wav[:1], generators=batch.generators[:1], step=batch.step)
        generated = self._generate(first)
        return {
            "target": Picture(spectrogram=self.mel(first.wav)[0], wav=first.wav[0]),
            "generated": Picture(spectrogram=self.mel(generated)[0], wav=generated[0]),
        }

    def export(self, folder: Path) -> None:
        """Write the vocoder."""
        export_box(
            folder,
            box=self._box,
            config=dataclasses.asdict(self.config.vocoder),
            weights=self.vocoder.state_dict(),
        )


def _chosen(batch: Batch, probability: float) -> list[int]:
    """Return the items that a draw of their own picks."""
    return (rand_per_item(batch.generators, ()) < probability).nonzero()[:, 0].tolist()
