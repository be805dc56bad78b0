"""Tables of recordings as CSV, TSV or JSON lines: one row each, with whatever columns.

path (or audio_filepath)    the sound file; a relative path starts at the manifest's folder
id                          name in the corpus (default: from the path)
offset, duration            seconds; a row of a segment has them (default: the whole file)
all others                  carried through to the corpus
"""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from semanticodec.corpus.item import Place, WorkItem
from semanticodec.corpus.record import Column
from semanticodec.corpus.sources import files
from semanticodec.errors import DataError
from semanticodec.files import parse_json

PATH_COLUMNS = ("path", "audio_filepath")
OWN_COLUMNS = (*PATH_COLUMNS, "id", "offset", "duration")
DELIMITERS = {".csv": ",", ".tsv": "\t"}
MOST_FIELD_CHARACTERS = 1 << 20
# By which a second of a segment counts for a shard: 16 kHz in 16 bits.
SEGMENT_BYTES = 32_000


def items(path: Path, _: Path) -> Iterator[WorkItem]:
    """Yield the rows of a manifest.

    Raises:
        DataError: a row that names no file, or a number that is none.
    """
    rows = _csv_rows(path) if path.suffix.lower() in DELIMITERS else _json_rows(path)
    for number, row in rows:
        try:
            yield _item(path.parent, row)
        except (ValueError, TypeError) as error:
            raise DataError(f"{path}, line {number}: {error}") from error


def _csv_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    csv.field_size_limit(MOST_FIELD_CHARACTERS)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter=DELIMITERS[path.suffix.lower()])
        try:
            for row in reader:
                if None in row or None in row.values():
                    raise DataError(
                        f"{path}, line {reader.line_num}: not as many fields as the first line "
                        "has names; quote fields that hold the delimiter"
                    )
                yield reader.line_num, row
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(f"{path} is not readable ({error}); give UTF-8 text") from error


def _json_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                row = parse_json(line)
                if not isinstance(row, dict):
                    raise DataError(f"{path}, line {number}: {line[:40]!r} is no JSON object")
                yield number, row
    except DataError:
        raise
    except ValueError as error:
        raise DataError(f"{path} holds no JSON object per line ({error}); write it so") from error


def _item(folder: Path, row: Mapping[str, Any]) -> WorkItem:
    path = next((row[name] for name in PATH_COLUMNS if row.get(name)), None)
    if not isinstance(path, str) or "\0" in path:
        raise ValueError(f"no {' or '.join(PATH_COLUMNS)}; give one in every row")
    place = folder / path
    offset_s = seconds(row.get("offset")) or 0.0
    duration_s = seconds(row.get("duration"))
    name = row.get("id")
    return WorkItem(
        names=(str(name),)
        if name not in (None, "")
        else segment_names(files.path_names(place, Path(path)), offset_s, duration_s),
        source=str(place),
        place=Place(files.KIND, os.path.realpath(place)),
        offset_s=offset_s,
        duration_s=duration_s,
        columns={key: plain(value) for key, value in row.items() if key not in OWN_COLUMNS},
        num_bytes=_num_bytes(place, duration_s),
    )


def _num_bytes(place: Path, duration_s: float | None) -> int:
    if duration_s is not None:
        return round(duration_s * SEGMENT_BYTES)
    return os.path.getsize(place) if os.path.isfile(place) else 0


def seconds(value: object) -> float | None:
    """Return a number of seconds; None for none.

    Raises:
        ValueError: no number, or a negative one.
    """
    if value is None or value == "":
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if not 0 <= number < float("inf"):
        raise ValueError(f"{value!r} is no number of seconds; give 0 or more")
    return number


def segment_names(
    names: tuple[str, ...], offset_s: float, duration_s: float | None
) -> tuple[str, ...]:
    """Return the names of a part of a recording: with its start and end in milliseconds.

    That of a whole one, or of the first part, is the recording's as long as no other has it.
    """
    if duration_s is None:
        last = f"{round(offset_s * 1000):07d}"
    else:
        last = f"{round(offset_s * 1000):07d}-{round((offset_s + duration_s) * 1000):07d}"
    with_times = tuple(f"{name}-{last}" for name in names)
    return (*names, *with_times) if offset_s == 0 else with_times


def plain(value: object) -> Column:
    """Return a value as a column holds it: what is nested becomes JSON text, NaN nothing."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)
