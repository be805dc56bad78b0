"""The stages that end in a waveform: spectral losses and discriminators that listen to it.

generator:      mel_weight * mel loss + stft_weight * STFT loss
                + adversarial_weight * GAN + feature_matching_weight * feature matching
                + pitch_weight * pitch loss, for vocoders with a harmonic source
                + weight * difference to what a frozen network makes of the recording, if any
discriminator:  multi-period and multi-resolution, from `discriminator_start` on
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from semanticodec.audio.mel import HOP_LENGTH
from semanticodec.checkpoints.trained_module import export_trained, restore_module
from semanticodec.decoder.harmonic_vocos import HarmonicVocos
from semanticodec.decoder.pitch import Pitch, pitch_of
from semanticodec.decoder.vocoder import Vocoder
from semanticodec.errors import ConfigError
from semanticodec.training.data import Batch, rand_per_item
from semanticodec.training.discriminators import (
    MultiPeriodDiscriminator,
    MultiResolutionDiscriminator,
)
from semanticodec.training.feature_loss import FeatureLoss
from semanticodec.training.losses import MultiResolutionMelLoss, MultiResolutionStftLoss
from semanticodec.training.pitch_loss import frequencies, pitch_loss
from semanticodec.training.stage import StepOutput
from semanticodec.training.stages.adversarial import AdversarialStage

# Name of the module that runs take, and of its folder in those that wrote it.
DISCRIMINATORS = "discriminators"


class WeightedLoss(NamedTuple):
    """A loss of what frozen networks make of waveforms, and its weight."""

    weight: float
    loss: FeatureLoss


class WaveformStage(AdversarialStage):
    """Trains generators of waveforms; a subclass names them, and has a vocoder at their end."""

    config: Config

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Config(AdversarialStage.Config):
        """Losses of a waveform and their weights.

        The adversarial and the feature matching loss are averaged over the discriminators;
        HiFi-GAN sums them, so its weights of 1 and 2 are 8 and 16 here.

        Attributes:
            periods: sizes of the discriminators that see every P-th sample.
            resolutions: sizes of the discriminators that see spectrograms.
            mel: settings of the mel loss.
            stft: settings of the STFT loss.
            mel_weight: weight of the mel loss.
            stft_weight: weight of the STFT loss; 0 leaves it out.
            adversarial_weight: weight of the generator's GAN loss.
            feature_matching_weight: weight of the feature matching loss.
            pitch_weight: weight of the loss of the pitch that a harmonic source is made from,
                see `pitch_loss`; other vocoders have none.
            pitch_forcing: share of the items whose harmonic source has the true pitch. It starts
                with wrong ones otherwise, and the network learns not to rely on it.
            excerpt_samples: length of the random excerpt of each item that the discriminators
                judge, to save time; 0 = all of it.
        """

        periods: MultiPeriodDiscriminator.Config = MultiPeriodDiscriminator.Config()
        resolutions: MultiResolutionDiscriminator.Config = MultiResolutionDiscriminator.Config()
        mel: MultiResolutionMelLoss.Config = MultiResolutionMelLoss.Config()
        stft: MultiResolutionStftLoss.Config = MultiResolutionStftLoss.Config()
        mel_weight: float = 45.0
        stft_weight: float = 0.0
        adversarial_weight: float = 2.0
        feature_matching_weight: float = 2.0
        pitch_weight: float = 1.0
        pitch_forcing: float = 1.0
        excerpt_samples: int = 0

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.periods = MultiPeriodDiscriminator(config.periods)
        self.resolutions = MultiResolutionDiscriminator(config.resolutions)
        self.mel_loss = MultiResolutionMelLoss(config.mel)
        self.stft_loss = MultiResolutionStftLoss(config.stft)
        self.feature_losses: dict[str, WeightedLoss] = {}

    def discriminators(self) -> Sequence[nn.Module]:
        """Return the multi-period and the multi-resolution discriminators."""
        return list(self.named_discriminators().values())

    def restore_discriminators(self, run: Path | None) -> None:
        """Start with the discriminators that another run wrote, if one is given.

        Args:
            run: folder that `export_aids` wrote, RUN/discriminators.
        Raises:
            ConfigError: none is given, and the recipe does not train them.
            CheckpointError: it holds none, or others than the recipe's.
        """
        if run is not None:
            for name, module in self.named_discriminators().items():
                restore_module(module, run / name, name)
        elif not self.config.trains_discriminators:
            raise ConfigError(
                "Discriminators that are not trained have to be given: add "
                "--module discriminators=RUN/discriminators, or set trains_discriminators=True."
            )

    def export_aids(self, run: Path, steps: int) -> None:
        """Write the discriminators, once they have learned something, to RUN/discriminators."""
        if not self.is_adversarial(steps - 1):
            return
        for name, module in self.named_discriminators().items():
            export_trained(run / DISCRIMINATORS / name, name, module)

    def named_discriminators(self) -> dict[str, nn.Module]:
        """Return the discriminators by name."""
        return {"periods": self.periods, "resolutions": self.resolutions}

    def waveform_loss(
        self,
        batch: Batch,
        vocoder: Vocoder,
        mel: Float[Tensor, "B T M"],
        real: Float[Tensor, "B S"],
    ) -> StepOutput:
        """Return the loss of what a vocoder makes of mels, the adversarial part where it is due.

        Args:
            batch: batch that all belong to.
            vocoder: vocoder in training.
            mel: what it is given.
            real: recordings that the mels belong to, S = T * hop_length.
        Raises:
            ConfigError: a vocoder with a harmonic source, and no package that finds pitches.
        """
        config = self.config
        generated, pitch = self._generated(batch, vocoder, mel, real)
        distance = self.mel_loss(generated, real)
        loss = config.mel_weight * distance
        scalars: dict[str, Tensor | float] = {"mel": distance}
        if config.stft_weight > 0:
            stft = self.stft_loss(generated, real)
            loss = loss + config.stft_weight * stft
            scalars |= {"stft": stft}
        for name, (weight, distance_of) in self.feature_losses.items():
            features = distance_of(generated, real)
            loss = loss + weight * features
            scalars |= {name: features}
        if self.is_adversarial(batch.step) and self.judges_waveforms:
            judged = self.judged(batch, *self._excerpts(batch, real, generated))
            loss = loss + judged.loss
            scalars |= judged.scalars
        if pitch is not None:
            loss = loss + config.pitch_weight * pitch
            scalars |= {"pitch": pitch}
        return StepOutput(loss=loss, scalars=scalars)

    @property
    def judges_waveforms(self) -> bool:
        """Whether the discriminators are given waveforms."""
        return True

    def judged(
        self, batch: Batch, real: Float[Tensor, "B ..."], generated: Float[Tensor, "B ..."]
    ) -> StepOutput:
        """Return what the discriminators make the generators pay.

        Args:
            batch: the batch that both belong to.
            real: recordings in the form that the discriminators take.
            generated: result generated for each of them.
        """
        terms = self.adversarial_terms(batch, real, generated)
        loss = self.config.adversarial_weight * terms.adversarial
        scalars: dict[str, Tensor | float] = {"adversarial": terms.adversarial}
        if terms.feature_matching is not None:
            loss = loss + self.config.feature_matching_weight * terms.feature_matching
            scalars |= {"feature_matching": terms.feature_matching}
        return StepOutput(loss=loss, scalars=scalars)

    def _generated(
        self,
        batch: Batch,
        vocoder: Vocoder,
        mel: Float[Tensor, "B T M"],
        real: Float[Tensor, "B S"],
    ) -> tuple[Float[Tensor, "B S"], Float[Tensor, ""] | None]:
        """Return waveforms, and the loss of the pitch where the vocoder looks for one."""
        if not isinstance(vocoder, HarmonicVocos):
            # HiFi-GAN's odd first stage adds 32 samples at the end, which the codec cuts as well.
            return vocoder(mel).float()[:, : real.shape[1]], None
        frequency = frequencies(real, HOP_LENGTH)
        logits = vocoder.pitch(mel)
        found = pitch_of(logits)
        drawn = rand_per_item(batch.generators, (1,), mel.device)
        is_forced = drawn < self.config.pitch_forcing
        is_voiced = frequency > 0
        pitch = Pitch(
            frequency=torch.where(is_forced & is_voiced, frequency, found.frequency),
            voicing=torch.where(is_forced, is_voiced.float(), found.voicing),
        )
        return vocoder(mel, pitch).float(), pitch_loss(logits, frequency)

    def _excerpts(
        self, batch: Batch, real: Float[Tensor, "B S"], generated: Float[Tensor, "B S"]
    ) -> tuple[Float[Tensor, "B N"], Float[Tensor, "B N"]]:
        """Cut the same random excerpt from each recording and what was generated for it."""
        length = self.config.excerpt_samples or generated.shape[-1]
        spare = max(generated.shape[-1] - length, 0)
        draws = rand_per_item(batch.generators, ()).tolist()
        starts = [int(draw * (spare + 1)) for draw in draws]
        real_wav, generated_wav = (
            torch.stack([row[at : at + length] for row, at in zip(wav, starts, strict=True)])
            for wav in (real, generated)
        )
        return real_wav, generated_wav
