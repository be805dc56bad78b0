"""The finished modules that a codec is built on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from semanticodec.checkpoints.trained_module import (
    CODEBOOK,
    load_audiomae,
    load_codebooks,
    load_vae,
    load_vocoder,
    module_digest,
)
from semanticodec.decoder.vae import VAE
from semanticodec.decoder.vocoder import Vocoder
from semanticodec.encoder.audiomae import AudioMAE
from semanticodec.errors import ConfigError

CODEC_MODULES = ("audiomae", "vae", "vocoder", CODEBOOK)


class FrozenModules(NamedTuple):
    """Everything that is trained before the codec, frozen and in evaluation mode.

    Attributes:
        codebooks: semantic centroids by vocabulary size, ascending.
        digests: short names of the weights of AudioMAE and VAE, whose results are cached.
    """

    audiomae: AudioMAE
    codebooks: Mapping[int, Float[Tensor, "K D"]]
    vae: VAE
    vocoder: Vocoder
    digests: Mapping[str, str]


def load_modules(folders: Mapping[str, Path], stack_factor: int) -> FrozenModules:
    """Read the exports of AudioMAE, codebook, VAE and vocoder.

    Raises:
        ConfigError: One of them is missing, or another was given.
        CheckpointError: One cannot be read, or does not fit the others.
    """
    if set(folders) != set(CODEC_MODULES):
        missing = [name for name in CODEC_MODULES if name not in folders]
        unknown = [name for name in folders if name not in CODEC_MODULES]
        raise ConfigError(
            f"The codec needs the modules {', '.join(CODEC_MODULES)}; missing: "
            f"{', '.join(missing) or 'none'}, unknown: {', '.join(unknown) or 'none'}. Add "
            "--module NAME=RUN/export for each."
        )
    audiomae = load_audiomae(folders["audiomae"])
    width = stack_factor * audiomae.config.width
    return FrozenModules(
        audiomae=audiomae,
        codebooks=load_codebooks(folders[CODEBOOK], width=width, stack_factor=stack_factor),
        vae=load_vae(folders["vae"]),
        vocoder=load_vocoder(folders["vocoder"]),
        digests={name: module_digest(folders[name]) for name in ("audiomae", "vae")},
    )
