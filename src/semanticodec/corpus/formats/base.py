"""What an output format offers: write a shard, join the shards, read them all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from semanticodec.corpus.record import TokenRecord


class CorpusFormat(Protocol):
    """One way to store records, in FOLDER/NAME/.

    Attributes:
        name: its name on the command line, and its folder's.
    """

    name: str

    def write(self, folder: Path, shard: str, records: Sequence[TokenRecord]) -> list[Path]:
        """Write one shard; each of its files appears whole, replacing what was there.

        The same records give the same bytes.

        Args:
            folder: folder of the corpus.
            shard: name of the shard, such as "00012".
            records: one or more.
        Returns:
            The files, relative to `folder`.
        Raises:
            CodesError: codes that do not fit into 16 bits.
            OutputError: a file cannot be written.
        """
        ...

    def finish(self, folder: Path) -> list[Path]:
        """Join what the shards list into the files that the tool opens; again where need be.

        These hold absolute paths, since the tools open them from any folder: call it again for a
        corpus that has moved.

        Args:
            folder: folder of the corpus.
        Returns:
            The files, relative to `folder`; none where the tool opens the shards themselves.
        Raises:
            OutputError: a file cannot be written.
        """
        ...

    def read(self, folder: Path) -> Iterator[TokenRecord]:
        """Yield every record, in the order of shards, holding little more than one at a time.

        Args:
            folder: folder of the corpus.
        Raises:
            DataError: a damaged file.
        """
        ...
