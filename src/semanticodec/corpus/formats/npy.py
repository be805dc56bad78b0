"""A folder of `.npy` files: codes of every recording as uint16 [2, L], semantic and acoustic.

FOLDER/npy/00012/KEY.npy
FOLDER/npy/00012/records.jsonl     see `listed`
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt16

from semanticodec.corpus.formats.fields import ids_of_npy
from semanticodec.corpus.formats.listed import read_listed, write_listed
from semanticodec.corpus.formats.shards import relative, shard_folders
from semanticodec.corpus.record import TokenRecord

SUFFIX = ".npy"


class Npy:
    """Folders of `.npy` files; see the module and `CorpusFormat`."""

    name = "npy"

    def write(self, folder: Path, shard: str, records: Sequence[TokenRecord]) -> list[Path]:
        """Write one shard; see `CorpusFormat.write`."""
        return relative(folder, write_listed(folder / self.name / shard, records, SUFFIX, _save))

    def finish(self, folder: Path) -> list[Path]:
        """Return nothing: the files are opened by name."""
        return []

    def read(self, folder: Path) -> Iterator[TokenRecord]:
        """Yield every record; see `CorpusFormat.read`."""
        for shard in shard_folders(folder / self.name):
            yield from read_listed(shard, SUFFIX, _load)


def _save(path: Path, ids: UInt16[np.ndarray, "2 L"]) -> None:
    np.save(path, ids, allow_pickle=False)


def _load(path: Path) -> UInt16[np.ndarray, "2 L"]:
    return ids_of_npy(path.read_bytes())
