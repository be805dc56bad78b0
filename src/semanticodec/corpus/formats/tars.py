"""Tar files of small members, the same bytes for the same content."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path


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
    try:
        with tarfile.open(path, "r|") as tar:
            for member in tar:
                file = tar.extractfile(member)
                if file is not None:
                    yield member.name, file.read()
                tar.members.clear()  # it keeps every header otherwise
    except tarfile.TarError as error:
        raise ValueError(str(error)) from error
