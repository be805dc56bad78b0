"""Binary streams that can be read from any byte: copies of pipes, and files put together of pieces.

Standard library only: the command line needs it before it needs torch.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import BinaryIO, NamedTuple, cast

SPOOLED_BYTES = 1 << 25  # a larger copy of a pipe goes to disk


def seekable(stream: BinaryIO, start: bytes = b"") -> BinaryIO:
    """Return `stream` itself if it can be read from any byte, else a copy of what it still gives.

    The copy stands in memory while it is small, then in a temporary file that has no name.

    Args:
        stream: what `open` gives, or anything with `read`.
        start: what was read of it already, and belongs to the copy.
    """
    try:
        stream.seek(stream.tell())
        return stream
    except (OSError, AttributeError):  # io.UnsupportedOperation is an OSError
        copy = tempfile.SpooledTemporaryFile(SPOOLED_BYTES)  # noqa: SIM115  # the caller's to close
        copy.write(start)
        shutil.copyfileobj(stream, copy)
        copy.seek(0)
        return cast(BinaryIO, copy)


def size_of(stream: BinaryIO) -> int:
    """Return the bytes from the start of a seekable stream to its end; the position stays."""
    position = stream.tell()
    try:
        return stream.seek(0, os.SEEK_END) or stream.tell()
    finally:
        stream.seek(position)


class Gap(NamedTuple):
    """Bytes that count for the length of a file and cannot be read: reading ends before them."""

    num_bytes: int


Piece = bytes | range | Gap


class Pieces(io.RawIOBase):
    """Stretches of a file, given as ranges, and bytes of one's own, as a file to read.

    A read gives all that was asked for, except at the end. The file stays open.

    Args:
        file: seekable; nobody else moves it meanwhile.
        pieces: parts of the file, in order.
    """

    def __init__(self, file: BinaryIO, pieces: Sequence[Piece]) -> None:
        self._file = file
        sizes = [piece.num_bytes if isinstance(piece, Gap) else len(piece) for piece in pieces]
        self._pieces = list(zip(pieces, accumulate(sizes, initial=0)))
        self._ends = list(accumulate(sizes))
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the current byte."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a byte and return it."""
        size = self._ends[-1] if self._ends else 0
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: memoryview) -> int:
        """Fill `buffer`, or what of it there are bytes for, and return how many."""
        view = memoryview(buffer).cast("B")
        count = 0
        while count < len(view) and (found := self._read(len(view) - count)):
            view[count : count + len(found)] = found
            count += len(found)
        return count

    def _read(self, size: int) -> bytes:
        """Return up to `size` bytes from one piece; none at the end."""
        number = bisect_right(self._ends, self._position)
        if number == len(self._pieces):
            return b""
        piece, first = self._pieces[number]
        start = self._position - first
        if isinstance(piece, range):
            self._file.seek(piece.start + start)
            found = self._file.read(min(size, len(piece) - start))
        else:
            found = b"" if isinstance(piece, Gap) else piece[start : start + size]
        self._position += len(found)
        return found
