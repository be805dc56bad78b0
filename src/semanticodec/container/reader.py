"""Read `.smtc` streams block by block, from a file, bytes or a pipe, in bounded memory."""

import io
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from semanticodec.container.format import (
    COUNT_SIZE,
    HEADER_SIZE,
    Block,
    Header,
    count_problem,
    is_crc_right,
    read_count,
    unpack_block,
)
from semanticodec.errors import ContainerError

Source = str | os.PathLike[str] | bytes | BinaryIO


def read_header(source: Source) -> Header:
    """Return the header alone; the blocks are neither read nor checked.

    Args:
        source: a path, the bytes of a stream, or a binary file object or pipe (left open
            behind the header).
    Raises:
        ContainerError: not a header that this release reads.
    """
    file, is_owned = _open(source)
    try:
        return Header.from_bytes(bytes(_read_up_to(file, HEADER_SIZE)))
    finally:
        if is_owned:
            file.close()


def read(
    source: Source, *, conceal: bool = False
) -> tuple[Header, NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return a whole stream.

    Args:
        source: a path, the bytes of a stream, or a binary file object or pipe.
        conceal: stand in for damaged blocks (see Reader) instead of raising.
    Returns:
        The header with the number of samples that the positions really hold; semantic codes
        [L]; acoustic codes [L]; and which positions are concealed [L].
    Raises:
        ContainerError: not a valid stream; with `conceal`, a damaged header or no block at all.
    """
    # Growing byte strings, not a list of arrays: a file of tiny blocks would cost 50 times
    # its size in array objects.
    streams = bytearray(), bytearray(), bytearray()
    with Reader(source, conceal=conceal) as reader:
        for block in reader:
            streams[0].extend(block.semantic.tobytes())
            streams[1].extend(block.acoustic.tobytes())
            streams[2].extend(bytes([block.is_concealed]) * len(block))
    header = replace(reader.header, num_samples=reader.num_samples_read)
    semantic, acoustic = (np.frombuffer(stream, np.int64) for stream in streams[:2])
    return header, semantic, acoustic, np.frombuffer(streams[2], np.bool_)


class Reader:
    """The blocks of a `.smtc` stream in order; a context manager and a one-pass iterator.

    At most two blocks are held at a time, whatever the stream claims. Without `conceal` the
    first fault raises. With it, each damaged block is replaced by repeats of the last good
    column (zeros where there is none), flagged by `Block.is_concealed`, and reading goes on at
    the next block whose CRC-32 is right; what is cut off at the end of a stream is not made up:
    the audio ends earlier, and `num_samples_read` says where.

    Args:
        source: a path, the bytes of a stream, or a binary file object or pipe (left open).
        conceal: whether damaged blocks are replaced.
    Raises:
        ContainerError: not a header that this release reads, or a file that is shorter than
            its header says (without `conceal`).
    """

    header: Header

    def __init__(self, source: Source, *, conceal: bool = False) -> None:
        self._conceal = conceal
        self._file, self._is_owned = _open(source)
        self._num_positions = 0
        self._buffer = bytearray()  # read and not yet used; starts at byte _offset of the stream
        self._offset = HEADER_SIZE
        try:
            self.header = Header.from_bytes(bytes(_read_up_to(self._file, HEADER_SIZE)))
            if not conceal:
                self._check_size()
        except BaseException:
            self.close()
            raise
        column = np.zeros(self.header.format.positions_per_column, np.int64)
        self._last_column = column, column

    @property
    def num_samples_read(self) -> int:
        """Samples of audio that the blocks so far decode to."""
        covered = self._num_positions * self.header.format.samples_per_position
        promised = self.header.num_samples
        return covered if promised is None else min(covered, promised)

    def __iter__(self) -> Iterator[Block]:
        """Yield the blocks, each of at most one window.

        Raises:
            ContainerError: a damaged block (its number and byte offset are named), a stream
                that ends early or goes on after its end; with `conceal`, no block at all.
        """
        number = 0
        while not (self._conceal and self._missing() == 0) and self._fill(1):
            block = self._next_block(number)
            number += 1
            if len(block):
                self._num_positions += len(block)
                yield block
        missing = self._missing()
        if self._num_positions == 0:
            raise ContainerError("the stream ends behind its header: it holds no codes to decode")
        if missing and not self._conceal:
            raise ContainerError(
                f"the stream ends at byte {self._offset}, after {number} blocks, "
                f"{missing} positions early: fetch or encode it again, or read it with concealment"
            )

    def close(self) -> None:
        """Close the file if this reader opened it."""
        if self._is_owned:
            self._file.close()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _check_size(self) -> None:
        """Refuse at once a file that cannot hold what its header promises."""
        promised = self.header.num_positions
        if promised is None or not self._file.seekable():
            return
        here = self._file.tell()
        size = HEADER_SIZE + self._file.seek(0, os.SEEK_END) - here
        self._file.seek(here)
        least = self.header.stream_size(promised)
        if size < least:
            raise ContainerError(
                f"the stream has {size} bytes; the {self.header.num_samples} samples of its "
                f"header take at least {least}: fetch or encode it again, or read it with "
                "concealment"
            )

    def _missing(self) -> int | None:
        """Return the positions still to come; None where the header does not say."""
        promised = self.header.num_positions
        return None if promised is None else promised - self._num_positions

    def _next_block(self, number: int) -> Block:
        """Return the block at the start of the buffer, or (concealing) what stands in for it."""
        missing = self._missing()
        if missing == 0:
            raise ContainerError(
                f"the stream goes on at byte {self._offset} behind its last block: cut the rest "
                "off, or read it with concealment"
            )
        problem = self._problem(0)
        count = 0 if problem else read_count(self._buffer)
        if not problem and missing is not None and count > missing and not self._conceal:
            problem = f"{count} positions, where the header leaves {missing}"
        problem = problem and f"block {number} at byte {self._offset}: {problem}"
        if problem and not self._conceal:
            raise ContainerError(
                f"{problem}; fetch or encode the file again, or read it with concealment"
            )
        if problem:
            lost = self._skip_damage()
            repeats = lost // len(self._last_column[0])
            codes = [np.tile(column, repeats) for column in self._last_column]
            block = Block(*codes, damage=problem)
        else:
            block = unpack_block(self._take(self.header.block_size(count)), self.header)
            column = len(self._last_column[0])
            self._last_column = block.semantic[-column:].copy(), block.acoustic[-column:].copy()
        if missing is not None and len(block) > missing:
            block = replace(
                block, semantic=block.semantic[:missing], acoustic=block.acoustic[:missing]
            )
        return block

    def _problem(self, start: int) -> str:
        """Say what is wrong with a block at byte `start` of the buffer; empty if nothing."""
        available = self._fill(start + COUNT_SIZE) - start
        if available < COUNT_SIZE:
            return "cut off inside its count"
        count = read_count(self._buffer[start : start + COUNT_SIZE])
        problem = count_problem(count, self.header.format)
        if problem:
            return problem
        size = self.header.block_size(count)
        available = self._fill(start + size) - start
        if available < size:
            return f"cut off after {available} of {size} bytes"
        is_right = is_crc_right(self._buffer[start : start + size])
        return "" if is_right else "damaged (its CRC-32 does not match)"

    def _skip_damage(self) -> int:
        """Drop the bytes up to the next sound block and return how many positions they held."""
        longest = self.header.block_size(self.header.format.positions_per_window)
        stated = read_count(self._buffer) if self._fill(COUNT_SIZE) >= COUNT_SIZE else 0
        gap = self._distance_to_sound_block(longest)
        is_end = self._fill(gap + 1) <= gap
        self._take(gap)
        if not count_problem(stated, self.header.format):
            stated_size = self.header.block_size(stated)
            if gap == stated_size or (is_end and gap < stated_size):
                return stated
        # The count itself is damaged: as many whole columns as so many bytes can carry.
        framing_size = self.header.block_size(0)
        carried = max(gap - framing_size, 0) * 8 // self.header.bits_per_position
        return carried - carried % self.header.format.positions_per_column

    def _distance_to_sound_block(self, longest: int) -> int:
        """Return the bytes to the next sound block or the end of the stream, at most `longest`."""
        available = self._fill(longest + COUNT_SIZE)
        octets = np.frombuffer(bytes(self._buffer[: longest + COUNT_SIZE - 1]), np.uint8)
        counts = octets[:-1] + (octets[1:].astype(np.int64) << 8)  # as if a block began anywhere
        grid = self.header.format
        is_count = (counts > 0) & (counts <= grid.positions_per_window)
        is_count &= counts % grid.positions_per_column == 0
        for place in np.flatnonzero(is_count):
            if place > 0 and not self._problem(int(place)):
                return int(place)
        return min(longest, available)

    def _fill(self, size: int) -> int:
        """Read until the buffer holds `size` bytes or the stream ends; return what it holds."""
        self._buffer += _read_up_to(self._file, size - len(self._buffer))
        return len(self._buffer)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._offset += size
        return taken


def _open(source: Source) -> tuple[BinaryIO, bool]:
    """Return the file and whether closing it is up to us."""
    if isinstance(source, bytes):
        return io.BytesIO(source), True
    if isinstance(source, (str, os.PathLike)):
        try:
            return open(source, "rb"), True
        except OSError as error:
            raise ContainerError(
                f"{os.fspath(source)} cannot be read ({error.strerror}); give a .smtc file"
            ) from error
    if not hasattr(source, "read"):
        raise ContainerError(
            f"{type(source).__name__} is not a .smtc stream; give a path, bytes or a binary file"
        )
    return source, False


def _read_up_to(file: BinaryIO, size: int) -> bytearray:
    data = bytearray()
    while len(data) < size:  # a pipe may bring less than asked
        piece = file.read(size - len(data))
        if not piece:
            break
        if isinstance(piece, str):
            raise ContainerError("the stream gives text; open the .smtc file in binary mode, 'rb'")
        data += piece
    return data
