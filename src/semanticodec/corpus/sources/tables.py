"""Tables with a column of sound files: Parquet, and folders of Hugging Face's `save_to_disk`.

The column is called `audio`, or is the only one of bytes; its values are {bytes, path} or bytes.
They are decoded by `audio.io`, as all sound files are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from semanticodec.audio.io import AudioSource
from semanticodec.corpus.item import Place, WorkItem
from semanticodec.corpus.record import Column
from semanticodec.corpus.sources.manifest import plain
from semanticodec.errors import AudioError, DataError, MissingDependencyError
from semanticodec.files import read_json

PARQUET, ARROW = "parquet", "arrow"
STATE_NAME, SPLITS_NAME = "state.json", "dataset_dict.json"
AUDIO_COLUMN = "audio"
ROWS_AT_ONCE = 16
# What pyarrow calls single values; others are left out.
SINGLE = ("string", "large_string", "bool", "float", "double", "halffloat")


def parquet_items(path: Path, relative: Path) -> Iterator[WorkItem]:
    """Yield the rows of a Parquet file.

    Raises:
        DataError: not Parquet, or no column of sound files.
    """
    parquet = _pyarrow_parquet()
    try:
        with parquet.ParquetFile(path) as file:
            column = _audio_column(path, file.schema_arrow)
            names = _single_columns(file.schema_arrow, column)
            wanted = [*names, *_path_columns(file.schema_arrow, column)]
            for group in range(file.num_row_groups):
                rows = file.read_row_group(group, columns=wanted).to_pylist()
                rows = rows or [{}] * file.metadata.row_group(group).num_rows
                size = file.metadata.row_group(group).total_byte_size // max(1, len(rows))
                for number, row in enumerate(rows):
                    place = Place(PARQUET, os.path.realpath(path), (column, group, number))
                    yield _item(path, relative, place, row, names, size)
    except (OSError, _arrow_error()) as error:
        raise DataError(f"{path} is not a readable Parquet file ({error}); make it anew") from error


def splits_items(folder: Path) -> Iterator[WorkItem]:
    """Yield the rows of every split of a `DatasetDict` on disk."""
    for split in _strings(folder / SPLITS_NAME, "splits"):
        yield from dataset_items(folder / split)


def dataset_items(folder: Path) -> Iterator[WorkItem]:
    """Yield the rows of a `Dataset` on disk.

    Raises:
        DataError: not such a folder, or no column of sound files.
    """
    for name in _strings(folder / STATE_NAME, "_data_files"):
        path = folder / name
        # The folder's name, for splits have files of the same names.
        yield from _arrow_items(path, Path(folder.name, name))


def _strings(path: Path, key: str) -> list[str]:
    try:
        found = read_json(path)[key]
        names = [value["filename"] if isinstance(value, dict) else value for value in found]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} does not tell its {key} ({error}); save the data anew") from error
    if any(not isinstance(name, str) or os.path.basename(name) != name for name in names):
        raise DataError(f"{path} names files outside its folder; save the data anew")
    return names


def _arrow_items(path: Path, relative: Path) -> Iterator[WorkItem]:
    _pyarrow_parquet()
    import pyarrow

    try:
        with pyarrow.memory_map(str(path)) as file, pyarrow.ipc.open_stream(file) as batches:
            column = _audio_column(path, batches.schema)
            names = _single_columns(batches.schema, column)
            for group, batch in enumerate(batches):
                rows = batch.select(names).to_pylist() or [{}] * batch.num_rows
                paths = _file_paths(batch, column)
                size = batch.nbytes // max(1, batch.num_rows)
                for number, row in enumerate(rows):
                    place = Place(ARROW, os.path.realpath(path), (column, group, number))
                    row = {**row, column: {"path": paths[number]}}
                    yield _item(path, relative, place, row, names, size)
    except (OSError, pyarrow.ArrowInvalid) as error:
        raise DataError(f"{path} is not a readable Arrow file ({error}); save it anew") from error


def _file_paths(batch: Any, column: str) -> list[str | None]:
    values = batch.column(column)
    if values.type.num_fields < 2:
        return [None] * batch.num_rows
    return values.field("path").to_pylist()


def _item(
    path: Path,
    relative: Path,
    place: Place,
    row: Mapping[str, Any],
    names: list[str],
    num_bytes: int,
) -> WorkItem:
    column, group, number = place.parts
    audio = row.get(str(column))
    told = audio.get("path") if isinstance(audio, Mapping) else None
    table = relative.with_suffix("").as_posix().lstrip("/")
    key = f"{table}/{group}-{number}" if isinstance(group, int) and group else f"{table}/{number}"
    if row.get("id") not in (None, ""):
        ids: tuple[str, ...] = (str(row["id"]),)
    elif told:
        stem = Path(told).stem
        ids = (stem, f"{table}/{stem}", key)
    else:
        ids = (key, f"{Path(os.path.realpath(path)).as_posix().lstrip('/')}/{group}-{number}")
    columns: dict[str, Column] = {name: plain(row[name]) for name in names if name != "id"}
    source = f"{path}::{told or number}"
    return WorkItem(names=ids, source=source, place=place, columns=columns, num_bytes=num_bytes)


def _audio_column(path: Path, schema: Any) -> str:
    candidates = [field.name for field in schema if _holds_bytes(field.type)]
    if AUDIO_COLUMN in candidates:
        return AUDIO_COLUMN
    if len(candidates) != 1:
        found = ", ".join(candidates) or "none"
        raise DataError(
            f"{path} has several columns of bytes or none ({found}); call that of the sound files "
            f"{AUDIO_COLUMN!r}"
        )
    return candidates[0]


def _holds_bytes(kind: Any) -> bool:
    if str(kind) in ("binary", "large_binary"):
        return True
    is_struct = kind.num_fields > 0 and str(kind).startswith("struct")
    return is_struct and kind.get_field_index("bytes") >= 0


def _single_columns(schema: Any, audio: str) -> list[str]:
    return [
        field.name
        for field in schema
        if field.name != audio and (str(field.type) in SINGLE or "int" in str(field.type)[:4])
    ]


def _path_columns(schema: Any, audio: str) -> list[str]:
    """Return the column of the sound files' paths, without that of their bytes."""
    kind = schema.field(audio).type
    has_path = kind.num_fields > 0 and kind.get_field_index("path") >= 0
    return [f"{audio}.path"] if has_path else []


class Tables:
    """The rows that a worker reads next, for rows of one group are read one after the other."""

    def __init__(self) -> None:
        self._key: tuple[object, ...] = ()
        self._rows: Iterator[Any] = iter(())
        self._next = 0

    def value(self, place: Place) -> Any:
        """Return the value of a row in the column of sound files."""
        column, group, number = place.parts
        key = (place.kind, place.path, column, group)
        if key != self._key or int(number) < self._next:
            read = _parquet_rows if place.kind == PARQUET else _arrow_rows
            self._key, self._rows, self._next = key, read(place), 0
        for row in self._rows:
            self._next += 1
            if self._next > int(number):
                return row.as_py()
        raise DataError(f"{place.path} has no row {number} in group {group}; was it changed?")


def opened(tables: Tables, place: Place) -> AudioSource:
    """Return the sound file in a row: its bytes, or the path of one outside the table.

    Raises:
        AudioError: the row has neither, or the table cannot be read.
    """
    try:
        value = tables.value(place)
    except (OSError, DataError, _arrow_error()) as error:
        raise AudioError(f"{place.path} cannot be read ({error}); try again") from error
    if isinstance(value, bytes):
        return value
    if isinstance(value, Mapping) and value.get("bytes"):
        return value["bytes"]
    if isinstance(value, Mapping) and value.get("path"):
        return os.path.join(os.path.dirname(place.path), value["path"])
    raise AudioError(f"row {place.parts[-1]} of {place.path} holds no sound file; leave it out")


def _parquet_rows(place: Place) -> Iterator[Any]:
    column, group, _ = place.parts
    with _pyarrow_parquet().ParquetFile(place.path) as file:
        batches = file.iter_batches(ROWS_AT_ONCE, row_groups=[group], columns=[column])
        for batch in batches:
            yield from batch.column(0)


def _arrow_rows(place: Place) -> Iterator[Any]:
    import pyarrow

    column, group, _ = place.parts
    with pyarrow.memory_map(place.path) as file, pyarrow.ipc.open_stream(file) as batches:
        for number, batch in enumerate(batches):
            if number == group:
                yield from batch.column(column)


def _arrow_error() -> type[Exception]:
    import pyarrow

    return pyarrow.ArrowException


def _pyarrow_parquet() -> Any:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependencyError(
            "Parquet and Arrow tables need pyarrow; pip install 'semanticodec[corpus]'"
        ) from error
    return parquet
