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
    load_domain_entries,
    load_vae,
    load_vocoder,
    module_digest,
)
from semanticodec.decoder.vae import VAE
from semanticodec.decoder.vocoder import Vocoder
from semanticodec.encoder.audiomae import AudioMAE
from semanticodec.errors import ConfigError
from semanticodec.token_format import TokenGrid

SHARED_MODULES = ("audiomae", "vae", "vocoder")


class FrozenModules(NamedTuple):
    """Everything that is trained before the codec, frozen and in evaluation mode.

    Attributes:
        codebooks: semantic centroids by stack factor and vocabulary size, ascending.
        domain_entries: by stack factor, which of them came from which domain, see
            `SemanticQuantizer.Config`.
        digests: short names of the weights of AudioMAE and VAE, whose results are cached.
    """

    audiomae: AudioMAE
    codebooks: Mapping[int, Mapping[int, Float[Tensor, "K D"]]]
    domain_entries: Mapping[int, tuple[tuple[int, tuple[tuple[str, int], ...]], ...]]
    vae: VAE
    vocoder: Vocoder
    digests: Mapping[str, str]


def load_modules(
    folders: Mapping[str, Path], stack_factors: tuple[int, ...] = (1,)
) -> FrozenModules:
    """Read the exports of AudioMAE, VAE, vocoder and a codebook for every token rate.

    Args:
        folders: exports by name; `codebook` for one token rate, `codebook_100`, `codebook_50`
            and so on for several.
        stack_factors: K of every token rate.
    Raises:
        ConfigError: one of them is missing, or another was given.
        CheckpointError: one cannot be read, or does not fit the others.
    """
    names = codebook_names(folders, stack_factors)
    needed = [*SHARED_MODULES, *names.values()]
    if set(folders) != set(needed):
        missing = [name for name in needed if name not in folders]
        unknown = [name for name in folders if name not in needed]
        raise ConfigError(
            f"The codec needs the modules {', '.join(needed)}; missing: "
            f"{', '.join(missing) or 'none'}, unknown: {', '.join(unknown) or 'none'}. Add "
            "--module NAME=RUN/export for each."
        )
    audiomae = load_audiomae(folders["audiomae"])
    width = audiomae.config.width
    return FrozenModules(
        audiomae=audiomae,
        codebooks={
            factor: load_codebooks(folders[name], width=factor * width, stack_factor=factor)
            for factor, name in names.items()
        },
        domain_entries={
            factor: load_domain_entries(folders[name]) for factor, name in names.items()
        },
        vae=load_vae(folders["vae"]),
        vocoder=load_vocoder(folders["vocoder"]),
        digests={name: module_digest(folders[name]) for name in ("audiomae", "vae")},
    )


def codebook_names(folders: Mapping[str, Path], stack_factors: tuple[int, ...]) -> dict[int, str]:
    """Return the name of the codebook of every stack factor."""
    if len(stack_factors) == 1:
        return {stack_factors[0]: CODEBOOK}
    names = {
        factor: f"{CODEBOOK}_{TokenGrid.from_stack_factor(factor).token_rate}"
        for factor in stack_factors
    }
    if CODEBOOK in folders:
        raise ConfigError(
            f"Several token rates need several codebooks; in place of --module {CODEBOOK} "
            f"give {', '.join(names.values())}."
        )
    return names
