"""Tar files of small members, the same bytes for the same content."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

_END = 2 * tarfile.BLOCKSIZE  # zeros


def write_tar(path: Path, members: Iterable[tuple[str, bytes]]) -> None:
    """Write members by name in order; no date and no owner is kept."""
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def read_tar(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the names and contents of a tar's files in order, one in memory at a time.

    Raises:
        ValueError: not a tar file, or one that is cut off.
    """
    _check_end(path)
    try:
        with tarfile.open(path, "r|") as tar:
            for member in tar:
                file = tar.extractfile(member)
                if file is not None:
                    yield member.name, file.read()
    except tarfile.TarError as error:
        raise ValueError(str(error)) from error


def _check_end(path: Path) -> None:
    """See that a tar has its end, which `tarfile` does not miss."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _END))
        if file.read() != bytes(_END):
            raise ValueError("the tar is cut off")
