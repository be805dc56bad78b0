"""Strict loading of the official files: every tensor is known by name, shape and type, or refused.

    encoder.ckpt  -> AudioMAE, acoustic encoder, acoustic codebook
    decoder.ckpt  -> T-UNet, noise schedule, latent scale, VAE decoder, vocoder
    codebook.npy  -> semantic codebook

Nothing in a file is ever executed, and tensors stay mapped from disk until they are used: the
largest setting has 8 GB of weights, of which no second copy is made.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from semanticodec.checkpoints.hub import check_token_rate
from semanticodec.checkpoints.official_names import (
    UNUSED,
    UNUSED_AUDIOMAE_DECODER,
    UNUSED_UNET,
    UNUSED_VAE_ENCODER,
    decoder_names,
    encoder_names,
)
from semanticodec.checkpoints.torch_file import check_exists, read_torch_file
from semanticodec.config import CodecConfig
from semanticodec.decoder.condition import Condition
from semanticodec.decoder.decoder import Decoder
from semanticodec.decoder.schedule import Schedule
from semanticodec.decoder.unet import TUNet
from semanticodec.decoder.vae import VAEConfig, VAEEncoder
from semanticodec.encoder.acoustic_encoder import AcousticEncoder
from semanticodec.encoder.audiomae_decoder import AudioMAEDecoder
from semanticodec.encoder.encoder import Encoder
from semanticodec.encoder.semantic_quantizer import SemanticQuantizer
from semanticodec.encoder.vector_quantizer import VectorQuantizer
from semanticodec.errors import CheckpointError
from semanticodec.token_format import TokenGrid

AUDIOMAE_WIDTH = 768
LSTM_LAYERS = {25: 2, 50: 3, 100: 4}
# Inside the encoder's file the acoustic codebook has an axis in front, for several heads: one.
HEAD_AXIS = ("encoder.quantizer.cluster_size", "encoder.quantizer.embed_avg")
HEAD_AXIS += ("encoder.quantizer.embed",)
COUNTER = "unused.average.num_updates"
MAX_NAMED = 3  # names that an error message lists
# Tensors whose width tells the token rate, and what the rest of that width is.
ENCODER_WIDTH_KEY = "encoder_output_linear.weight"
DECODER_WIDTH_KEY = "model.diffusion_model.middle_block.2.transformer_blocks.0.attn2.to_k.weight"

Sizes = dict[str, tuple[tuple[int, ...], torch.dtype]]


def official_config(token_rate: int, semantic_vocab_size: int) -> CodecConfig:
    """Return the configuration of an official model.

    Args:
        token_rate: 25, 50 or 100.
        semantic_vocab_size: rows of the semantic codebook.
    Raises:
        ConfigError: no such token rate.
    """
    check_token_rate(token_rate)
    grid = TokenGrid(token_rate)
    width = grid.stack_factor * AUDIOMAE_WIDTH
    condition = Condition.Config(width=width, max_positions=grid.positions_per_window)
    context_width = condition.context_width
    return CodecConfig(
        token_rate=token_rate,
        encoder=Encoder.Config(
            stack_factor=grid.stack_factor,
            semantic=SemanticQuantizer.Config(width=width, vocab_sizes=(semantic_vocab_size,)),
            acoustic=AcousticEncoder.Config(
                width=width, hidden=2 * width, num_layers=LSTM_LAYERS[token_rate]
            ),
            quantizer=VectorQuantizer.Config(width=width),
        ),
        decoder=Decoder.Config(condition=condition, unet=TUNet.Config(context_width=context_width)),
    )


def load_official(
    encoder: str | os.PathLike[str],
    decoder: str | os.PathLike[str],
    codebook: str | os.PathLike[str],
    token_rate: int,
) -> tuple[CodecConfig, dict[str, Tensor]]:
    """Return configuration and state dict of the codec from the three official files.

    Args:
        encoder: `encoder.ckpt`.
        decoder: `decoder.ckpt`.
        codebook: the `.npy` of the semantic codebook; its rows tell the vocabulary size.
        token_rate: 25, 50 or 100; all files must be of this rate.
    Returns:
        Configuration, and float32 tensors under the names of `SemantiCodec`, mapped from disk.
    Raises:
        CheckpointError: a file that is missing, damaged, unsafe, or of another model.
        ConfigError: no such token rate.
    """
    centroids = read_codebook(codebook, token_rate)
    config = official_config(token_rate, len(centroids))
    state = convert_encoder(read_checkpoint(encoder), token_rate, str(encoder))
    state |= convert_decoder(read_checkpoint(decoder), token_rate, str(decoder))
    state[f"encoder.semantic.codebook_{len(centroids)}"] = centroids
    return config, state


def load_vae_encoder(decoder: str | os.PathLike[str], token_rate: int) -> VAEEncoder:
    """Return the encoder half of the official VAE, which training needs and the codec does not.

    Args:
        decoder: `decoder.ckpt`.
        token_rate: the rate of that file.
    Raises:
        CheckpointError: as `load_official`.
    """
    renamed = _convert(
        read_checkpoint(decoder), decoder_names(), _decoder_sizes(token_rate), str(decoder)
    )
    with torch.device("meta"):
        vae_encoder = VAEEncoder(VAEConfig())
    prefix = UNUSED_VAE_ENCODER
    state = {key[len(prefix) :]: value for key, value in renamed.items() if key.startswith(prefix)}
    vae_encoder.load_state_dict(state, assign=True)
    return vae_encoder


def convert_encoder(
    state: dict[str, Tensor], token_rate: int, source: str = "the encoder checkpoint"
) -> dict[str, Tensor]:
    """Return the tensors of `encoder.ckpt` that the codec uses, under its own names.

    Args:
        state: all tensors of the file.
        token_rate: 25, 50 or 100.
        source: name of the file in error messages.
    Raises:
        CheckpointError: an unknown or missing tensor, a wrong shape or type, another rate's file.
    """
    _check_kind(state, "encoder", token_rate, source)
    names = encoder_names(LSTM_LAYERS[token_rate])
    renamed = _convert(state, names, _encoder_sizes(token_rate), source)
    used = {key: value for key, value in renamed.items() if not key.startswith(UNUSED)}
    return {key: value[0] if key in HEAD_AXIS else value for key, value in used.items()}


def convert_decoder(
    state: dict[str, Tensor], token_rate: int, source: str = "the decoder checkpoint"
) -> dict[str, Tensor]:
    """Return the tensors of `decoder.ckpt` that the codec uses, under its own names.

    The raw T-UNet weights are used and their moving average is not, as in the release. Schedule
    and latent scale are what the file says, whatever a configuration would compute.

    Args:
        state: all tensors of the file.
        token_rate: 25, 50 or 100.
        source: name of the file in error messages.
    Raises:
        CheckpointError: an unknown or missing tensor, a wrong shape or type, another rate's file.
    """
    _check_kind(state, "decoder", token_rate, source)
    renamed = _convert(state, decoder_names(), _decoder_sizes(token_rate), source)
    scale = renamed["decoder.latent_scale"].item()
    if not 0 < scale < float("inf"):
        raise CheckpointError(f"{source} has a latent scale_factor of {scale}; download it again")
    return {key: value for key, value in renamed.items() if not key.startswith(UNUSED)}


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Return the tensors of a PyTorch file without running anything in it.

    Args:
        path: a file written by `torch.save`: a flat state dict, or one under "state_dict".
    Raises:
        CheckpointError: missing, truncated, not a PyTorch file, or holding more than tensors.
    """
    file = Path(path)
    content = read_torch_file(file)
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not content:
        raise CheckpointError(
            f"{file} holds {type(content).__name__}, not named tensors; give the release's file"
        )
    odd = [key for key, value in content.items() if not _is_plain_tensor(key, value)]
    if odd:
        raise CheckpointError(
            f"{file} holds {len(odd)} entries that are no plain tensors, first {_listed(odd)}; "
            "give the file of the release"
        )
    return {key: value.detach() for key, value in content.items()}


def read_codebook(path: str | os.PathLike[str], token_rate: int) -> Float[Tensor, "K D"]:
    """Return a semantic codebook, float32 and 768 · stack factor wide, mapped from disk.

    Args:
        path: the `.npy` file.
        token_rate: 25, 50 or 100; tells the stack factor.
    Raises:
        CheckpointError: missing, damaged, pickled, or of a wrong shape or type.
        ConfigError: no such token rate.
    """
    width = official_config(token_rate, 1).encoder.width
    file = Path(path)
    check_exists(file)
    try:
        # Copy on write: torch wants memory that it may write to, the file stays as it is.
        array = np.load(file, mmap_mode="c", allow_pickle=False)
    except Exception as error:  # the reader of a hostile or damaged file may fail in any way
        raise CheckpointError(
            f"{file} is damaged or no plain .npy array ({error}); download it again"
        ) from error
    if not isinstance(array, np.ndarray):
        raise CheckpointError(f"{file} is an archive of arrays; give a single .npy array")
    if array.ndim != 2 or array.dtype != np.float32:
        raise CheckpointError(
            f"{file} holds {array.dtype} of shape {array.shape}; a semantic codebook is float32 "
            f"[vocabulary, {width}]"
        )
    rows, columns = array.shape
    if columns != width:
        stack_factor = columns / AUDIOMAE_WIDTH
        hint = (
            f"; it belongs to token_rate {100 / stack_factor:g}"
            if stack_factor in (1, 2, 4)
            else ""
        )
        raise CheckpointError(
            f"{file} has rows of {columns}, a codebook for {token_rate} tokens per second has "
            f"{width}{hint}"
        )
    if rows < 2 or rows & (rows - 1):
        raise CheckpointError(
            f"{file} has {rows} rows; a semantic vocabulary is a power of two (4096 to 32768)"
        )
    return torch.from_numpy(np.ascontiguousarray(array))


def _is_plain_tensor(key: Any, value: Any) -> bool:
    return (
        isinstance(key, str)
        and isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
    )


def _listed(names: list[Any]) -> str:
    return ", ".join(str(name) for name in names[:MAX_NAMED])


def _check_kind(state: dict[str, Tensor], module: str, token_rate: int, source: str) -> None:
    """Refuse the other module's file and another rate's with a sentence of their own."""
    official_config(token_rate, 1)
    widths = {
        "encoder": (ENCODER_WIDTH_KEY, 0, 0, AUDIOMAE_WIDTH),
        "decoder": (DECODER_WIDTH_KEY, 1, 192, 2 * AUDIOMAE_WIDTH),
    }
    for other, (key, axis, rest, unit) in widths.items():
        if key not in state or state[key].ndim != 2:
            continue
        if other != module:
            raise CheckpointError(
                f"{source} is a {other} checkpoint, given as the {module}; exchange the two paths"
            )
        stack_factor = (state[key].shape[axis] - rest) / unit
        if stack_factor in (1, 2, 4) and stack_factor != TokenGrid(token_rate).stack_factor:
            raise CheckpointError(
                f"{source} is for {100 / stack_factor:g} tokens per second, not {token_rate}; "
                f"pass token_rate={100 / stack_factor:g} or the file of that rate"
            )


def _convert(
    state: dict[str, Tensor], names: dict[str, str], sizes: Sizes, source: str
) -> dict[str, Tensor]:
    """Return all tensors under our names, if they are exactly the expected ones."""

    def refuse(what: str, keys: list[str], describe: Callable[[str], str] = str) -> None:
        if keys:
            raise CheckpointError(
                f"{source} does not fit the official model: {what} {len(keys)} tensors, first "
                f"{_listed([describe(key) for key in keys])}; use the unchanged file of the release"
            )

    def has_shape(key: str) -> str:
        return f"{key} {list(state[key].shape)} instead of {list(sizes[names[key]][0])}"

    def has_type(key: str) -> str:
        return f"{key} {state[key].dtype} instead of {sizes[names[key]][1]}"

    refuse("it lacks", [key for key in names if key not in state])
    refuse("it has unknown", [key for key in state if key not in names])
    shapes = [key for key, name in names.items() if tuple(state[key].shape) != sizes[name][0]]
    refuse("it has a wrong shape of", shapes, has_shape)
    dtypes = [key for key, name in names.items() if state[key].dtype != sizes[name][1]]
    refuse("it has a wrong type of", dtypes, has_type)
    return {name: state[key] for key, name in names.items()}


@cache
def _encoder_sizes(token_rate: int) -> Sizes:
    config = official_config(token_rate, 1)
    with torch.device("meta"):
        encoder = Encoder(config.encoder)
        audiomae_decoder = AudioMAEDecoder(AudioMAEDecoder.Config())
    sizes = _sizes("encoder.", encoder) | _sizes(UNUSED_AUDIOMAE_DECODER, audiomae_decoder)
    for name in HEAD_AXIS:
        sizes[name] = ((1, *sizes[name][0]), torch.float32)
    return sizes


@cache
def _decoder_sizes(token_rate: int) -> Sizes:
    config = official_config(token_rate, 1).decoder
    with torch.device("meta"):
        decoder, vae_encoder = Decoder(config), VAEEncoder(config.vae)
    sizes = _sizes("decoder.", decoder) | _sizes(UNUSED_VAE_ENCODER, vae_encoder)
    sizes |= _sizes(UNUSED_UNET, decoder.unet)
    for name in decoder_names().values():
        if name.startswith("unused.schedule.") or name == "unused.log_variance":
            sizes[name] = ((Schedule.Config().num_timesteps,), torch.float32)
    sizes["unused.average.decay"] = ((), torch.float32)
    sizes[COUNTER] = ((), torch.int32)
    return sizes


def _sizes(prefix: str, module: torch.nn.Module) -> Sizes:
    return {
        prefix + key: (tuple(value.shape), value.dtype)
        for key, value in module.state_dict().items()
    }
