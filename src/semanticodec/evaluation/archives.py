"""Unpacks archives of strangers: nothing outside the folder, no links, no unbounded sizes."""

from __future__ import annotations

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO

from semanticodec.errors import DataError

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
MAX_FILES = 100_000
MAX_BYTES = 16 << 30
BLOCK_BYTES = 1 << 20
# RuntimeError: encrypted, or packed in a way that Python does not know.
DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    LZMAError,
    EOFError,
    RuntimeError,
)


def is_archive(path: Path) -> bool:
    """Return whether `unpack` takes the file, by its name."""
    return path.name.lower().endswith((".zip", *TAR_SUFFIXES))


def unpack(archive: Path, folder: Path) -> None:
    """Write the files of a zip or tar archive below a folder.

    Args:
        archive: of a kind that `is_archive` knows.
        folder: made if missing.
    Raises:
        DataError: the archive is damaged, leads outside the folder, holds links or devices, or is
            larger than MAX_FILES or MAX_BYTES when unpacked.
    """
    members = _zip_members if archive.name.lower().endswith(".zip") else _tar_members
    room = MAX_BYTES
    try:
        for number, (name, stream) in enumerate(members(archive), start=1):
            if number > MAX_FILES:
                raise DataError(f"{archive} holds more than {MAX_FILES} files; it was not unpacked")
            target = _inside(folder, name, archive)
            target.parent.mkdir(parents=True, exist_ok=True)
            room -= _write(stream, target, room, archive)
    except DAMAGED as error:
        raise DataError(
            f"{archive} cannot be unpacked ({error}); remove it and download it again"
        ) from error


def _zip_members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            if member.is_dir():
                continue
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG):
                raise DataError(f"{archive} holds {member.filename}, which is no plain file")
            with opened.open(member) as stream:
                yield member.filename, stream


def _tar_members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(archive) as opened:
        for member in opened:
            if member.isdir():
                continue
            stream = opened.extractfile(member) if member.isreg() else None
            if stream is None:
                raise DataError(f"{archive} holds {member.name}, which is no plain file")
            with stream:
                yield member.name, stream


def _inside(folder: Path, name: str, archive: Path) -> Path:
    relative = PurePosixPath(name)
    # A backslash or a colon parts folders and drives on Windows.
    if relative.is_absolute() or ".." in relative.parts or "\\" in name or ":" in name:
        raise DataError(f"{archive} holds {name!r}, which leads outside; it was not unpacked")
    return folder / relative


def _write(stream: IO[bytes], target: Path, room: int, archive: Path) -> int:
    """Copy a member, counting what really comes: headers may lie about sizes."""
    written = 0
    with target.open("xb") as file:
        while block := stream.read(BLOCK_BYTES):
            written += len(block)
            if written > room:
                raise DataError(f"{archive} unpacks to more than {MAX_BYTES >> 30} GiB; stopped")
            file.write(block)
    return written
