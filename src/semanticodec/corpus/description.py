"""`dataset.json`: what a corpus is, and the checksum of every file, so that copies can be checked.

{"format": 1, "model": ..., "fingerprint": ..., "token_rate": ..., "settings": {...},
 "formats": ["parquet"], "num_recordings": ..., "num_samples": ..., "hours": ...,
 "shards": [{"shard": "00012", "num_recordings": ..., "num_samples": ..., "files": {path: sha256}}],
 "joined": {path: sha256}, "date": ..., "machine": ..., "versions": ...}

Standard library only, until it is written: the command line needs it before it needs torch.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from semanticodec.errors import DataError
from semanticodec.files import file_digest, read_json, write_json
from semanticodec.progress import ProgressBar
from semanticodec.runs import plain
from semanticodec.token_format import TokenFormat

DESCRIPTION_NAME = "dataset.json"
VERSION = 1
SECONDS_PER_HOUR = 3600
# What every reader may count on, with its type.
_CONTENT = {
    "model": str,
    "fingerprint": str,
    "token_rate": int,
    "sample_rate": int,
    "semantic_vocab_size": int,
    "acoustic_vocab_size": int,
    "formats": list,
    "num_recordings": int,
    "num_samples": int,
    "shards": list,
    "joined": dict,
}


def write_description(
    folder: Path,
    *,
    model: str,
    fingerprint: bytes,
    format: TokenFormat,
    formats: Sequence[str],
    settings: Mapping[str, Any],
    shards: Iterable[Mapping[str, Any]],
    joined: Iterable[Path],
) -> Path:
    """Write `dataset.json` of a finished corpus and return its path.

    Args:
        folder: folder of the corpus.
        model: model that made the codes, as the user named it.
        fingerprint: its 8 bytes.
        format: its token rate, vocabularies and sample rate.
        formats: names of the output formats.
        settings: what else the corpus depends on, ready for `plain`.
        shards: lines of `shards.jsonl`; each has `shard`, `ids`, `num_samples` and `files`.
        joined: what `CorpusFormat.finish` returned, relative to `folder`.
    Raises:
        OutputError: the file cannot be written.
    """
    from semanticodec.provenance import provenance

    described = sorted(map(_shard, shards), key=lambda shard: shard["shard"])
    num_samples = sum(shard["num_samples"] for shard in described)
    content = {
        "format": VERSION,
        "model": model,
        "fingerprint": fingerprint.hex(),
        **asdict(format),
        "settings": plain(settings),
        "formats": list(formats),
        "num_recordings": sum(shard["num_recordings"] for shard in described),
        "num_samples": num_samples,
        "hours": round(num_samples / format.sample_rate / SECONDS_PER_HOUR, 6),
        "shards": described,
        "joined": {path.as_posix(): file_digest(folder / path) for path in joined},
        **provenance("pyarrow", "ray"),
    }
    path = folder / DESCRIPTION_NAME
    write_json(path, content)
    return path


def read_description(folder: Path) -> dict[str, Any]:
    """Return what `dataset.json` says.

    Raises:
        DataError: it is missing, damaged or of another version.
    """
    path = folder / DESCRIPTION_NAME
    advice = "run the `semanticodec tokenize` that made the corpus again"
    try:
        content = read_json(path)
        if content["format"] != VERSION:
            raise DataError(
                f"{path} has format {content['format']}, this version reads {VERSION}: a newer "
                "release of semanticodec may read it"
            )
        _check(content)
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing: no corpus, or an unfinished one; {advice}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is damaged ({error!r}); {advice}") from error
    return content


def verify(folder: Path, *, show_progress: bool = False) -> list[str]:
    """Return what is wrong with the files of a corpus, one sentence each; nothing if all is well.

    Args:
        folder: folder of the corpus.
        show_progress: whether to show progress on stderr, to those who watch.
    Raises:
        DataError: there is no `dataset.json` to check them with.
    """
    content = read_description(folder)
    digests = dict(_digests(content))
    watched = ProgressBar(digests.items(), unit="file", shown=show_progress, has_summary=False)
    problems = [problem for name, digest in watched if (problem := _problem(folder, name, digest))]
    present = {name for format in content["formats"] for name in _files(folder, format)}
    problems += [f"{name} belongs to no shard" for name in sorted(present - set(digests))]
    return problems


def _shard(line: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "shard": line["shard"],
        "num_recordings": len(line["ids"]),
        "num_samples": line["num_samples"],
        "files": dict(line["files"]),
    }


def _check(content: Mapping[str, Any]) -> None:
    """Raise a KeyError, TypeError or AttributeError where something is missing or odd."""
    for name, kind in _CONTENT.items():
        if not isinstance(content[name], kind):
            raise TypeError(f"{name} is {content[name]!r}")
    for path, digest in _digests(content):
        if not isinstance(digest, str):
            raise TypeError(f"the checksum of {path} is {digest!r}")


def _digests(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the path and the checksum of every file of a corpus."""
    for shard in content["shards"]:
        yield from shard["files"].items()
    yield from content["joined"].items()


def _problem(folder: Path, name: str, digest: str) -> str:
    """Say what is wrong with a file; empty if nothing."""
    try:
        return "" if file_digest(folder / name) == digest else f"{name} has changed"
    except FileNotFoundError:
        return f"{name} is missing"
    except OSError as error:
        return f"{name} cannot be read ({error.strerror})"


def _files(folder: Path, format: str) -> Iterator[str]:
    """Yield the files of a format, relative to the folder of the corpus."""
    for parent, _, names in os.walk(folder / format):
        yield from (Path(parent, name).relative_to(folder).as_posix() for name in names)
