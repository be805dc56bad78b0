"""Runs of the mel autoencoder."""

from __future__ import annotations

from dataclasses import replace

from semanticodec.decoder.vae import VAEConfig
from semanticodec.recipes.loops import paper_run, tiny_run
from semanticodec.training.data import CropConfig
from semanticodec.training.discriminators import PatchDiscriminator
from semanticodec.training.optimizer import OptimizerConfig
from semanticodec.training.stages.vae import VAEStage
from semanticodec.training.train import Recipe
from semanticodec.training.trainer import TrainConfig


def small() -> Recipe:
    """0.7 M autoencoder for the built-in model: minutes on two CPU cores."""
    return Recipe(
        name="vae/small",
        stage=VAEStage,
        stage_config=VAEStage.Config(
            vae=VAEConfig(base_channels=16, num_res_blocks=1, num_groups=8, patch_shortcut=True),
            discriminator=PatchDiscriminator.Config(channels=32),
            kl_weight=5e-3,
            discriminator_start=1500,
        ),
        crops=CropConfig(crop_samples=40_960, gain_db=(-10.0, 4.0)),
        train=TrainConfig(
            steps=6000,
            batch_size=8,
            optimizers={
                "generator": OptimizerConfig(lr=5e-4, warmup_steps=200, clip_norm=5.0),
                "discriminator": OptimizerConfig(
                    lr=2e-4, betas=(0.5, 0.9), warmup_steps=0, clip_norm=5.0
                ),
            },
            sample_every=500,
            checkpoint_every=250,
        ),
    )


def large() -> Recipe:
    """`small` at twice the width: minutes on a GPU."""
    single = small()
    config = single.stage_config
    return replace(
        single,
        name="vae/large",
        stage_config=replace(
            config,
            vae=replace(config.vae, base_channels=32),
            discriminator=PatchDiscriminator.Config(channels=64),
            discriminator_start=200,
        ),
        train=replace(single.train, steps=3000, batch_size=64, checkpoint_every=2000),
    )


def paper() -> Recipe:
    """AudioLDM 2's autoencoder on whole windows, for GPUs."""
    return Recipe(
        name="vae/paper",
        stage=VAEStage,
        stage_config=VAEStage.Config(discriminator_start=50_000),
        crops=CropConfig(crop_samples=163_840),
        train=paper_run(
            steps=500_000,
            batch_size=4,
            optimizers={
                "generator": OptimizerConfig(lr=1e-4, schedule="constant", clip_norm=5.0),
                "discriminator": OptimizerConfig(
                    lr=1e-4, betas=(0.5, 0.9), schedule="constant", clip_norm=5.0
                ),
            },
        ),
    )


def tiny() -> Recipe:
    """Seconds on one core, for tests: every part is there, nothing is learned."""
    return Recipe(
        name="vae/tiny",
        stage=VAEStage,
        stage_config=VAEStage.Config(
            vae=VAEConfig(base_channels=8, num_res_blocks=1, num_groups=4),
            discriminator=PatchDiscriminator.Config(channels=4),
            discriminator_start=2,
        ),
        crops=CropConfig(crop_samples=5120),
        train=tiny_run(),
    )


RECIPES = {"small": small, "large": large, "paper": paper, "tiny": tiny}
