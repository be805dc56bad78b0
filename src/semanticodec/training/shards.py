"""WebDataset shards too many to list: a recording is found in its shard when it is drawn.

"shards/*.tar" -> one entry per shard, its length estimated from its bytes
position in a shard -> the recording that holds this byte of all its sound, and the place in it

Every draw takes any shard (they are resampled, in WebDataset's words), and what is drawn follows
from random numbers alone: a resumed run draws what an undisturbed one would.
"""

from __future__ import annotations

import glob
import logging
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from statistics import median

import numpy as np
from jaxtyping import Int64

from semanticodec.errors import AudioError, DataError
from semanticodec.listing import AUDIO_SUFFIXES, NUMBERS, has_suffix, numbered
from semanticodec.token_format import SAMPLE_RATE
from semanticodec.training.entry import AudioEntry, measured

# Lists of members that are kept: 16 kB for a thousand recordings.
KEPT_INDEXES = 4096

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ShardEntry(AudioEntry):
    """All recordings of a shard; `duration_s` is an estimate."""

    def at(self, start: int | None, position: float) -> tuple[AudioEntry, int | None, float]:
        """Return the recording at a place of the shard; see `AudioEntry.at`.

        Raises:
            AudioError: the shard cannot be read, or has no recordings.
        """
        if start is not None:
            position = min(start / (self.duration_s * SAMPLE_RATE), np.nextafter(1.0, 0.0))
        index = _index(self.path)
        byte = position * index.ends[-1]
        row = int(np.searchsorted(index.ends, byte, side="right"))
        size = int(index.sizes[row])
        within = (byte - (index.ends[row] - size)) / size
        entry = AudioEntry(
            path=self.path, domain=self.domain, offset=int(index.offsets[row]), size=size
        )
        return entry, None, float(within)


@dataclass(frozen=True)
class _Index:
    """Where the recordings of a shard are.

    Attributes:
        offsets: first byte of each.
        sizes: bytes of each.
        ends: bytes up to the end of each, counting recordings only.
    """

    offsets: Int64[np.ndarray, " N"]
    sizes: Int64[np.ndarray, " N"]
    ends: Int64[np.ndarray, " N"]


def is_pattern(source: Path) -> bool:
    """Return whether a source is a pattern of shards rather than a file or folder."""
    has_letters = any(letter in str(source) for letter in "*?[")
    return (has_letters or bool(NUMBERS.search(str(source)))) and not source.exists()


def pattern_entries(pattern: Path) -> list[ShardEntry]:
    """List the shards that a pattern matches, by name; only one recording of each is opened.

    A shard's domain is the name of its folder.

    Raises:
        DataError: no shard, a file that is none, or no recording that can be read.
    """
    found = {name: glob.glob(name, recursive=True) for name in numbered(str(pattern))}
    paths = sorted(path for some in found.values() for path in some)
    others = [path for path in paths if not path.endswith(".tar")]
    missing = [name for name, some in found.items() if not some]
    if not paths or missing or others:
        name = missing[0] if missing else pattern
        match = others[0] if others and not missing else "no file"
        raise DataError(
            f"Training data {name} matches {match}; a pattern "
            "stands for WebDataset .tar shards: check it, or name folders instead."
        )
    shards = [
        ShardEntry(
            path=path,
            domain=Path(path).parent.name or "all",
            is_domain_named=False,
            size=Path(path).stat().st_size,
        )
        for path in paths
    ]
    rates = [rate for shard in shards if (rate := _bytes_per_second(shard)) is not None]
    if not rates:
        raise DataError(f"No readable audio in the shards of {pattern}.")
    # One rate for all: what is drawn more often is what has more bytes.
    rate = median(rates)
    return [replace(shard, duration_s=(shard.size or 0) / rate) for shard in shards]


def _bytes_per_second(shard: ShardEntry) -> float | None:
    """Return the bytes of a second of a shard's first recording; None if it cannot be read."""
    try:
        first = next(_recordings(shard.path), None)
    except (tarfile.TarError, OSError) as error:
        logger.warning("Left out %s: %s", shard.path, error)
        return None
    if first is None:
        return None
    offset, size = first
    entry = measured(AudioEntry(path=shard.path, domain=shard.domain, offset=offset, size=size))
    return None if entry is None else size / entry.duration_s


@lru_cache(maxsize=KEPT_INDEXES)
def _index(path: str) -> _Index:
    try:
        places = np.array(list(_recordings(path)), dtype=np.int64).reshape(-1, 2)
    except (tarfile.TarError, OSError) as error:
        raise AudioError(f"{path} is not a plain tar archive: {error}") from error
    if not len(places):
        raise AudioError(f"{path} holds no recordings")
    offsets, sizes = places.T
    return _Index(offsets, sizes, np.cumsum(sizes))


def _recordings(path: str) -> Iterator[tuple[int, int]]:
    """Yield first byte and size of a tar's sound files that are not empty."""
    with tarfile.open(path, "r:") as archive:
        for member in archive:
            if member.isfile() and member.size and has_suffix(member.name, AUDIO_SUFFIXES):
                yield member.offset_data, member.size
