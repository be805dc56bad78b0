"""Where recordings come from: one file per kind of source, and the tables that find it.

a sound file, or a folder or pattern of them    files.py
*.csv, *.tsv, *.jsonl, *.json                    manifest.py
wav.scp, or a folder with one (+ segments)       kaldi.py
*.tar                                            webdataset.py
*.parquet; a folder of `save_to_disk`            tables.py
-                                                any of these, one a line on stdin
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import TextIO

from semanticodec.audio.io import AudioSource
from semanticodec.corpus.item import Place, WorkItem
from semanticodec.corpus.sources import files, kaldi, manifest, tables, webdataset
from semanticodec.errors import DataError
from semanticodec.listing import AUDIO_SUFFIXES, matches, numbered, walk

STDIN = "-"
# How a source's recordings are listed, by the suffix of its file; all others are sound files.
LISTS: Mapping[str, Callable[[Path, Path], Iterable[WorkItem]]] = MappingProxyType(
    {
        ".csv": manifest.items,
        ".tsv": manifest.items,
        ".jsonl": manifest.items,
        ".json": manifest.items,
        ".scp": kaldi.items,
        ".tar": webdataset.items,
        ".parquet": tables.parquet_items,
    }
)
# Folders that are one source, by a file in them.
FOLDERS: Mapping[str, Callable[[Path], Iterable[WorkItem]]] = MappingProxyType(
    {
        kaldi.SCRIPT_NAME: kaldi.folder_items,
        tables.STATE_NAME: tables.dataset_items,
        tables.SPLITS_NAME: tables.splits_items,
    }
)
# How a recording is opened, by the kind of its place.
PLACES: Mapping[str, Callable[[tables.Tables, Place], AudioSource]] = MappingProxyType(
    {
        files.KIND: files.opened,
        webdataset.KIND: webdataset.opened,
        tables.PARQUET: tables.opened,
        tables.ARROW: tables.opened,
    }
)
# What a folder or a pattern stands for; manifests have to be named.
FOLDER_SUFFIXES = (*AUDIO_SUFFIXES, ".tar", ".parquet")


def list_items(sources: Iterable[str], stdin: TextIO | None = None) -> Iterator[WorkItem]:
    """Yield the recordings of all sources, in an order that the file system does not change.

    Args:
        sources: paths of files and folders, patterns, or `-` for a list of these on stdin.
        stdin: where `-` is read.
    Raises:
        DataError: a source that is missing, holds nothing, or cannot be understood.
    """
    for source in sources:
        if source == STDIN:
            lines = [line.strip() for line in stdin or ()]
            items = list_items(line for line in lines if line)
        else:
            items = chain.from_iterable(map(_source_items, numbered(source)))
        found = 0
        for item in items:
            found += 1
            yield item
        if not found:
            name = "standard input" if source == STDIN else source
            raise DataError(f"{name} holds no recordings; leave it out, or name another source")


def _source_items(source: str) -> Iterator[WorkItem]:
    path = Path(source)
    if path.is_dir():
        yield from _folder_items(path)
    elif path.exists() or not glob.has_magic(source):
        yield from _file_items(path, Path(path.name))
    else:
        folder, found = matches(source)
        # With `**`, the files of a folder match as well as the folder.
        chosen = [match for match in found if match.is_file()] or found
        if not chosen:
            raise DataError(f"no file matches '{source}'; check the pattern")
        for match in chosen:
            if match.is_dir():
                yield from _folder_items(match)
            else:
                yield from _file_items(match, match.relative_to(folder))


def _folder_items(folder: Path) -> Iterator[WorkItem]:
    for name, items in FOLDERS.items():
        if (folder / name).is_file():
            yield from items(folder)
            return
    for path in sorted(walk(folder, FOLDER_SUFFIXES)):
        yield from _file_items(path, path.relative_to(folder))


def _file_items(path: Path, relative: Path) -> Iterator[WorkItem]:
    """Yield what one file holds; `relative` is its path below what the user named."""
    if not path.is_file():
        raise DataError(f"{path} does not exist; give a file, a folder, a quoted pattern or -")
    yield from LISTS.get(path.suffix.lower(), files.items)(path, relative)
