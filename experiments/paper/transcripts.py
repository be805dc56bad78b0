"""Finds what is said in recordings, in the forms in which corpora of read speech keep it.

NAME.normalized.txt, NAME.original.txt, NAME.txt, NAME.lab     beside NAME.wav, the text alone
any .tsv or .csv with a line for a recording                   its name (or path) first, text last
any .txt whose lines start with the name of a recording        LibriSpeech's *.trans.txt
any .json of {name: text}
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

SIDE_SUFFIXES = (".normalized.txt", ".original.txt", ".txt", ".lab")
TABLE_SUFFIXES = (".tsv", ".csv", ".txt", ".json")
MAX_TABLE_BYTES = 64 << 20


def find_transcripts(folder: Path, recordings: Sequence[Path]) -> dict[Path, str]:
    """Return the transcripts of those recordings that have one.

    Args:
        folder: searched for tables.
        recordings: sound files below it.
    """
    found = {path: text for path in recordings if (text := _beside(path))}
    named = {path.stem: path for path in recordings if path not in found}
    for table in sorted(folder.rglob("*")) if named else ():
        if table.suffix.lower() in TABLE_SUFFIXES and table.stat().st_size <= MAX_TABLE_BYTES:
            for name, text in _rows(table):
                path = named.get(name) or named.get(PurePosixPath(name.replace("\\", "/")).stem)
                if path is not None and text:
                    found.setdefault(path, text)
    return found


def _beside(recording: Path) -> str:
    for suffix in SIDE_SUFFIXES:
        path = recording.with_name(recording.stem + suffix)
        if path.is_file():
            return " ".join(path.read_text(encoding="utf-8", errors="replace").split())
    return ""


def _rows(table: Path) -> Iterator[tuple[str, str]]:
    """Yield pairs of what may be a name and what may be a text."""
    text = table.read_text(encoding="utf-8", errors="replace")
    if table.suffix.lower() == ".json":
        yield from _json_rows(text)
        return
    if table.suffix.lower() == ".txt":
        rows = (line.split(maxsplit=1) for line in text.splitlines())
    else:
        delimiter = "\t" if table.suffix.lower() == ".tsv" else ","
        rows = csv.reader(text.splitlines(), delimiter=delimiter)
    for row in rows:
        if len(row) > 1:
            yield row[0].strip(), row[-1].strip()


def _json_rows(text: str) -> Iterator[tuple[str, str]]:
    try:
        content = json.loads(text)
    except ValueError:
        return
    if isinstance(content, dict):
        yield from ((name, said) for name, said in content.items() if isinstance(said, str))
