"""Runs that train the decoder of a finished codec as a whole, and its acoustic codes before."""

from __future__ import annotations

from dataclasses import replace

from semanticodec.decoder.context_transformer import ContextTransformer
from semanticodec.recipes.loops import tiny_run
from semanticodec.training.data import CropConfig
from semanticodec.training.discriminators import (
    FrameDiscriminator,
    MultiPeriodDiscriminator,
    MultiResolutionDiscriminator,
)
from semanticodec.training.losses import MultiResolutionMelLoss, MultiResolutionStftLoss
from semanticodec.training.optimizer import OptimizerConfig
from semanticodec.training.stages.decoder import NEVER, DecoderStage
from semanticodec.training.train import Recipe
from semanticodec.training.trainer import TrainConfig
from semanticodec.training.windows import WindowSource


def small() -> Recipe:
    """Last: all of the decoder with its vocoder, and discriminators that listen."""
    return Recipe(
        name="decoder/small",
        stage=DecoderStage,
        stage_config=DecoderStage.Config(
            periods=MultiPeriodDiscriminator.Config(channels=(16, 32, 64, 128, 128)),
            resolutions=MultiResolutionDiscriminator.Config(channels=(16, 32, 64, 64, 64)),
            discriminator_start=200,
            # Weights at which losses of the waveform and of the mel move the T-UNet alike.
            frame_weight=30.0,
            detail_weight=60.0,
            envelope_weight=15.0,
            mel_weight=15.0,
            adversarial_weight=0.7,
            recognizer_weight=0.5,
            pitch_weight=0.5,
            pitch_forcing=0.5,
        ),
        crops=CropConfig(gain_db=(-6.0, 6.0)),
        open_source=WindowSource.find,
        train=TrainConfig(
            steps=5000,
            batch_size=8,
            optimizers={
                "generator": OptimizerConfig(
                    lr=2e-4, betas=(0.8, 0.99), warmup_steps=100, clip_norm=60.0
                ),
                "discriminator": OptimizerConfig(
                    lr=4e-4, betas=(0.8, 0.99), warmup_steps=0, clip_norm=10.0
                ),
            },
            sample_every=500,
            checkpoint_every=100,
        ),
    )


def small_together() -> Recipe:
    """Or, after it: `small` once more, and the acoustic codes with it.

    They move toward what the decoder makes most of; the waveform is heard when they have moved.
    Better at 100 and 50 tokens/s and worse at 25, see docs/log.md.
    """
    recipe = small()
    return replace(
        recipe,
        name="decoder/small_together",
        stage_config=replace(
            recipe.stage_config,
            trains_acoustic=True,
            vocoder_start=300,
            discriminator_start=450,
        ),
        train=replace(
            recipe.train,
            optimizers={
                **recipe.train.optimizers,
                "generator": replace(recipe.train.optimizers["generator"], lr=3e-4),
            },
        ),
    )


def large() -> Recipe:
    """`small` for a codec of `large_rates`: minutes on a GPU of 80 GB."""
    single = small()
    return replace(
        single,
        name="decoder/large",
        stage_config=replace(
            single.stage_config,
            trains_acoustic=True,
            periods=MultiPeriodDiscriminator.Config(channels=(32, 64, 128, 256, 256)),
            resolutions=MultiResolutionDiscriminator.Config(channels=(32, 64, 128, 128, 128)),
            cached_windows=4000,
        ),
        train=replace(single.train, steps=3000, batch_size=48, checkpoint_every=2000),
    )


def small_context() -> Recipe:
    """First: new acoustic codes and a context transformer, the shortest way from codes to mel."""
    recipe = small()
    return replace(
        recipe,
        name="decoder/small_context",
        stage_config=replace(
            recipe.stage_config,
            # Codes stay at their start: a transformer that cannot read yet would pull them apart.
            renews_acoustic=True,
            context_transformer=ContextTransformer.Config(width=320, num_layers=6),
            unet_start=NEVER,
            frame_weight=15.0,
            detail_weight=30.0,
            envelope_weight=0.0,
        ),
        train=replace(
            recipe.train,
            batch_size=12,
            optimizers={"default": OptimizerConfig(lr=3e-4, betas=(0.9, 0.98), warmup_steps=300)},
        ),
    )


def small_mel() -> Recipe:
    """Then: up to the mel, on the export of that, whose codes the T-UNet learns here.

    It starts at what the codes mean by themselves.
    """
    recipe = small()
    return replace(
        recipe,
        name="decoder/small_mel",
        stage_config=replace(
            recipe.stage_config,
            starts_output=True,
            vocoder_start=NEVER,
            frame_weight=15.0,
            detail_weight=30.0,
            envelope_weight=0.0,
        ),
        train=replace(
            recipe.train,
            optimizers={"default": OptimizerConfig(lr=3e-4, betas=(0.9, 0.99), warmup_steps=100)},
        ),
    )


def small_frames() -> Recipe:
    """After `small_mel`: mels that a discriminator of the vocoder's frames judges, too."""
    recipe = small_mel()
    return replace(
        recipe,
        name="decoder/small_frames",
        stage_config=replace(
            recipe.stage_config,
            starts_output=False,
            frames=FrameDiscriminator.Config(),
            discriminator_start=100,
        ),
        train=small().train,
    )


def fine_tune() -> Recipe:
    """A finished decoder for sounds of one's own: codes stay as they are, steps are small."""
    recipe = small()
    return replace(
        recipe,
        name="decoder/fine_tune",
        stage_config=replace(recipe.stage_config, discriminator_start=100),
        train=replace(
            recipe.train,
            steps=600,
            optimizers={
                name: replace(optimizer, lr=optimizer.lr / 2)
                for name, optimizer in recipe.train.optimizers.items()
            },
            sample_every=100,
        ),
    )


def fine_tune_frozen() -> Recipe:
    """`fine_tune` with the discriminators of an earlier run, which judge from the first step.

    They are given as the module `discriminators` and learn nothing more.
    """
    recipe = fine_tune()
    return replace(
        recipe,
        name="decoder/fine_tune_frozen",
        stage_config=replace(
            recipe.stage_config, discriminator_start=0, trains_discriminators=False
        ),
    )


def fine_tune_alone() -> Recipe:
    """`fine_tune` without discriminators: less time for a step, smoother sound."""
    recipe = fine_tune()
    return replace(
        recipe,
        name="decoder/fine_tune_alone",
        stage_config=replace(
            recipe.stage_config, adversarial_weight=0.0, feature_matching_weight=0.0
        ),
    )


def tiny() -> Recipe:
    """Seconds on one core, for tests: every part is there, nothing is learned."""
    return Recipe(
        name="decoder/tiny",
        stage=DecoderStage,
        stage_config=DecoderStage.Config(
            trains_acoustic=True,
            renews_acoustic=True,
            acoustic_start=1,
            piece_columns=4,
            envelope_weight=1.0,
            context_transformer=ContextTransformer.Config(width=8, num_layers=1, head_width=8),
            unet_start=1,
            vocoder_start=2,
            vocoder_frames=40,
            cached_windows=3,
            periods=MultiPeriodDiscriminator.Config(periods=(2, 3), channels=(4, 4)),
            resolutions=MultiResolutionDiscriminator.Config(
                window_lengths=(512, 256), channels=(4, 4, 4)
            ),
            mel=MultiResolutionMelLoss.Config(window_lengths=(256, 512), num_mel_bins=(20, 40)),
            stft=MultiResolutionStftLoss.Config(window_lengths=(256, 512)),
            stft_weight=1.0,
            discriminator_start=3,
        ),
        crops=CropConfig(gain_db=(-6.0, 6.0)),
        open_source=WindowSource.find,
        train=tiny_run(),
    )


RECIPES = {
    "small": small,
    "small_together": small_together,
    "large": large,
    "small_context": small_context,
    "small_mel": small_mel,
    "small_frames": small_frames,
    "fine_tune": fine_tune,
    "fine_tune_frozen": fine_tune_frozen,
    "fine_tune_alone": fine_tune_alone,
    "tiny": tiny,
}
