"""Semantic quantizer: frozen k-means centroids name the nearest AudioMAE feature."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from semanticodec.encoder.nearest import NearestSearch, check_codes
from semanticodec.errors import ConfigError

BUFFER_PREFIX = "codebook_"


class SemanticQuantizer(nn.Module):
    """Nearest centroid among one of several vocabularies (paper Eq. 1).

    Buffers:
        codebook_<size>: centroids [size, D], one per vocabulary size; never trained by gradients.
            Zero until weights are loaded. Loading skips vocabularies that are not configured.
    """

    @dataclass(frozen=True, kw_only=True)
    class Config:
        """Sizes of the codebooks.

        Attributes:
            width: D of the stacked features, and of every centroid.
            vocab_sizes: number of centroids K of every codebook that the model holds.
            domain_entries: for a vocabulary size, the domains whose sounds its centroids came
                from and the number of centroids of each, in the codebook's order: (4096,
                (("general", 2048), ("music", 1024), ("speech", 1024))). Nothing is computed with
                it; empty where it is not known.
        """

        width: int = 768
        vocab_sizes: tuple[int, ...] = (4096,)
        domain_entries: tuple[tuple[int, tuple[tuple[str, int], ...]], ...] = ()

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.nearest = NearestSearch()
        for vocab_size in config.vocab_sizes:
            centroids = torch.zeros(vocab_size, config.width)
            self.register_buffer(f"{BUFFER_PREFIX}{vocab_size}", centroids)

    def codebook(self, vocab_size: int) -> Float[Tensor, "K D"]:
        """Return the centroids of one vocabulary.

        Raises:
            ConfigError: this model holds no vocabulary of that size.
        """
        if vocab_size not in self.config.vocab_sizes:
            held = ", ".join(str(size) for size in self.config.vocab_sizes)
            raise ConfigError(
                f"this model has no semantic vocabulary of {vocab_size} entries; choose from {held}"
            )
        return self.get_buffer(f"{BUFFER_PREFIX}{vocab_size}")

    @torch.no_grad()
    def encode(self, features: Float[Tensor, "B L D"], vocab_size: int) -> Int[Tensor, "B L"]:
        """Return the index of the nearest centroid for every position, searched in float32.

        Args:
            features: stacked AudioMAE features.
            vocab_size: size of the vocabulary to use.
        Raises:
            ConfigError: unknown vocabulary.
        Source: paper Eq. 1.
        """
        return self.nearest(features, self.codebook(vocab_size))

    def decode(self, codes: Int[Tensor, "B L"], vocab_size: int) -> Float[Tensor, "B L D"]:
        """Return the centroid of every code.

        Args:
            codes: semantic codes in [0, vocab_size).
            vocab_size: size of the vocabulary to use.
        Raises:
            ConfigError: unknown vocabulary.
            CodesError: a code outside the vocabulary.
        """
        codebook = self.codebook(vocab_size)
        check_codes(codes, vocab_size, "semantic")
        return F.embedding(codes, codebook)

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *rest: object
    ) -> None:
        """Leave out the vocabularies of a file that this model was not asked to hold."""
        wanted = {f"{prefix}{BUFFER_PREFIX}{size}" for size in self.config.vocab_sizes}
        for key in list(state_dict):
            if key.startswith(prefix + BUFFER_PREFIX) and key not in wanted:
                del state_dict[key]
        super()._load_from_state_dict(state_dict, prefix, *rest)
