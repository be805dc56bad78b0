"""WebDataset: one tar per shard, with two members per record.

FOLDER/webdataset/00012.tar     KEY.smtc     codes, as in files of `semanticodec encode`
                                KEY.json     id, source, columns, and the settings of the codes
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from semanticodec.codes import Codes
from semanticodec.corpus.formats.fields import fields_of, reading
from semanticodec.corpus.formats.keys import key_of
from semanticodec.corpus.formats.shards import relative, shard_files
from semanticodec.corpus.formats.tars import read_tar, write_tar
from semanticodec.corpus.record import TokenRecord
from semanticodec.files import atomic_path


class WebDataset:
    """Tars of `.smtc` and `.json`; see the module and `CorpusFormat`."""

    name = "webdataset"

    def write(self, folder: Path, shard: str, records: Sequence[TokenRecord]) -> list[Path]:
        """Write one shard; see `CorpusFormat.write`."""
        path = folder / self.name / f"{shard}.tar"
        with atomic_path(path) as partial:
            write_tar(partial, (member for record in records for member in _members(record)))
        return relative(folder, [path])

    def finish(self, folder: Path) -> list[Path]:
        """Return nothing: readers take the shards."""
        return []

    def read(self, folder: Path) -> Iterator[TokenRecord]:
        """Yield every record; see `CorpusFormat.read`."""
        for path in shard_files(folder / self.name, "", ".tar"):
            with reading(path):
                members = read_tar(path)
                for name, data in members:
                    expected = name.removesuffix(".smtc") + ".json"
                    about, text = next(members, ("nothing", b""))
                    if about != expected:
                        raise ValueError(f"{name} is followed by {about}, not by {expected}")
                    fields = json.loads(text)
                    yield TokenRecord(
                        id=fields["id"],
                        codes=Codes.load(data),
                        source=fields["source"],
                        columns=fields["columns"],
                    )


def _members(record: TokenRecord) -> Iterator[tuple[str, bytes]]:
    key = key_of(record.id)
    codes = io.BytesIO()
    record.codes.save(codes)
    yield f"{key}.smtc", codes.getvalue()
    yield f"{key}.json", json.dumps(fields_of(record), ensure_ascii=False).encode()
