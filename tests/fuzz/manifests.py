"""Any table of recordings or file of a corpus: an error that says so, or items."""

import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

from semanticodec.corpus.description import read_description
from semanticodec.corpus.journal import CorpusJournal
from semanticodec.corpus.plan import read_places, read_shard, with_ids
from semanticodec.corpus.sources import kaldi, manifest
from semanticodec.errors import SemantiCodecError
from semanticodec.training.sources import find_entries


def _items(read: Callable[[Path, Path], Iterable]) -> Callable[[Path], object]:
    return lambda path: with_ids(list(read(path, Path(path.name))))


def _shards(path: Path) -> object:
    return [read_shard(path.parent, place) for place in read_places(path.parent)]


# How each file is read.
READERS: dict[str, Callable[[Path], object]] = {
    "a.csv": _items(manifest.items),
    "a.tsv": _items(manifest.items),
    "a.jsonl": _items(manifest.items),
    "wav.scp": _items(kaldi.items),
    "segments": lambda path: _items(kaldi.items)(path.with_name("wav.scp")),
    "train.csv": lambda path: find_entries((path,)),
    "train.jsonl": lambda path: find_entries((path,)),
    "plan.jsonl": _shards,
    "shards.jsonl": lambda path: CorpusJournal(path.parent).tidy(),
    "errors.jsonl": lambda path: CorpusJournal(path.parent).tidy(),
    "dataset.json": lambda path: read_description(path.parent),
}
SCRIPT = "one one.wav\ntwo two.wav\n"


@cache
def _folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory()


def check(data: bytes) -> None:
    """Read a file.

    Args:
        data: the first byte chooses the kind, the others are the file.
    """
    name = list(READERS)[(data[0] if data else 0) % len(READERS)]
    folder = Path(_folder().name)
    for old in folder.iterdir():
        old.unlink()
    if name == "segments":
        (folder / "wav.scp").write_text(SCRIPT)
    if name == "errors.jsonl":
        (folder / "shards.jsonl").write_text('{"shard": "0", "ids": ["one"]}\n')
    (folder / name).write_bytes(data[1:])
    with suppress(SemantiCodecError):
        READERS[name](folder / name)
