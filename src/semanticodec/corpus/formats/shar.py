"""Lhotse Shar: cuts without audio, whose custom field `codes` is an array [2, L] of uint16.

FOLDER/shar/cuts.00012.jsonl.gz     MonoCuts; `custom["record"]` has id, source and columns
FOLDER/shar/codes.00012.tar         KEY.npy and KEY.json for each cut, in the same order

`CutSet.from_shar(in_dir="FOLDER/shar")` opens it, and `cut.load_codes()` gives the array. A cut
has the record's key as its id. Columns `text`, `speaker` and `language` make a supervision.

Source: the files that lhotse.shar.SharWriter writes.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from semanticodec.corpus.formats.fields import (
    fields_of,
    ids_of,
    ids_of_npy,
    npy_bytes,
    reading,
    record_of,
    to_line,
)
from semanticodec.corpus.formats.keys import key_of
from semanticodec.corpus.formats.shards import relative, shard_files
from semanticodec.corpus.formats.tars import read_tar, write_tar
from semanticodec.corpus.record import TokenRecord
from semanticodec.files import atomic_path

CUTS, CUTS_SUFFIX = "cuts.", ".jsonl.gz"
CODES, CODES_SUFFIX = "codes.", ".tar"
SUPERVISION_COLUMNS = ("text", "speaker", "language")


class Shar:
    """Lhotse Shar; see the module and `CorpusFormat`."""

    name = "shar"

    def write(self, folder: Path, shard: str, records: Sequence[TokenRecord]) -> list[Path]:
        """Write one shard; see `CorpusFormat.write`."""
        codes = folder / self.name / f"{CODES}{shard}{CODES_SUFFIX}"
        cuts = folder / self.name / f"{CUTS}{shard}{CUTS_SUFFIX}"
        with atomic_path(codes) as partial:
            write_tar(partial, (member for record in records for member in _members(record)))
        lines = "".join(to_line(_cut(record)) for record in records)
        with atomic_path(cuts) as partial:
            partial.write_bytes(gzip.compress(lines.encode(), mtime=0))
        return relative(folder, [codes, cuts])

    def finish(self, folder: Path) -> list[Path]:
        """Return nothing: Lhotse takes the folder."""
        return []

    def read(self, folder: Path) -> Iterator[TokenRecord]:
        """Yield every record; see `CorpusFormat.read`."""
        for cuts in shard_files(folder / self.name, CUTS, CUTS_SUFFIX):
            shard = cuts.name.removeprefix(CUTS).removesuffix(CUTS_SUFFIX)
            codes = cuts.with_name(f"{CODES}{shard}{CODES_SUFFIX}")
            with reading(cuts), gzip.open(cuts, "rt", encoding="utf-8", newline="\n") as lines:
                members = _arrays(codes)
                for line in lines:
                    cut = json.loads(line)
                    name, data = next(members, ("nothing", b""))
                    if name != f"{cut['id']}.npy":
                        raise ValueError(f"{codes.name} has {name} in the place of {cut['id']}.npy")
                    yield record_of(cut["custom"]["record"], ids_of_npy(data))
                if next(members, None) is not None:
                    raise ValueError(f"{codes.name} has more arrays than there are cuts")


def _arrays(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the arrays of a tar, without what is told of each behind it."""
    with reading(path):
        for name, data in read_tar(path):
            if name.endswith(".npy"):
                yield name, data


def _array(record: TokenRecord) -> dict[str, Any]:
    """Return how Lhotse describes the array of a record's codes."""
    return {
        "storage_type": "shar",
        "storage_path": "",
        "storage_key": "",
        "shape": [2, record.codes.num_positions[0]],
    }


def _members(record: TokenRecord) -> Iterator[tuple[str, bytes]]:
    key = key_of(record.id)
    yield f"{key}.npy", npy_bytes(ids_of(record))
    yield f"{key}.json", to_line(_array(record)).encode()


def _cut(record: TokenRecord) -> dict[str, Any]:
    (duration_s,) = record.codes.duration_s
    return {
        "id": key_of(record.id),
        "start": 0,
        "duration": duration_s,
        "channel": 0,
        "supervisions": _supervisions(record, duration_s),
        "recording": _recording(record, duration_s),
        "custom": {"codes": _array(record), "record": fields_of(record)},
        "type": "MonoCut",
    }


def _recording(record: TokenRecord, duration_s: float) -> dict[str, Any]:
    """Return the recording that a cut is of, as its codes decode to it."""
    return {
        "id": key_of(record.id),
        "sources": [],  # its audio may have another sample rate
        "sampling_rate": record.codes.sample_rate,
        "num_samples": record.codes.num_samples[0],
        "duration": duration_s,
        "channel_ids": [0],
    }


def _supervisions(record: TokenRecord, duration_s: float) -> list[dict[str, Any]]:
    told = {
        name: str(record.columns[name])
        for name in SUPERVISION_COLUMNS
        if record.columns.get(name) is not None
    }
    key = key_of(record.id)
    segment = {"id": key, "recording_id": key, "start": 0, "duration": duration_s, "channel": 0}
    return [{**segment, **told}] if told else []
