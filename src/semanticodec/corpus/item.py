"""One recording to encode: its name, where its bytes are, and which part of it is meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from semanticodec.corpus.record import Column


class Place(NamedTuple):
    """Where the bytes of a recording are.

    Attributes:
        kind: one of `sources.PLACES`, which knows how to open it.
        path: the file.
        parts: numbers that find the recording in the file, by kind.
    """

    kind: str
    path: str
    parts: tuple[int | str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class WorkItem:
    """One recording, or a segment of one.

    Attributes:
        names: what it may be called, the shortest first; the plan takes the first that is unique
            in the corpus. An only name is the source's own word and has to be unique.
        source: path or key in messages and records.
        place: where its bytes are.
        offset_s: start of the segment in seconds.
        duration_s: length of the segment in seconds; None: up to the end.
        columns: what the source says of it besides.
        num_bytes: size of its file as far as it is known, by which shards are measured.
    """

    names: tuple[str, ...]
    source: str
    place: Place
    offset_s: float = 0.0
    duration_s: float | None = None
    columns: Mapping[str, Column] = field(default_factory=dict)
    num_bytes: int = 0

    @property
    def id(self) -> str:
        """Its name in the corpus, once the plan has left it one."""
        return self.names[0]

    @property
    def is_segment(self) -> bool:
        """Whether only a part of the recording is meant."""
        return self.offset_s > 0 or self.duration_s is not None
