"""The configuration of a codec that is trained: what the frozen boxes and the stage decide."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from semanticodec.config import CodecConfig
from semanticodec.decoder.condition import Condition
from semanticodec.decoder.decoder import LATENT_BINS, LATENT_FRAMES, Decoder
from semanticodec.decoder.preconditioning import Preconditioning
from semanticodec.encoder.acoustic_encoder import AcousticEncoder
from semanticodec.encoder.encoder import Encoder
from semanticodec.encoder.semantic_quantizer import SemanticQuantizer
from semanticodec.layers.stacking import BLOCKS, NUM_BANDS, positions_per_window

if TYPE_CHECKING:
    from semanticodec.training.stages.codec import CodecStage
    from semanticodec.training.stages.modules import FrozenModules


def complete_config(config: CodecStage.Config, boxes: FrozenModules) -> CodecConfig:
    """Return the codec's configuration: the frozen boxes' own, the stage's, and what follows."""
    stack_factor = config.stack_factor
    width = stack_factor * boxes.audiomae.config.width
    num_positions = positions_per_window(stack_factor)
    unstacks = stack_factor if config.unstacks_condition else 1
    num_rows = num_positions * unstacks
    _, bands = BLOCKS[stack_factor // unstacks]
    unet = dataclasses.replace(
        config.unet,
        in_channels=boxes.vae.config.latent_channels,
        context_width=2 * width // unstacks + config.position_width,
        latent_frames=LATENT_FRAMES,
        latent_bins=LATENT_BINS,
        aligned_grid=(num_rows * bands // NUM_BANDS, NUM_BANDS // bands),
    )
    encoder = Encoder.Config(
        audiomae=boxes.audiomae.config,
        stack_factor=stack_factor,
        semantic=SemanticQuantizer.Config(width=width, vocab_sizes=tuple(boxes.codebooks)),
        acoustic=AcousticEncoder.Config(
            width=width,
            hidden=config.acoustic_hidden or 2 * width,
            num_layers=config.acoustic_layers,
            bidirectional=config.is_acoustic_bidirectional,
            is_residual=config.is_acoustic_residual,
        ),
        quantizer=dataclasses.replace(config.quantizer, width=width),
    )
    decoder = Decoder.Config(
        condition=Condition.Config(
            width=width // unstacks,
            position_width=config.position_width,
            max_positions=num_rows,
            unstacks=unstacks,
        ),
        unet=unet,
        schedule=config.schedule,
        preconditioning=_preconditioning(config, boxes),
        vae=boxes.vae.config,
        vocoder=boxes.vocoder.config,
        sampling=config.sampling,
    )
    return CodecConfig(
        token_rate=100 // stack_factor,
        encoder=encoder,
        decoder=decoder,
        pads_windows=config.pads_windows,
    )


def _preconditioning(
    config: CodecStage.Config, boxes: FrozenModules
) -> Preconditioning.Config | None:
    if not config.is_preconditioned:
        return None
    channels = boxes.vae.config.latent_channels
    return Preconditioning.Config(latent_channels=channels, latent_bins=LATENT_BINS)
