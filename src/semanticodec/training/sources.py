"""Lists training audio: folders, manifests (CSV, JSONL) and WebDataset tar shards."""

import csv
import json
import logging
import math
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import numpy as np

from semanticodec.errors import DataError
from semanticodec.files import parse_json
from semanticodec.listing import AUDIO_SUFFIXES, has_suffix, walk
from semanticodec.training.entry import AudioEntry, measured
from semanticodec.training.shards import is_pattern, pattern_entries

logger = logging.getLogger(__name__)


def find_entries(sources: tuple[Path, ...]) -> list[AudioEntry]:
    """List every recording of the given sources in an order that depends on names only.

    Args:
        sources: folders (searched recursively), `.csv` or `.jsonl` manifests, `.tar` shards; or
            patterns of shards, which are not searched: see `shards`.
    Returns:
        Entries with known durations; unreadable recordings are left out with a warning.
    Raises:
        DataError: A source does not exist, is of no known kind, or nothing readable is left.
    """
    entries = [entry for source in sources for entry in _entries_of(Path(source))]
    readable = [entry for entry in map(measured, entries) if entry is not None]
    if len(readable) < len(entries):
        logger.warning("Left out %d of %d recordings", len(entries) - len(readable), len(entries))
    if not readable:
        names = ", ".join(str(source) for source in sources) or "no source at all"
        raise DataError(
            f"No readable audio in {names}. Give folders, manifests or tar shards with "
            f"{', '.join(AUDIO_SUFFIXES)} files."
        )
    return readable


def _entries_of(source: Path) -> Iterator[AudioEntry]:
    if source.is_dir():
        yield from _folder_entries(source)
    elif is_pattern(source):
        yield from pattern_entries(source)
    elif not source.is_file():
        raise DataError(f"Training data {source} does not exist; give a folder, manifest or tar.")
    elif source.suffix == ".csv":
        with _readable(source), open(source, newline="", encoding="utf-8") as stream:
            yield from _manifest_entries(source, csv.DictReader(stream))
    elif source.suffix == ".jsonl":
        with _readable(source), open(source, encoding="utf-8") as stream:
            yield from _manifest_entries(source, _json_rows(source, stream))
    elif source.suffix == ".tar":
        yield from _shard_entries(source, domain=source.parent.name or "all", is_named=False)
    else:
        raise DataError(
            f"Training data {source} is of no known kind; give a folder, a .csv or .jsonl "
            "manifest with a `path` column, or a WebDataset .tar."
        )


@contextmanager
def _readable(source: Path) -> Iterator[None]:
    try:
        yield
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{source} is not readable ({error}). Give UTF-8 text.") from error


def _folder_entries(folder: Path) -> Iterator[AudioEntry]:
    """Domain = the first folder below the given one (the given one's own name for loose files)."""
    own_name = folder.resolve().name or "all"
    for path in walk(folder, (*AUDIO_SUFFIXES, ".tar")):
        below = path.relative_to(folder).parts[:-1]
        domain = below[0] if below else own_name
        if path.suffix == ".tar":
            yield from _shard_entries(path, domain=domain, is_named=bool(below))
        else:
            yield AudioEntry(path=str(path), domain=domain, is_domain_named=bool(below))


def _json_rows(source: Path, lines: Iterable[str]) -> Iterator[dict]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except ValueError as error:
            raise DataError(f"{source}, line {number}: not JSON ({error}).") from error
        if not isinstance(row, dict):
            raise DataError(f"{source}, line {number}: give one JSON object per line.")
        yield row


def _manifest_entries(source: Path, rows: Iterator[dict]) -> Iterator[AudioEntry]:
    for number, row in enumerate(rows, start=1):
        path = row.get("path")
        if not isinstance(path, str) or not path or "\0" in path:
            raise DataError(
                f"{source}, entry {number} has no `path` of a file; its columns are "
                f"{', '.join(map(str, row)) or 'empty'}. Name the audio column `path`."
            )
        try:
            duration_s = float(row.get("duration_s") or 0.0)
        except (TypeError, ValueError, OverflowError):
            duration_s = math.nan
        if not 0 <= duration_s < math.inf:
            raise DataError(
                f"{source}, entry {number}: duration_s is {row['duration_s']!r}; give seconds."
            )
        yield AudioEntry(
            path=str(source.parent / path),
            domain=str(row.get("domain") or "all"),
            is_domain_named=bool(row.get("domain")),
            duration_s=duration_s,
        )


def _shard_entries(shard: Path, domain: str, is_named: bool) -> Iterator[AudioEntry]:
    """Index a tar; a member `key.json` beside `key.flac` may name the item's `domain`."""
    audio: dict[str, tarfile.TarInfo] = {}
    domains: dict[str, str | None] = {}
    try:
        with tarfile.open(shard, "r:") as archive:
            for member in archive:
                # WebDataset's key is the name up to the first dot of its last part.
                name = PurePosixPath(member.name)
                key = str(name.parent / name.name.partition(".")[0])
                if member.isfile() and has_suffix(name.name, AUDIO_SUFFIXES):
                    audio[key] = member
                elif member.isfile() and name.suffix == ".json":
                    domains[key] = _domain_of(archive, member)
    except (tarfile.TarError, OSError) as error:
        raise DataError(f"{shard} is not a plain tar archive: {error}.") from error
    for key, member in audio.items():
        named = domains.get(key)
        yield AudioEntry(
            path=str(shard),
            domain=named or domain,
            is_domain_named=named is not None or is_named,
            offset=member.offset_data,
            size=member.size,
        )


def _domain_of(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str | None:
    stream = archive.extractfile(member)
    assert stream is not None
    try:
        description = json.load(stream)
    except ValueError:
        return None
    named = description.get("domain") if isinstance(description, dict) else None
    return str(named) if named else None


def domains_of(entries: list[AudioEntry]) -> dict[str, np.ndarray]:
    """Return, for each domain in alphabetical order, the indices of its entries."""
    names = sorted({entry.domain for entry in entries})
    labels = np.array([entry.domain for entry in entries])
    return {name: np.flatnonzero(labels == name) for name in names}


def domain_weights(
    entries: list[AudioEntry], weights: Sequence[tuple[str, float]]
) -> Mapping[str, float]:
    """Return the weight of every domain that the data has: as given, or its seconds of audio.

    Args:
        entries: the recordings.
        weights: pairs (domain, weight); domains that are not named have none. Empty = by seconds.
    Raises:
        DataError: a domain that the data does not have, or no weight at all.
    """
    durations = {
        name: sum(entries[row].duration_s for row in rows)
        for name, rows in domains_of(entries).items()
    }
    given = dict(weights)
    if not given:
        return durations
    if set(given) - set(durations) or not any(given.values()) or min(given.values()) < 0:
        raise DataError(
            f"The recipe weighs the domains {given}, the data has {sorted(durations)}. "
            "Name the folders (or the manifest's `domain`) so, and give one a positive weight."
        )
    return {name: given.get(name, 0.0) for name in durations}
