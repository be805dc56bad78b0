"""Which semantic ids came from which domain: speech, music, general sound.

A semantic codebook is clustered domain by domain and the parts stand one behind the other (paper
Sec. III-B), so every domain has a range of ids. The configuration of a codec names them, and so
does the export of `semanticodec train codebook` (as `entries` in its `config.json`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from semanticodec.config import CodecConfig
from semanticodec.errors import CheckpointError, CodesError, ConfigError
from semanticodec.files import read_json


class SemanticDomains:
    """Ranges of semantic codes by domain.

    Attributes:
        ranges: codes of every domain, in order.
    """

    def __init__(self, entries: Mapping[str, int]) -> None:
        """Set the ranges.

        Args:
            entries: number of entries of every domain, in the order of the codebook.
        Raises:
            ConfigError: no domain, or one without entries.
        """
        if not entries or min(entries.values()) < 1:
            raise ConfigError(f"entries {dict(entries)}; give every domain 1 or more")
        self.ranges: dict[str, range] = {}
        start = 0
        for domain, number in entries.items():
            self.ranges[domain] = range(start, start + number)
            start += number

    @classmethod
    def from_config(cls, config: CodecConfig) -> SemanticDomains:
        """Return the ranges of a codec's semantic codebook.

        Args:
            config: a codec's `config`.
        Raises:
            ConfigError: it does not say which entries came from where.
        """
        size = config.format.semantic_vocab_size
        entries = dict(config.encoder.semantic.domain_entries).get(size)
        if entries is None:
            raise ConfigError(
                f"this model does not say where its {size} semantic codes came from; if you have "
                "the export of its codebook, use SemanticDomains.from_export"
            )
        return cls(dict(entries))

    @classmethod
    def from_export(
        cls, folder: str | os.PathLike[str], semantic_vocab_size: int
    ) -> SemanticDomains:
        """Return the ranges of a codebook that `semanticodec train codebook` made.

        Args:
            folder: the run's `export`.
            semantic_vocab_size: which of its codebooks.
        Raises:
            CheckpointError: no export of codebooks, or none of that size.
        """
        path = Path(folder) / "config.json"
        try:
            by_size = read_json(path)["config"]["entries"]
            entries = {
                name: int(number) for name, number in by_size[str(semantic_vocab_size)].items()
            }
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise CheckpointError(
                f"{path} says nothing of the domains of {semantic_vocab_size} semantic codes; give "
                "the export folder of `semanticodec train codebook`"
            ) from error
        return cls(entries)

    def of(self, semantic: Int[Tensor, "..."]) -> Int[Tensor, "..."]:
        """Return the domain of every semantic code, as its place in `ranges`.

        Raises:
            CodesError: a code behind the last range.
        """
        ends = torch.tensor([each.stop for each in self.ranges.values()], device=semantic.device)
        if semantic.numel() and not 0 <= int(semantic.min()) <= int(semantic.max()) < int(ends[-1]):
            raise CodesError(
                f"codes from {int(semantic.min())} to {int(semantic.max())}; these domains have "
                f"{int(ends[-1])}: is this the codebook of the model?"
            )
        return torch.bucketize(semantic, ends, right=True)
