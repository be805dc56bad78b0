"""PyTorch's own files, as strangers may have made them: tensors alone, and no surprise in memory.

    NAME/data.pkl    names, shapes and places of the tensors; read, so its length is bounded
    NAME/data/0 ...  their numbers; mapped from disk, so they are to lie there as they are

A file of before PyTorch 1.6 is no such archive: pickles one behind the other, then the numbers.
"""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch

from semanticodec.errors import CheckpointError

# Bytes that are read into Python's objects, of which the smallest take 60 times their length. The
# official files, with 2 900 tensors, have 0.4 MB.
LARGEST_LIST = 1 << 24
_TOO_LONG = f"its list of tensors is longer than {LARGEST_LIST >> 20} MiB"
NUMBERS = re.compile(r"[^/]+/data/[^/]+", re.IGNORECASE)


def read_torch_file(path: Path) -> Any:
    """Return what a file written by `torch.save` holds, its tensors mapped from disk.

    Raises:
        CheckpointError: missing, truncated, not a PyTorch file, holding more than tensors and
            their names, or claiming more than it is long.
    """
    is_archive = _check_file(path)
    try:
        if is_archive:
            _check_members(path)
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        with _List(path) as file:
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds something other than tensors, or is damaged; it was not opened, because "
            "such a file can run code. Use the original file of the release"
        ) from error
    # The reader of a hostile or damaged file may fail in any way.
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(
            f"{path} is damaged or no PyTorch checkpoint ({reason}); download it again"
        ) from error


def check_exists(path: Path) -> None:
    """Refuse a path that leads to no file.

    Raises:
        CheckpointError: nothing there, or a folder.
    """
    if not path.is_file():
        kind = "is a folder" if path.is_dir() else "does not exist"
        raise CheckpointError(f"{path} {kind}; give the path of the downloaded file")


def _check_file(path: Path) -> bool:
    """Return whether the file has PyTorch's zip layout; refuse what cannot be a checkpoint."""
    check_exists(path)
    with path.open("rb") as stream:
        start = stream.read(4)
    if zipfile.is_zipfile(path):
        return True
    if start.startswith(b"PK"):
        raise CheckpointError(f"{path} is incomplete (its end is missing); download it again")
    if not start.startswith(b"\x80"):  # every pickle of protocol 2 or later
        raise CheckpointError(
            f"{path} is not a PyTorch checkpoint (it starts with {start!r}); "
            "give the encoder.ckpt or decoder.ckpt of the release"
        )
    return False


def _check_members(path: Path) -> None:
    """Refuse an archive whose parts take more memory than they have bytes, or are two in one.

    Raises:
        ValueError: such an archive.
        zipfile.BadZipFile: no list of its parts.
    """
    with _List(path) as file, zipfile.ZipFile(file) as archive:
        members = archive.infolist()
    if any(
        member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size
        for member in members
    ):
        raise ValueError("it is compressed, which PyTorch's files are not")
    # PyTorch's reader takes capital letters for small ones.
    if len({member.filename.lower() for member in members}) < len(members):
        raise ValueError("two of its parts have one name")
    if sum(member.file_size for member in members) > path.stat().st_size:
        raise ValueError("its parts claim to be longer than the file")
    lists = [member for member in members if not NUMBERS.fullmatch(member.filename)]
    if sum(member.file_size for member in lists) > LARGEST_LIST:
        raise ValueError(_TOO_LONG)


class _List(io.BufferedReader):
    """A file of which Python may read `LARGEST_LIST` bytes, whatever lengths it claims."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._left = LARGEST_LIST

    def read(self, size: int | None = -1) -> bytes:
        """Read as a file does; `ValueError` when it has been too much."""
        return self._counted(super().read(self._most(size)))

    def readline(self, size: int | None = -1) -> bytes:
        """Read as a file does; `ValueError` when it has been too much."""
        return self._counted(super().readline(self._most(size)))

    def _most(self, size: int | None) -> int:
        return self._left + 1 if size is None or size < 0 else min(size, self._left + 1)

    def _counted(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            raise ValueError(_TOO_LONG)
        return data
