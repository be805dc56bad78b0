"""A finished codec as the decoder stage takes it: read, and given more to learn with.

model folder -> settings, encoder and decoder of every token rate
acoustic encoder and condition that know the mel and start anew, T-UNet for a wider context
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from semanticodec.audio.mel import NUM_MEL_BINS
from semanticodec.checkpoints.index import read_index
from semanticodec.checkpoints.pretrained import read_setting, read_weights
from semanticodec.checkpoints.trained_module import (
    load_codebooks,
    load_domain_entries,
    load_vocoder,
)
from semanticodec.config import CodecConfig
from semanticodec.decoder.condition import Condition
from semanticodec.decoder.context_transformer import ContextTransformer
from semanticodec.decoder.decoder import Decoder
from semanticodec.decoder.unet import TUNet
from semanticodec.decoder.vocoder import Vocoder
from semanticodec.decoder.vocoders import make_vocoder
from semanticodec.encoder.acoustic_encoder import AcousticEncoder
from semanticodec.encoder.audiomae import AudioMAE
from semanticodec.encoder.encoder import Encoder
from semanticodec.encoder.vector_quantizer import VectorQuantizer
from semanticodec.errors import CheckpointError, ConfigError
from semanticodec.token_format import TokenGrid
from semanticodec.training.acoustic_start import NUM_AXES
from semanticodec.training.stages.codec_config import told_of

# The codebook's memory, in batches: of a small batch there are too few vectors per code, which
# would learn them by heart.
CODE_DECAY = 0.997
ACOUSTIC_HIDDEN = 64


class FinishedCodec(NamedTuple):
    """A codec of one token rate with its weights."""

    config: CodecConfig
    encoder: Encoder
    decoder: Decoder


def read_codecs(folder: Path) -> list[FinishedCodec]:
    """Return the codec at every token rate of a model folder.

    Raises:
        CheckpointError: it cannot be read.
        ConfigError: the token rates have T-UNets of their own.
    """
    codecs = [_read_codec(folder, int(rate)) for rate in read_index(folder)["token_rates"]]
    _check_decoders([codec.decoder for codec in codecs])
    return codecs


def _read_codec(folder: Path, token_rate: int) -> FinishedCodec:
    config, files = read_setting(folder, token_rate)
    weights = read_weights(files, config)
    encoder, decoder = Encoder(config.encoder), Decoder(config.decoder)
    load_part(encoder, weights, "encoder.", folder)
    load_part(decoder, weights, "decoder.", folder)
    return FinishedCodec(config, encoder, decoder)


def load_part(module: nn.Module, weights: Mapping[str, Tensor], prefix: str, folder: Path) -> None:
    """Copy the weights under a prefix into a module that needs all of its own."""
    own = module.state_dict()
    unfit = [
        name
        for name, tensor in own.items()
        if prefix + name not in weights or weights[prefix + name].shape != tensor.shape
    ]
    if unfit:
        raise CheckpointError(
            f"{folder} holds a codec of other sizes: {len(unfit)} tensors are missing or differ, "
            f"first {', '.join(unfit[:3])}. Use the recipe that it was trained with."
        )
    module.load_state_dict({name: weights[prefix + name] for name in own})


def _check_decoders(decoders: Sequence[Decoder]) -> None:
    """Refuse rates that have decoders of their own: one is trained for all."""
    first = decoders[0].unet.state_dict()
    for other in decoders[1:]:
        weights = other.unet.state_dict()
        if weights.keys() != first.keys() or any(
            not torch.equal(first[name], weights[name]) for name in first
        ):
            raise ConfigError(
                "The token rates of this codec have T-UNets of their own; the decoder stage "
                "trains one for all. Give a model of one rate, or one trained by small_rates."
            )


def with_semantics(codec: FinishedCodec, audiomae: AudioMAE, codebook: Path) -> FinishedCodec:
    """Return the codec with another AudioMAE and semantic codebooks of its features.

    Args:
        codec: the codec; its acoustic codes have no meaning afterwards.
        audiomae: the network, with features of the same width.
        codebook: export of the codebooks.
    Raises:
        CheckpointError: they do not fit each other.
    """
    config = codec.config.encoder
    codebooks = load_codebooks(
        codebook,
        width=config.stack_factor * audiomae.config.width,
        stack_factor=config.stack_factor,
    )
    if config.semantic.width != config.stack_factor * audiomae.config.width:
        raise CheckpointError(
            f"The codec is built for features {config.semantic.width // config.stack_factor} wide, "
            f"this AudioMAE has {audiomae.config.width}. Train a codec on it instead."
        )
    semantic = dataclasses.replace(
        config.semantic,
        vocab_sizes=tuple(codebooks),
        domain_entries=load_domain_entries(codebook),
    )
    encoder = Encoder(dataclasses.replace(config, audiomae=audiomae.config, semantic=semantic))
    encoder.audiomae.load_state_dict(audiomae.state_dict())
    for size, centroids in codebooks.items():
        encoder.semantic.codebook(size).copy_(centroids)
    return codec._replace(
        config=dataclasses.replace(codec.config, encoder=encoder.config), encoder=encoder
    )


def trainable_vocoder(path: Path) -> Vocoder:
    """Return an exported vocoder as training needs it: not frozen, nor prepared for speed."""
    frozen = load_vocoder(path)
    vocoder = make_vocoder(frozen.config)
    vocoder.load_state_dict(frozen.state_dict())
    return vocoder


@torch.no_grad()
def with_sight_of_mel(encoder: Encoder) -> Encoder:
    """Return an encoder with the same semantic codes, whose acoustic part sees the mel.

    It is untrained, codebook included.
    """
    config = encoder.config
    _, bands = TokenGrid.from_stack_factor(config.stack_factor).block
    acoustic = dataclasses.replace(
        config.acoustic,
        is_residual=True,
        num_mel_bins=NUM_MEL_BINS,
        stack_factor=config.stack_factor,
        num_bands=config.audiomae.num_bands // bands,
        num_axes=NUM_AXES,
        # It joins in late and finds little: most is told by one position's mel.
        hidden=min(ACOUSTIC_HIDDEN, config.acoustic.hidden),
        num_layers=1,
    )
    quantizer = config.quantizer
    if isinstance(quantizer, VectorQuantizer.Config) and quantizer.code_width is not None:
        code_width = min(NUM_AXES, config.acoustic.width)
        quantizer = dataclasses.replace(quantizer, code_width=code_width, decay=CODE_DECAY)
    new = Encoder(dataclasses.replace(config, acoustic=acoustic, quantizer=quantizer))
    new.semantic.load_state_dict(encoder.semantic.state_dict())
    return new


def with_told(condition: Condition, acoustic: AcousticEncoder.Config) -> Condition:
    """Return a condition that is told of the mel, too; untrained.

    Args:
        condition: the condition.
        acoustic: the acoustic encoder, which sees the mel.
    """
    config = condition.config
    return Condition(dataclasses.replace(config, told=told_of(acoustic, config.unstacks)))


@torch.no_grad()
def with_context(
    unet: TUNet, context_width: int, transformer: ContextTransformer.Config | None
) -> TUNet:
    """Return the same T-UNet for a wider context, whose new part has no weight yet.

    Args:
        unet: the network.
        context_width: width of the context; what is new comes last.
        transformer: sizes of a context transformer that it is given; None leaves it as it is.
    Raises:
        ConfigError: it has one.
    """
    config = unet.config
    if transformer is not None and config.context_transformer is not None:
        raise ConfigError(
            "The T-UNet of this model has a context transformer. Leave context_transformer out of "
            "the settings of the training."
        )
    new = TUNet(
        dataclasses.replace(
            config,
            context_width=context_width,
            context_transformer=transformer or config.context_transformer,
        )
    )
    untrained = copy.deepcopy(new.context_transformer)
    _widen(new, unet)
    if transformer is not None:
        new.context_transformer = untrained
    return new


def _widen(new: nn.Module, old: nn.Module) -> None:
    """Copy the weights of a module into the first rows and columns of a wider one's."""
    weights = old.state_dict()
    for name, weight in new.named_parameters():
        weight.zero_()
        if name in weights:
            rows = weights[name]
            weight[tuple(slice(size) for size in rows.shape)] = rows
