"""Parquet: what `datasets`, Ray, Polars and DuckDB read; one file per shard.

FOLDER/parquet/tokens-00012.parquet     id, source, semantic, acoustic, num_samples, token_rate, ...

The codes are lists of uint16. Carried columns have their own names and types; one whose name is
taken gets an underscore behind it, and one of several types holds JSON text. A record without a
column that others of its shard have reads back with None there.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from semanticodec.corpus.formats.fields import fields_of, ids_of, reading, record_of
from semanticodec.corpus.formats.shards import relative, shard_files
from semanticodec.corpus.record import Column, TokenRecord
from semanticodec.errors import MissingDependencyError
from semanticodec.files import atomic_path

PREFIX, SUFFIX = "tokens-", ".parquet"
# A row group is read at once: 4 MB of codes, about six hours.
ROW_GROUP_POSITIONS = 1 << 20
# Of a field: the name in `TokenRecord.columns`, and whether its values are JSON text.
_NAME, _IS_JSON = b"semanticodec.name", b"semanticodec.json"


class Parquet:
    """Parquet files of records; see the module and `CorpusFormat`."""

    name = "parquet"

    def write(self, folder: Path, shard: str, records: Sequence[TokenRecord]) -> list[Path]:
        """Write one shard; see `CorpusFormat.write`.

        Raises:
            MissingDependencyError: pyarrow is not installed.
        """
        table = _table(records)
        path = folder / self.name / f"{PREFIX}{shard}{SUFFIX}"
        with (
            atomic_path(path) as partial,
            _pyarrow("parquet").ParquetWriter(partial, table.schema, compression="zstd") as writer,
        ):
            for first, last in _row_groups(records):
                writer.write_table(table.slice(first, last - first))
        return relative(folder, [path])

    def finish(self, folder: Path) -> list[Path]:
        """Return nothing: readers take the folder."""
        return []

    def read(self, folder: Path) -> Iterator[TokenRecord]:
        """Yield every record; see `CorpusFormat.read`.

        Raises:
            MissingDependencyError: pyarrow is not installed.
        """
        parquet = _pyarrow("parquet")
        for path in shard_files(folder / self.name, PREFIX, SUFFIX):
            with reading(path), parquet.ParquetFile(path) as file:
                for number in range(file.num_row_groups):
                    yield from _records(file.read_row_group(number))


def _pyarrow(part: str = "") -> Any:
    try:
        return importlib.import_module(f"pyarrow.{part}" if part else "pyarrow")
    except ImportError as error:
        raise MissingDependencyError(
            f"Parquet needs pyarrow, which cannot be imported ({error}); "
            "install it with pip install 'semanticodec[corpus]'"
        ) from error


def _row_groups(records: Sequence[TokenRecord]) -> Iterator[tuple[int, int]]:
    """Yield the first record of each row group, and the one behind its last."""
    first = positions = 0
    for row, record in enumerate(records):
        positions += record.codes.num_positions[0]
        if positions >= ROW_GROUP_POSITIONS:
            yield first, row + 1
            first, positions = row + 1, 0
    if first < len(records):
        yield first, len(records)


def _table(records: Sequence[TokenRecord]) -> Any:
    pa = _pyarrow()
    rows = [fields_of(record) for record in records]
    ids = [ids_of(record) for record in records]

    def column(name: str, type: Any) -> tuple[Any, Any]:
        return pa.field(name, type), pa.array([row[name] for row in rows], type)

    def stream(name: str, index: int) -> tuple[Any, Any]:
        ends = np.cumsum([0, *(item.shape[1] for item in ids)]).astype(np.int32)
        values = pa.array(np.concatenate([item[index] for item in ids]))
        return pa.field(name, pa.list_(pa.uint16())), pa.ListArray.from_arrays(ends, values)

    columns = [
        column("id", pa.string()),
        column("source", pa.string()),
        stream("semantic", 0),
        stream("acoustic", 1),
        column("num_samples", pa.int64()),
        *(
            column(name, pa.int32())
            for name in ("token_rate", "sample_rate", "semantic_vocab_size", "acoustic_vocab_size")
        ),
        column("fingerprint", pa.string()),
    ]
    taken = {field.name for field, _ in columns}
    for name in dict.fromkeys(name for record in records for name in record.columns):
        free = name
        while free in taken:
            free += "_"
        taken.add(free)
        columns.append(_carried(pa, name, free, [record.columns.get(name) for record in records]))
    fields, arrays = zip(*columns, strict=True)
    return pa.table(list(arrays), schema=pa.schema(list(fields)))


def _carried(pa: Any, name: str, free: str, values: Sequence[Column]) -> tuple[Any, Any]:
    """Return field and values of a carried column, under a free name."""
    type = _type_of(pa, values)
    about = {_NAME: name.encode()}
    if type is None:
        about[_IS_JSON] = b"true"
        values = [None if value is None else json.dumps(value) for value in values]
        type = pa.string()
    return pa.field(free, type, metadata=about), pa.array(values, type)


def _type_of(pa: Any, values: Sequence[Column]) -> Any:
    """Return the type that all values share, None if there is none."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {str}:  # also for no value at all: Parquet reads it as any other type
        return pa.string()
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {float}:
        return pa.float64()
    if kinds == {int} and all(value is None or -(2**63) <= int(value) < 2**63 for value in values):
        return pa.int64()
    return None


def _records(table: Any) -> Iterator[TokenRecord]:
    table = table.combine_chunks()
    columns = {field.name: table.column(field.name) for field in table.schema}
    streams = [columns.pop(name) for name in ("semantic", "acoustic")]
    carried = {
        field.name: (field.metadata[_NAME].decode(), _IS_JSON in field.metadata)
        for field in table.schema
        if field.metadata and _NAME in field.metadata
    }
    for row in range(table.num_rows):
        values = {name: column[row].as_py() for name, column in columns.items()}
        of_manifest: dict[str, Column] = {}
        for name, (own_name, is_json) in carried.items():
            value = values.pop(name)
            of_manifest[own_name] = json.loads(value) if is_json and value is not None else value
        ids = np.stack([stream[row].values.to_numpy() for stream in streams])
        yield record_of({**values, "columns": of_manifest}, ids)
