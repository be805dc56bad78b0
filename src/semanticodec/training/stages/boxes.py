"""Reads the exports of finished boxes, for the stages that build on them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from jaxtyping import Float
from torch import Tensor, nn

from semanticodec.config import config_from_dict
from semanticodec.decoder.vae import VAE
from semanticodec.decoder.vocoder import VOCODERS, make_vocoder
from semanticodec.encoder.audiomae import AudioMAE
from semanticodec.encoder.semantic_quantizer import BUFFER_PREFIX
from semanticodec.errors import CheckpointError, ConfigError
from semanticodec.training.stages.vae import load_vae
from semanticodec.training.state import load_export

CODEBOOK_BOX = "codebook"
CODEC_BOXES = ("audiomae", "vae", "vocoder", CODEBOOK_BOX)

Box = TypeVar("Box", bound=nn.Module)


class FrozenBoxes(NamedTuple):
    """The finished boxes that a codec is built on, frozen and in evaluation mode.

    Attributes:
        codebooks: semantic centroids by vocabulary size, ascending.
        digests: short names of the weights of AudioMAE and VAE, whose results are cached.
    """

    audiomae: AudioMAE
    codebooks: Mapping[int, Float[Tensor, "K D"]]
    vae: VAE
    vocoder: nn.Module
    digests: Mapping[str, str]


def load_boxes(folders: Mapping[str, Path], stack_factor: int) -> FrozenBoxes:
    """Read the exports of AudioMAE, codebook, VAE and vocoder.

    Raises:
        ConfigError: One of them is missing, or another was given.
        CheckpointError: One cannot be read, or does not fit the others.
    """
    if set(folders) != set(CODEC_BOXES):
        missing = [name for name in CODEC_BOXES if name not in folders]
        unknown = [name for name in folders if name not in CODEC_BOXES]
        raise ConfigError(
            f"The codec needs the boxes {', '.join(CODEC_BOXES)}; missing: "
            f"{', '.join(missing) or 'none'}, unknown: {', '.join(unknown) or 'none'}. Add "
            "--box NAME=RUN/export for each."
        )
    audiomae = load_audiomae(folders["audiomae"])
    width = stack_factor * audiomae.config.width
    return FrozenBoxes(
        audiomae=audiomae,
        codebooks=load_codebooks(folders[CODEBOOK_BOX], width=width, stack_factor=stack_factor),
        vae=load_vae(folders["vae"])[0],
        vocoder=load_vocoder(folders["vocoder"]),
        digests={name: _digest(folders[name]) for name in ("audiomae", "vae")},
    )


def _digest(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()[:16]


def load_audiomae(folder: Path) -> AudioMAE:
    """Read an export of AudioMAE, frozen and in evaluation mode.

    Raises:
        CheckpointError: The folder holds no (or a damaged) export of AudioMAE.
    """
    config, weights = load_export(folder, "audiomae")
    audiomae = AudioMAE(config_from_dict(AudioMAE.Config, config, f"{folder}/config.json"))
    return _frozen(audiomae, weights, folder)


def _frozen(box: Box, weights: Mapping[str, Tensor], folder: Path) -> Box:
    """Return the box with its weights, frozen and in evaluation mode."""
    try:
        box.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(f"{folder}: weights and config.json differ ({error}).") from error
    return box.requires_grad_(False).eval()


def load_codebooks(
    folder: Path, *, width: int, stack_factor: int
) -> dict[int, Float[Tensor, "K D"]]:
    """Read an export of the semantic codebooks.

    Args:
        folder: of the export.
        width: of the stacked features that the codebooks must fit.
        stack_factor: K that they must be made for.
    Returns:
        Centroids by vocabulary size, ascending.
    Raises:
        CheckpointError: No such export, or one for other features.
    """
    config, weights = load_export(folder, CODEBOOK_BOX)
    if (config.get("width"), config.get("stack_factor")) != (width, stack_factor):
        raise CheckpointError(
            f"The codebooks in {folder} are for features {config.get('width')} wide with stack "
            f"factor {config.get('stack_factor')}, but {width} and {stack_factor} are needed. "
            "Cluster again with the same AudioMAE and stack factor."
        )
    sizes = sorted(int(name.removeprefix(BUFFER_PREFIX)) for name in weights)
    return {size: weights[f"{BUFFER_PREFIX}{size}"] for size in sizes}


def load_vocoder(folder: Path) -> nn.Module:
    """Read an exported vocoder of either class, frozen and in evaluation mode.

    Raises:
        CheckpointError: The folder holds no (or a damaged) export of a vocoder.
    """
    try:
        name = json.loads((folder / "config.json").read_text(encoding="utf-8"))["box"]
    except (OSError, ValueError, KeyError, TypeError):
        # load_export says what is wrong with the folder.
        name = "vocos"
    if name not in VOCODERS:
        raise CheckpointError(
            f"{folder} holds the box {name!r}, not a vocoder. Give the export of a run of "
            "`semanticodec train vocoder`."
        )
    values, weights = load_export(folder, name)
    config = config_from_dict(VOCODERS[name].Config, values, f"{folder}/config.json")
    return _frozen(make_vocoder(config), weights, folder)
