"""The plan of a corpus: its recordings in order, cut into shards, written before the work begins.

OUT/plan.jsonl    one line per shard: {"shard": "00012", "items": [...]}

A shard is what one worker makes at a time, and all that is lost when it dies. The plan is made
once: a restart goes by it, whatever has become of the sources, and so does every machine. It is
read line by line, so that workers hold one shard of it.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from semanticodec.corpus.item import Place, WorkItem
from semanticodec.errors import DataError
from semanticodec.files import atomic_path, parse_json

PLAN_NAME = "plan.jsonl"
SHARD_DIGITS = 5
# Control characters, and the bytes of file names that are not UTF-8.
_UNWRITABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class ShardLimits:
    """How much a shard holds at most; whichever is reached first.

    Attributes:
        recordings: number of recordings.
        megabytes: size of their sound files, where that is known.
    """

    recordings: int = 1000
    megabytes: int = 256


class ShardPlace(NamedTuple):
    """A shard of a plan, by the place of its line: as little as a queue of many can hold.

    Attributes:
        shard: its name.
        start: first byte of its line.
        num_items: number of its recordings.
    """

    shard: str
    start: int
    num_items: int


def write_plan(folder: Path, items: Iterable[WorkItem], limits: ShardLimits) -> None:
    """Write the plan of a corpus.

    Args:
        folder: output folder of the corpus.
        items: its recordings, in order.
        limits: size of a shard.
    Raises:
        DataError: two recordings of one name, or a name that no file could have.
        OutputError: it cannot be written.
    """
    shards = _cut(with_ids(list(items)), limits)
    with atomic_path(folder / PLAN_NAME) as partial, partial.open("w", encoding="utf-8") as file:
        for number, shard in enumerate(shards):
            file.write(_line(number, shard))


def extend_plan(folder: Path, items: Sequence[WorkItem], limits: ShardLimits) -> None:
    """Add shards that do recordings of the plan once more."""
    old = (folder / PLAN_NAME).read_bytes()
    first = old.count(b"\n")
    lines = "".join(_line(first + at, shard) for at, shard in enumerate(_cut(items, limits)))
    with atomic_path(folder / PLAN_NAME) as partial:
        partial.write_bytes(old + lines.encode())


def read_places(folder: Path) -> Iterator[ShardPlace]:
    """Yield the shards of a plan.

    Raises:
        DataError: the plan is damaged.
    """
    start = 0
    with (folder / PLAN_NAME).open("rb") as file:
        for line in file:
            shard = _parsed(folder, line)
            yield ShardPlace(shard["shard"], start, len(shard["items"]))
            start += len(line)


def read_shard(folder: Path, place: ShardPlace) -> list[WorkItem]:
    """Return the recordings of one shard.

    Raises:
        DataError: the plan is damaged.
    """
    with (folder / PLAN_NAME).open("rb") as file:
        file.seek(place.start)
        found = _parsed(folder, file.readline())
    if found["shard"] != place.shard:
        raise DataError(f"{folder / PLAN_NAME} has changed; start the corpus anew")
    with _damage(folder):
        return [_item(values) for values in found["items"]]


def with_ids(items: Sequence[WorkItem]) -> list[WorkItem]:
    """Return recordings with one name each: the shortest that no other recording has.

    Raises:
        DataError: two recordings of one name, or a name that no file could have.
    """
    levels = [0] * len(items)
    while True:
        names = [item.names[level] for item, level in zip(items, levels)]
        counts = Counter(names)
        clashing = [number for number, name in enumerate(names) if counts[name] > 1]
        if not clashing:
            break
        longer = [at for at in clashing if levels[at] + 1 < len(items[at].names)]
        if not longer:
            one, other = _pair(names, clashing)
            raise DataError(
                f"{names[one]!r} is the name of two recordings ({items[one].source} and "
                f"{items[other].source}); give each an id of its own, or name the source once"
            )
        for number in longer:
            levels[number] += 1
    return [
        replace(item, names=(_checked_id(name, item.source),), source=as_text(item.source))
        for item, name in zip(items, names)
    ]


def _pair(names: Sequence[str], clashing: Sequence[int]) -> tuple[int, int]:
    first = clashing[0]
    return first, next(at for at in clashing[1:] if names[at] == names[first])


def as_text(name: str) -> str:
    r"""Return a name without what text formats cannot hold: control characters become `\n`."""
    return _UNWRITABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), name)


def _checked_id(name: str, source: str) -> str:
    if {"", ".", ".."} & set(name.split("/")):
        raise DataError(
            f"{source}: the id {name!r} could be no file's name; put '/' between names of folders "
            "only, and leave '..' out"
        )
    return as_text(name)


def _cut(items: Sequence[WorkItem], limits: ShardLimits) -> Iterator[list[WorkItem]]:
    shard: list[WorkItem] = []
    num_bytes = 0
    for item in items:
        is_full = num_bytes + item.num_bytes > limits.megabytes * 10**6
        if shard and (is_full or len(shard) == limits.recordings):
            yield shard
            shard, num_bytes = [], 0
        shard.append(item)
        num_bytes += item.num_bytes
    if shard:
        yield shard


def _line(number: int, items: Sequence[WorkItem]) -> str:
    values = {"shard": f"{number:0{SHARD_DIGITS}d}", "items": [asdict(item) for item in items]}
    return json.dumps(values) + "\n"


def _parsed(folder: Path, line: bytes) -> dict[str, Any]:
    with _damage(folder):
        values = parse_json(line)
        shard, items = values["shard"], values["items"]
        if not isinstance(shard, str) or not isinstance(items, list):
            raise TypeError(f"shard {shard!r} of {type(items).__name__}")
        return {"shard": shard, "items": items}


@contextmanager
def _damage(folder: Path) -> Iterator[None]:
    """Say of which file it is that a line is not as it was written."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        path = os.fspath(folder / PLAN_NAME)
        raise DataError(f"{path} is damaged ({error!r}); start the corpus anew") from error


def _item(values: dict[str, Any]) -> WorkItem:
    place = values.pop("place")
    kind, path, parts = place if isinstance(place, list) else place.values()
    return WorkItem(
        **{**values, "names": tuple(values["names"])}, place=Place(kind, path, tuple(parts))
    )
