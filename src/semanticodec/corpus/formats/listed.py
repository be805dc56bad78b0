"""Shards that are folders: a file of codes for every record, and a list of them.

SHARD/KEY.SUFFIX
SHARD/records.jsonl     id, source, columns, the settings of the codes, and `path` in the folder
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Integer, UInt16

from semanticodec.corpus.formats.fields import (
    fields_of,
    ids_of,
    read_lines,
    reading,
    record_of,
    to_line,
)
from semanticodec.corpus.formats.keys import key_of
from semanticodec.corpus.record import TokenRecord
from semanticodec.files import atomic_folder

LIST_NAME = "records.jsonl"

Save = Callable[[Path, UInt16[np.ndarray, "2 L"]], None]
Load = Callable[[Path], Integer[np.ndarray, "2 L"]]


def write_listed(
    target: Path, records: Sequence[TokenRecord], suffix: str, save: Save
) -> list[Path]:
    """Write a shard at once and return its files, the list last.

    Args:
        target: folder of the shard.
        records: one or more.
        suffix: suffix of the files of codes, with its dot.
        save: writes codes to a path.
    """
    names = [key_of(record.id) + suffix for record in records]
    with atomic_folder(target) as partial:
        for record, name in zip(records, names, strict=True):
            path = partial / name
            path.parent.mkdir(parents=True, exist_ok=True)
            save(path, ids_of(record))
        with (partial / LIST_NAME).open("w", encoding="utf-8") as file:
            for record, name in zip(records, names, strict=True):
                file.write(to_line({**fields_of(record), "path": name}))
    return [target / name for name in (*names, LIST_NAME)]


def read_listed(target: Path, suffix: str, load: Load) -> Iterator[TokenRecord]:
    """Yield the records of a shard.

    Args:
        target: folder of the shard.
        suffix: suffix of the files of codes, with its dot.
        load: reads codes from a path; what it raises becomes a `DataError` (see `reading`).
    Raises:
        DataError: a missing or damaged file.
    """
    path = target / LIST_NAME
    with reading(path):
        for fields in read_lines(path):
            path_of_codes = target / (key_of(fields["id"]) + suffix)
            with reading(path_of_codes):
                ids = load(path_of_codes)
            yield record_of(fields, ids)
