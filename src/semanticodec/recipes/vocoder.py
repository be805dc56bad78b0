"""Runs of the vocoders: Vocos for the built-in model, HiFi-GAN at the official size."""

from __future__ import annotations

from dataclasses import replace

from semanticodec.decoder.harmonic_vocos import HarmonicVocos
from semanticodec.decoder.hifigan import HiFiGAN
from semanticodec.decoder.pitch import PitchEstimator
from semanticodec.decoder.vocoder import VocoderConfig
from semanticodec.decoder.vocos import Vocos
from semanticodec.recipes.loops import paper_run, tiny_run
from semanticodec.training.data import CropConfig
from semanticodec.training.discriminators import (
    MultiPeriodDiscriminator,
    MultiResolutionDiscriminator,
)
from semanticodec.training.losses import MultiResolutionMelLoss, MultiResolutionStftLoss
from semanticodec.training.optimizer import OptimizerConfig
from semanticodec.training.stages.vocoder import VocoderStage
from semanticodec.training.train import Recipe
from semanticodec.training.trainer import TrainConfig


def small() -> Recipe:
    """3.4 M Vocos with a harmonic source, for the built-in model."""
    return Recipe(
        name="vocoder/small",
        stage=VocoderStage,
        stage_config=VocoderStage.Config(
            vocoder=HarmonicVocos.Config(mel_shortcut=True),
            periods=MultiPeriodDiscriminator.Config(channels=(16, 32, 64, 128, 128)),
            resolutions=MultiResolutionDiscriminator.Config(channels=(16, 32, 64, 64, 64)),
            discriminator_start=600,
        ),
        crops=CropConfig(crop_samples=12_800, gain_db=(-10.0, 4.0)),
        train=TrainConfig(
            steps=10_000,
            batch_size=8,
            optimizers={
                "generator": OptimizerConfig(
                    lr=6e-4, betas=(0.8, 0.99), warmup_steps=200, clip_norm=100.0
                ),
                "discriminator": OptimizerConfig(
                    lr=4e-4, betas=(0.8, 0.99), warmup_steps=0, clip_norm=10.0
                ),
            },
            sample_every=500,
            checkpoint_every=250,
        ),
    )


def small_adversarial() -> Recipe:
    """Discriminators from the first step, for a vocoder that has learned from mels (`--init`)."""
    recipe = small()
    settings = recipe.train.optimizers
    warm = replace(settings["generator"], lr=4e-4, warmup_steps=50)
    return replace(
        recipe,
        name="vocoder/small_adversarial",
        stage_config=replace(recipe.stage_config, discriminator_start=0),
        train=replace(
            recipe.train,
            steps=2000,
            optimizers={**settings, "generator": warm},
            ema_decay=0.99,
        ),
    )


def large() -> Recipe:
    """8.2 M vocoder with larger discriminators: minutes on a GPU of 80 GB."""
    single = small()
    return replace(
        single,
        name="vocoder/large",
        stage_config=replace(
            single.stage_config,
            vocoder=HarmonicVocos.Config(width=384, hidden=1152, num_layers=8, mel_shortcut=True),
            periods=MultiPeriodDiscriminator.Config(channels=(32, 64, 128, 256, 256)),
            resolutions=MultiResolutionDiscriminator.Config(channels=(32, 64, 128, 128, 128)),
            discriminator_start=200,
        ),
        train=replace(single.train, steps=3000, batch_size=64, checkpoint_every=2000),
    )


def paper() -> Recipe:
    """HiFi-GAN V1 shape with full-size discriminators and its loss weights, for GPUs."""
    optimizer = OptimizerConfig(
        lr=2e-4, betas=(0.8, 0.99), warmup_steps=0, schedule="cosine", clip_norm=1000.0
    )
    return Recipe(
        name="vocoder/paper",
        stage=VocoderStage,
        stage_config=VocoderStage.Config(
            vocoder=HiFiGAN.Config(),
            adversarial_weight=8.0,
            feature_matching_weight=16.0,
            gan_loss="least_squares",
        ),
        crops=CropConfig(crop_samples=15_360),
        train=paper_run(
            steps=1_000_000,
            batch_size=16,
            optimizers={"generator": optimizer, "discriminator": optimizer},
        ),
    )


def _tiny(name: str, vocoder: VocoderConfig) -> Recipe:
    return Recipe(
        name=f"vocoder/{name}",
        stage=VocoderStage,
        stage_config=VocoderStage.Config(
            vocoder=vocoder,
            periods=MultiPeriodDiscriminator.Config(periods=(2, 3), channels=(4, 4)),
            resolutions=MultiResolutionDiscriminator.Config(
                window_lengths=(512, 256), channels=(4, 4, 4)
            ),
            mel=MultiResolutionMelLoss.Config(window_lengths=(256, 512), num_mel_bins=(20, 40)),
            stft=MultiResolutionStftLoss.Config(window_lengths=(256, 512)),
            stft_weight=1.0,
            discriminator_start=2,
        ),
        crops=CropConfig(crop_samples=5120),
        train=tiny_run(),
    )


def tiny() -> Recipe:
    """Vocos in seconds on one core, for tests: every part is there, nothing is learned."""
    return _tiny("tiny", Vocos.Config(width=16, hidden=16, num_layers=1, mel_shortcut=True))


def tiny_harmonic() -> Recipe:
    """HarmonicVocos in seconds on one core, for tests."""
    pitch = PitchEstimator.Config(width=8, hidden=8, num_layers=1)
    sizes = HarmonicVocos.Config(width=16, hidden=16, num_layers=1, mel_shortcut=True, pitch=pitch)
    return _tiny("tiny_harmonic", sizes)


def tiny_hifigan() -> Recipe:
    """HiFi-GAN in seconds on one core, for tests."""
    return _tiny("tiny_hifigan", HiFiGAN.Config(initial_channels=32, residual_kernels=(3,)))


RECIPES = {
    "small": small,
    "small_adversarial": small_adversarial,
    "large": large,
    "paper": paper,
    "tiny": tiny,
    "tiny_harmonic": tiny_harmonic,
    "tiny_hifigan": tiny_hifigan,
}
