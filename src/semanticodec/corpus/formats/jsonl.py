"""JSON lines: one record per line, with its codes as lists.

FOLDER/jsonl/00012.jsonl     {"id": ..., "columns": {...}, "semantic": [...], ...}
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from semanticodec.corpus.formats.fields import (
    fields_of,
    ids_of,
    read_lines,
    reading,
    record_of,
    to_line,
)
from semanticodec.corpus.formats.shards import relative, shard_files
from semanticodec.corpus.record import TokenRecord
from semanticodec.files import atomic_path


class Jsonl:
    """Files of JSON lines; see the module and `CorpusFormat`."""

    name = "jsonl"

    def write(self, folder: Path, shard: str, records: Sequence[TokenRecord]) -> list[Path]:
        """Write one shard; see `CorpusFormat.write`."""
        path = folder / self.name / f"{shard}.jsonl"
        with atomic_path(path) as partial, partial.open("w", encoding="utf-8") as file:
            for record in records:
                semantic, acoustic = ids_of(record).tolist()
                file.write(
                    to_line({**fields_of(record), "semantic": semantic, "acoustic": acoustic})
                )
        return relative(folder, [path])

    def finish(self, folder: Path) -> list[Path]:
        """Return nothing: readers take the shards."""
        return []

    def read(self, folder: Path) -> Iterator[TokenRecord]:
        """Yield every record; see `CorpusFormat.read`."""
        for path in shard_files(folder / self.name, "", ".jsonl"):
            with reading(path):
                for fields in read_lines(path):
                    ids = np.array([fields["semantic"], fields["acoustic"]], dtype=np.int64)
                    yield record_of(fields, ids)
