"""The output formats of a corpus: one file each, and the table of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from semanticodec.corpus.formats.base import CorpusFormat
from semanticodec.corpus.formats.jsonl import Jsonl
from semanticodec.corpus.formats.kaldi import Kaldi
from semanticodec.corpus.formats.nemo import Nemo
from semanticodec.corpus.formats.npy import Npy
from semanticodec.corpus.formats.parquet import Parquet
from semanticodec.corpus.formats.shar import Shar
from semanticodec.corpus.formats.webdataset import WebDataset
from semanticodec.corpus.record import TokenRecord
from semanticodec.errors import ConfigError, DataError

__all__ = ["FORMATS", "CorpusFormat", "formats_named", "read_corpus"]

# In the order in which `read_corpus` prefers them: the quickest to read first.
_ALL: tuple[CorpusFormat, ...] = (
    WebDataset(),
    Parquet(),
    Shar(),
    Kaldi(),
    Npy(),
    Jsonl(),
    Nemo(),
)
FORMATS: Mapping[str, CorpusFormat] = MappingProxyType({format.name: format for format in _ALL})


def formats_named(names: Sequence[str]) -> list[CorpusFormat]:
    """Return formats by name, each once.

    Raises:
        ConfigError: no name, or one that no format has.
    """
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        raise ConfigError(
            f"format {', '.join(unknown) or 'none'}; choose from {', '.join(FORMATS)}"
        )
    return [FORMATS[name] for name in dict.fromkeys(names)]


def read_corpus(folder: str | os.PathLike[str]) -> Iterator[TokenRecord]:
    """Yield every record of a corpus, in the order of shards, one in memory at a time.

    Args:
        folder: what `semanticodec tokenize --out` wrote, in any format.
    Raises:
        DataError: no corpus there, or a damaged file.
        MissingDependencyError: pyarrow is missing, and Parquet is the only format.
    """
    top = Path(folder)
    for format in FORMATS.values():
        if (top / format.name).is_dir():
            return format.read(top)
    raise DataError(
        f"{top} is no corpus: it has none of the folders {', '.join(FORMATS)}; give a folder "
        "that `semanticodec tokenize` wrote"
    )
