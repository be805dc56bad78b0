"""Kaldi's tables: `wav.scp` (name, path) and `segments` (name, recording, start, end) beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from semanticodec.corpus.item import Place, WorkItem
from semanticodec.corpus.sources import files
from semanticodec.corpus.sources.manifest import SEGMENT_BYTES, seconds
from semanticodec.errors import DataError

SCRIPT_NAME, SEGMENTS_NAME = "wav.scp", "segments"


def folder_items(folder: Path) -> Iterator[WorkItem]:
    """Yield what a Kaldi data folder holds."""
    return items(folder / SCRIPT_NAME, Path(SCRIPT_NAME))


def items(path: Path, _: Path) -> Iterator[WorkItem]:
    """Yield the recordings of a `wav.scp`, or their segments where a file beside it lists them.

    Raises:
        DataError: a line of another form, or a command in place of a path.
    """
    recordings = {name: _place(path, name, where) for name, where in _lines(path, 2)}
    segments = path.with_name(SEGMENTS_NAME)
    if not segments.is_file():
        for name, place in recordings.items():
            size = os.path.getsize(place.path) if os.path.isfile(place.path) else 0
            yield WorkItem(names=(name,), source=place.path, place=place, num_bytes=size)
        return
    for name, recording, start, end in _lines(segments, 4):
        if recording not in recordings:
            raise DataError(
                f"{segments}: {name} is a part of {recording}, which {path.name} does not have"
            )
        try:
            start_s, end_s = seconds(start) or 0.0, seconds(end) or 0.0
        except ValueError as error:
            raise DataError(f"{segments}: {name}: {error}") from error
        if end_s <= start_s:
            raise DataError(f"{segments}: {name} ends at {end_s:g} s, where it begins or before")
        place = recordings[recording]
        yield WorkItem(
            names=(name,),
            source=place.path,
            place=place,
            offset_s=start_s,
            duration_s=end_s - start_s,
            num_bytes=round((end_s - start_s) * SEGMENT_BYTES),
        )


def _lines(path: Path, num_fields: int) -> Iterator[list[str]]:
    try:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            fields = line.split(maxsplit=num_fields - 1)
            if (fields and len(fields) < num_fields) or "\0" in line:
                raise DataError(
                    f"{path}, line {number}: {line!r}; {num_fields} fields of text are needed"
                )
            if fields:
                yield [field.strip() for field in fields]
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not readable ({error}); give UTF-8 text") from error


def _place(script: Path, name: str, where: str) -> Place:
    if where.endswith("|"):
        raise DataError(
            f"{script}: {name} is the output of a command ({where[:60]}), and none is run from a "
            "table; write its output to files and list these"
        )
    # Kaldi's paths start where it is run, which is rarely where the table is.
    path = Path(where)
    beside = script.parent / where
    return Place(files.KIND, os.path.realpath(beside if os.path.exists(beside) else path))
