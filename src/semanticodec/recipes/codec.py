"""Runs that train the codec on frozen modules."""

from __future__ import annotations

from dataclasses import replace

from semanticodec.decoder.decoder import SamplingConfig
from semanticodec.decoder.schedule import Schedule
from semanticodec.decoder.unet import TUNet
from semanticodec.encoder.finite_scalar_quantizer import FiniteScalarQuantizer
from semanticodec.encoder.quantizer import QuantizerConfig
from semanticodec.encoder.vector_quantizer import VectorQuantizer
from semanticodec.recipes.loops import paper_run, tiny_run
from semanticodec.token_format import TokenGrid
from semanticodec.training.data import CropConfig
from semanticodec.training.optimizer import OptimizerConfig
from semanticodec.training.stages.codec import CodecStage
from semanticodec.training.train import Recipe
from semanticodec.training.trainer import TrainConfig
from semanticodec.training.windows import WindowSource

# Layers of the acoustic encoder by stack factor, as the release has them.
PAPER_LAYERS = {1: 4, 2: 3, 4: 2}


def small() -> Recipe:
    """One rate at the built-in model's size: hours on two CPU cores, frozen modules cached."""
    return Recipe(
        name="codec/small",
        stage=CodecStage,
        stage_config=CodecStage.Config(
            acoustic_hidden=256,
            acoustic_layers=2,
            is_acoustic_residual=True,
            quantizer=VectorQuantizer.Config(
                codebook_size=8192,
                decay=0.99,
                commitment_weight=0.25,
                initialize_from_data=True,
                revival_threshold=0.05,
            ),
            position_width=64,
            unet=TUNet.Config(
                base_channels=32,
                channel_multipliers=(1, 2, 3, 4),
                num_res_blocks=1,
                # Attention over the 1024 cells of level 1 would double the time of a step.
                attention_levels=(2, 3),
                frequency_positions=True,
                aligned_condition=True,
                aligned_cells=True,
            ),
            is_preconditioned=True,
            pads_windows=False,
            sampling=SamplingConfig(num_steps=4, guidance_scale=1.0, eta=0.0, timestep_shift=12.0),
            timestep_shift=12.0,
            cached_windows=3000,
            joined_share=0.5,
        ),
        crops=CropConfig(gain_db=(-6.0, 6.0)),
        open_source=WindowSource.find,
        train=TrainConfig(
            steps=20_000,
            batch_size=8,
            optimizers={"default": OptimizerConfig(lr=1e-3, warmup_steps=200)},
            sample_every=500,
            checkpoint_every=250,
        ),
    )


def small_rates() -> Recipe:
    """The built-in model: `small` at 100, 50 and 25 tokens per second with one T-UNet."""
    single = small()
    config = single.stage_config
    stage_config = replace(
        config,
        stack_factors=(1, 2, 4),
        quantizer=replace(
            config.quantizer,
            code_width=32,
            decay=0.98,
            revival_threshold=0.1,
            commitment_weight=0.01,
        ),
        acoustic_start=500,
        is_code_space_fixed=True,
        unstacks_condition=True,
        unquantized_share=0.1,
        sampling=replace(config.sampling, num_steps=2, timestep_shift=20.0),
    )
    return replace(single, name="codec/small_rates", stage_config=stage_config)


def large_rates() -> Recipe:
    """`small_rates` with a T-UNet three times as wide: minutes on a GPU of 80 GB.

    For the modules named `large`; the acoustic encoders see the patches.
    """
    single = small_rates()
    config = single.stage_config
    return replace(
        single,
        name="codec/large_rates",
        stage_config=replace(
            config,
            sees_mel=True,
            acoustic_start=100,
            unet=replace(config.unet, base_channels=96),
            cached_windows=4000,
        ),
        train=replace(
            single.train,
            steps=3000,
            batch_size=64,
            optimizers={"default": OptimizerConfig(lr=5e-4, warmup_steps=50)},
            checkpoint_every=2000,
        ),
    )


def small_fsq() -> Recipe:
    """`small` with a finite scalar quantizer of about as many codes (8000)."""
    return _with_quantizer(
        small(), "small_fsq", FiniteScalarQuantizer.Config(levels=(8, 8, 5, 5, 5))
    )


def _with_quantizer(recipe: Recipe, name: str, quantizer: QuantizerConfig) -> Recipe:
    stage_config = replace(recipe.stage_config, quantizer=quantizer)
    return replace(recipe, name=f"codec/{name}", stage_config=stage_config)


def _paper(stack_factor: int) -> Recipe:
    """The paper's settings (Sec. IV-D) for one stack factor, for GPUs."""
    return Recipe(
        name=f"codec/paper_{TokenGrid.from_stack_factor(stack_factor).token_rate}",
        stage=CodecStage,
        stage_config=CodecStage.Config(
            stack_factors=(stack_factor,),
            acoustic_layers=PAPER_LAYERS[stack_factor],
            schedule=Schedule.Config(kind="cosine"),
            sampling=SamplingConfig(timestep_shift=1.0),
        ),
        crops=CropConfig(),
        open_source=WindowSource.find,
        train=paper_run(
            steps=500_000,
            batch_size=48,
            optimizers={
                "default": OptimizerConfig(lr=1e-4, warmup_steps=5000, schedule="constant")
            },
        ),
    )


def paper_100() -> Recipe:
    """100 tokens per second, K = 1."""
    return _paper(1)


def paper_50() -> Recipe:
    """50 tokens per second, K = 2."""
    return _paper(2)


def paper_25() -> Recipe:
    """25 tokens per second, K = 4."""
    return _paper(4)


def _tiny(name: str, *, stack_factor: int, cached_windows: int) -> Recipe:
    return Recipe(
        name=f"codec/{name}",
        stage=CodecStage,
        stage_config=CodecStage.Config(
            stack_factors=(stack_factor,),
            acoustic_hidden=8,
            acoustic_layers=1,
            quantizer=VectorQuantizer.Config(
                codebook_size=16,
                code_width=4,
                l2_normalize=True,
                initialize_from_data=True,
                revival_threshold=0.03,
                entropy_weight=0.02,
                entropy_positions=8,
            ),
            position_width=8,
            unet=TUNet.Config(
                base_channels=8,
                channel_multipliers=(1, 1, 1, 1),
                num_res_blocks=1,
                attention_levels=(2, 3),
                head_width=4,
                num_groups=4,
                frequency_positions=True,
                aligned_condition=True,
                aligned_cells=True,
            ),
            is_preconditioned=True,
            pads_windows=False,
            sampling=SamplingConfig(num_steps=2, guidance_scale=1.0, eta=0.0, timestep_shift=12.0),
            timestep_shift=12.0,
            cached_windows=cached_windows,
            joined_share=0.5,
        ),
        crops=CropConfig(gain_db=(-6.0, 6.0)),
        open_source=WindowSource.find,
        train=tiny_run(sample_every=4),
    )


def tiny() -> Recipe:
    """Seconds on one core, for tests: every part is there, nothing is learned."""
    return _tiny("tiny", stack_factor=1, cached_windows=5)


def tiny_rates() -> Recipe:
    """`tiny` at three rates with one T-UNet."""
    single = tiny()
    config = single.stage_config
    stage_config = replace(
        config,
        stack_factors=(1, 2, 4),
        quantizer=replace(config.quantizer, l2_normalize=False),
        acoustic_start=2,
        is_code_space_fixed=True,
        unstacks_condition=True,
        unquantized_share=0.5,
    )
    return replace(single, name="codec/tiny_rates", stage_config=stage_config)


def tiny_50() -> Recipe:
    """`tiny` at 50 tokens per second, with the frozen modules inside the step."""
    return _tiny("tiny_50", stack_factor=2, cached_windows=0)


def tiny_fsq() -> Recipe:
    """`tiny` with a finite scalar quantizer."""
    return _with_quantizer(tiny(), "tiny_fsq", FiniteScalarQuantizer.Config(levels=(4, 3, 2)))


RECIPES = {
    "small": small,
    "small_rates": small_rates,
    "large_rates": large_rates,
    "small_fsq": small_fsq,
    "paper_100": paper_100,
    "paper_50": paper_50,
    "paper_25": paper_25,
    "tiny": tiny,
    "tiny_50": tiny_50,
    "tiny_rates": tiny_rates,
    "tiny_fsq": tiny_fsq,
}
