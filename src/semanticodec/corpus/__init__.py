"""Whole corpora: recordings from many sources to codes in the formats that people train with.

    from semanticodec.corpus import read_corpus
    for record in read_corpus("corpus/"):
        record.id, record.codes, record.columns

Names load on first use, so that the command line starts without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from semanticodec.corpus.formats import read_corpus
    from semanticodec.corpus.record import TokenRecord

__all__ = ["TokenRecord", "read_corpus"]


def __getattr__(name: str) -> Any:
    if name == "read_corpus":
        from semanticodec.corpus.formats import read_corpus

        return read_corpus
    if name == "TokenRecord":
        from semanticodec.corpus.record import TokenRecord

        return TokenRecord
    raise AttributeError(f"module 'semanticodec.corpus' has no attribute {name!r}")
