"""What of a corpus is finished: lines on disk before anybody counts on them.

OUT/shards.jsonl    {"shard": "00012", "ids": [...], "num_samples": N, "files": {path: sha256}}
OUT/errors.jsonl    {"shard": "00012", "id": ..., "source": ..., "reason": ...}

A shard's line comes after its files have their names, so files that no line names are the rest of
a run that was stopped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from semanticodec.errors import ConfigError
from semanticodec.files import output_errors, parse_json, write_text

SHARDS_NAME, ERRORS_NAME = "shards.jsonl", "errors.jsonl"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A recording that could not be encoded.

    Attributes:
        id: its name in the corpus.
        source: its path or key.
        reason: what went wrong.
    """

    id: str
    source: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ShardDone:
    """What has become of a shard.

    Attributes:
        shard: its name.
        ids: recordings in it, in order.
        num_samples: number of their samples at 16 kHz, together.
        files: SHA-256 of its files by their path in the output folder.
        failures: recordings that are not in it.
    """

    shard: str
    ids: Sequence[str]
    num_samples: int
    files: Mapping[str, str]
    failures: Sequence[Failure] = ()


class CorpusJournal:
    """The lines of an output folder; a last line that was cut off is removed.

    Args:
        folder: output folder of a corpus.
    """

    def __init__(self, folder: Path) -> None:
        self._shards, self._errors = folder / SHARDS_NAME, folder / ERRORS_NAME
        for path in (self._shards, self._errors):
            _drop_cut_line(path)

    def shards(self) -> Iterator[dict[str, Any]]:
        """Yield the finished shards' lines, in the order in which they were finished."""
        return _read_lines(self._shards, {"shard": str, "ids": list, "files": dict})

    def append(self, done: ShardDone) -> None:
        """Keep a finished shard, on disk before this returns; its errors come first.

        Raises:
            OutputError: it cannot be written.
        """
        _append(self._errors, [{"shard": done.shard, **asdict(item)} for item in done.failures])
        values = asdict(done)
        del values["failures"]
        _append(self._shards, [values])

    def failures(self) -> list[dict[str, Any]]:
        """Return the errors that stand: the last one of each recording that has no codes."""
        finished, ids = set(), set()
        for line in self.shards():
            finished.add(line["shard"])
            ids.update(map(str, line["ids"]))
        errors = _read_lines(self._errors, {"shard": str, "id": str})
        last = {line["id"]: line for line in errors if line["shard"] in finished}
        return [line for name, line in last.items() if name not in ids]

    def tidy(self) -> list[dict[str, Any]]:
        """Return the errors that stand, and leave only these in `errors.jsonl`."""
        failures = self.failures()
        write_text(self._errors, "".join(map(_line, failures)))
        return failures


def remove_unfinished(folder: Path, format_names: Iterable[str], known: Iterable[str]) -> None:
    """Remove what a run that was stopped has left in the folders of the formats.

    Args:
        folder: output folder of a corpus.
        format_names: names of the formats, which are those of their folders.
        known: paths of all files of finished shards, relative to `folder`.
    """
    kept = {os.path.normpath(name) for name in known}
    for name in format_names:
        for parent, _, names in os.walk(folder / name):
            for path in (Path(parent, name) for name in names):
                if os.path.relpath(path, folder) not in kept:
                    path.unlink()


def _read_lines(path: Path, content: Mapping[str, type]) -> Iterator[dict[str, Any]]:
    """Yield the lines of a journal.

    Args:
        path: the journal.
        content: what every line has, with its type.
    Raises:
        ConfigError: one of them is damaged.
    """
    if not path.is_file():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                values = parse_json(line)
                for name, kind in content.items():
                    if not isinstance(values[name], kind):
                        raise TypeError(f"{name} is {values[name]!r}")
            except (ValueError, KeyError, TypeError) as error:
                raise ConfigError(
                    f"{path}, line {number} is damaged ({error!r}); remove the line, and its shard "
                    "is made again"
                ) from error
            yield values


def _drop_cut_line(path: Path) -> None:
    if not path.is_file():
        return
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        end = size
        while end > 0:
            start = max(0, end - (1 << 16))
            file.seek(start)
            block = file.read(end - start)
            if b"\n" in block:
                end = start + block.rindex(b"\n") + 1
                break
            end = start
        if end < size:
            file.truncate(end)


def _append(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    with output_errors(path), path.open("a", encoding="utf-8") as file:
        file.writelines(map(_line, lines))
        file.flush()
        os.fsync(file.fileno())


def _line(values: Mapping[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=True) + "\n"
