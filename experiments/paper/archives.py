"""Unpacks archives of strangers: nothing outside the folder, no links, no unbounded sizes."""

from __future__ import annotations

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from lzma import LZMAError
from pathlib import Path, PurePosixPath

from semanticodec.errors import DataError

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
MAX_FILES = 100_000
MAX_BYTES = 16 << 30
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
    return path.name.lower().endswith(SUFFIXES)


def unpack(archive: Path, folder: Path) -> None:
    """Write the files of a zip or tar archive below a folder.

    Args:
        archive: archive of a kind that `is_archive` knows.
        folder: made if missing.
    Raises:
        DataError: the archive is damaged, leads outside the folder, holds links or devices, or is
            larger than MAX_FILES or MAX_BYTES when unpacked.
    """
    try:
        if archive.name.lower().endswith(".zip"):
            with zipfile.ZipFile(archive) as opened:
                _check(archive, _zip_members(opened))
                opened.extractall(folder)
        else:
            with tarfile.open(archive) as opened:
                _check(archive, _tar_members(opened))
                opened.extractall(folder, filter="data")
    except DAMAGED as error:
        raise DataError(
            f"{archive} cannot be unpacked ({error}); remove it and download it again"
        ) from error


def _zip_members(opened: zipfile.ZipFile) -> Iterator[tuple[str, int, bool]]:
    """Yield name, size and whether it is a plain file; more bytes than that are never read."""
    for member in opened.infolist():
        kind = stat.S_IFMT(member.external_attr >> 16)
        yield member.filename, member.file_size, member.is_dir() or kind in (0, stat.S_IFREG)


def _tar_members(opened: tarfile.TarFile) -> Iterator[tuple[str, int, bool]]:
    for member in opened:
        yield member.name, member.size, member.isdir() or member.isreg()


def _check(archive: Path, members: Iterator[tuple[str, int, bool]]) -> None:
    total = 0
    for number, (name, size, is_plain) in enumerate(members, start=1):
        relative = PurePosixPath(name)
        # A backslash or a colon parts folders and drives on Windows.
        if relative.is_absolute() or ".." in relative.parts or "\\" in name or ":" in name:
            raise DataError(f"{archive} holds {name!r}, which leads outside; it was not unpacked")
        if not is_plain:
            raise DataError(f"{archive} holds {name}, which is no plain file; it was not unpacked")
        if number > MAX_FILES:
            raise DataError(f"{archive} holds more than {MAX_FILES} files; it was not unpacked")
        total += size
        if total > MAX_BYTES:
            raise DataError(
                f"{archive} unpacks to more than {MAX_BYTES >> 30} GiB; it was not unpacked"
            )
