"""Records of random codes for the tests of corpora."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from semanticodec import Codes, TokenFormat
from semanticodec.corpus.record import Column, TokenRecord

FORMAT = TokenFormat(100, semantic_vocab_size=16_384, acoustic_vocab_size=8192)


def random_codes(
    num_samples: int, seed: int = 0, format: TokenFormat = FORMAT, fingerprint: bytes = b"tinytiny"
) -> Codes:
    """Return one item of random codes."""
    generator = torch.Generator().manual_seed(seed)
    shape = (1, format.num_positions(num_samples))
    semantic, acoustic = (
        torch.randint(size, shape, generator=generator) for size in format.vocab_sizes
    )
    return Codes(semantic, acoustic, (num_samples,), format, fingerprint=fingerprint)


def random_record(
    id: str, num_samples: int = 40_000, seed: int = 0, columns: Mapping[str, Column] | None = None
) -> TokenRecord:
    """Return a record of random codes."""
    codes = random_codes(num_samples, seed)
    return TokenRecord(id=id, codes=codes, source=f"/data/{id}", columns=columns or {})
