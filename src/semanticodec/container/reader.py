"""Read `.smtc` streams block by block, from a file, bytes or a pipe, in bounded memory."""

import io
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from semanticodec.container.format import HEADER_START, Header, header_size
from semanticodec.container.framing import (
    LEAST_SHARE,
    Block,
    Head,
    PayloadCoder,
    block_size,
    check_coder,
    crc_name,
    head_problem,
    head_size,
    is_crc_right,
    read_head,
    stream_size,
    unpack_block,
    whole_size,
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
        return _read_header(file)
    finally:
        if is_owned:
            file.close()


def read(
    source: Source, *, conceal: bool = False, coder: PayloadCoder | None = None
) -> tuple[Header, NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return a whole stream.

    Args:
        source: a path, the bytes of a stream, or a binary file object or pipe.
        conceal: stand in for damaged blocks (see Reader) instead of raising.
        coder: what decodes entropy-coded payloads; plain ones need none.
    Returns:
        The header with the number of samples that the positions really hold; semantic codes
        [L]; acoustic codes [L]; and which positions are concealed [L].
    Raises:
        ContainerError: not a valid stream; with `conceal`, a damaged header or no block at all.
    """
    # Growing byte strings, not a list of arrays: a file of tiny blocks would cost 50 times
    # its size in array objects.
    streams = bytearray(), bytearray(), bytearray()
    with Reader(source, conceal=conceal, coder=coder) as reader:
        for block in reader:
            streams[0].extend(block.semantic.tobytes())
            streams[1].extend(block.acoustic.tobytes())
            streams[2].extend(bytes([block.is_concealed]) * len(block))
    header = replace(reader.header, num_samples=reader.num_samples_read)
    semantic, acoustic = (np.frombuffer(stream, np.int64) for stream in streams[:2])
    return header, semantic, acoustic, np.frombuffer(streams[2], np.bool_)


class Reader:
    """The blocks of a `.smtc` stream in order; a context manager and a one-pass iterator.

    At most three blocks are held at a time, whatever the stream claims. Without `conceal` the
    first fault raises. With it, each damaged block is replaced by repeats of the last good
    column (zeros where there is none), flagged by `Block.is_concealed`, and reading goes on at
    the next block whose checksum is right; what is cut off at the end of a stream is not made up:
    the audio ends earlier, and `num_samples_read` says where.

    Args:
        source: a path, the bytes of a stream, or a binary file object or pipe (left open).
        conceal: whether damaged blocks are replaced.
        coder: what decodes entropy-coded payloads; plain ones need none.
    Raises:
        ContainerError: not a header that this release reads, a file that is shorter than its
            header says (without `conceal`), or not the coder that the header names.
    """

    header: Header

    def __init__(
        self, source: Source, *, conceal: bool = False, coder: PayloadCoder | None = None
    ) -> None:
        self._conceal = conceal
        self._coder = coder
        self._file, self._is_owned = _open(source)
        self._num_positions = 0
        self._buffer = bytearray()  # read and not yet used; starts at byte _offset of the stream
        try:
            self.header = _read_header(self._file)
            self._offset = self.header.size
            check_coder(self.header, coder)
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
        size = self.header.size + self._file.seek(0, os.SEEK_END) - here
        self._file.seek(here)
        least = stream_size(promised, self.header)
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
        """Return the block at the start of the buffer, or (concealing) its replacement."""
        missing = self._missing()
        if missing == 0:
            raise ContainerError(
                f"the stream goes on at byte {self._offset} behind its last block: cut the rest "
                "off, or read it with concealment"
            )
        block, problem = self._sound_block()
        if block and missing is not None and len(block) > missing and not self._conceal:
            problem = f"{len(block)} positions, where the header leaves {missing}"
        problem = problem and f"block {number} at byte {self._offset}: {problem}"
        if problem and not self._conceal:
            raise ContainerError(
                f"{problem}; fetch or encode the file again, or read it with concealment"
            )
        if block is None:
            lost = self._skip_damage()
            repeats = lost // len(self._last_column[0])
            codes = [np.tile(column, repeats) for column in self._last_column]
            block = Block(*codes, damage=problem)
        else:
            self._take(whole_size(self._head(0), self.header))
            column = len(self._last_column[0])
            self._last_column = block.semantic[-column:].copy(), block.acoustic[-column:].copy()
        if missing is not None and len(block) > missing:
            block = replace(
                block, semantic=block.semantic[:missing], acoustic=block.acoustic[:missing]
            )
        return block

    def _sound_block(self) -> tuple[Block | None, str]:
        """Return the block at the start of the buffer, or None and what is wrong with it."""
        problem = self._problem(0)
        if problem:
            return None, problem
        data = bytes(self._buffer[: whole_size(self._head(0), self.header)])
        try:
            return unpack_block(data, self.header, self._coder), ""
        except ContainerError as error:
            return None, str(error)

    def _head(self, start: int) -> Head:
        return read_head(self._buffer[start : start + head_size(self.header)], self.header)

    def _problem(self, start: int) -> str:
        """Say what is wrong with a block at byte `start` of the buffer; empty if nothing."""
        least = head_size(self.header)
        if self._fill(start + least) - start < least:
            return "cut off inside its head"
        head = self._head(start)
        problem = head_problem(head, self.header)
        if problem:
            return problem
        size = whole_size(head, self.header)
        available = self._fill(start + size) - start
        if available < size:
            return f"cut off after {available} of {size} bytes"
        is_right = is_crc_right(self._buffer[start : start + size], self.header)
        return "" if is_right else f"damaged (its {crc_name(self.header)} does not match)"

    def _skip_damage(self) -> int:
        """Drop the bytes up to the next sound block and return how many positions they held."""
        head = None
        if self._fill(head_size(self.header)) >= head_size(self.header):
            head = self._head(0)
            head = None if head_problem(head, self.header) else head
        stated_size = whole_size(head, self.header) if head else 0
        gap = self._distance_to_sound_block(stated_size)
        is_end = self._fill(gap + 1) <= gap
        self._take(gap)
        if head and (gap == stated_size or (is_end and gap < stated_size)):
            return head.num_positions
        # The head itself is damaged: as many whole columns as so many bytes can carry, or, where
        # coding hides their number, one window, which all blocks but the last have.
        framing_size = block_size(0, self.header)
        carried = max(gap - framing_size, 0) * 8 // self.header.bits_per_position
        if self.header.tables is not None and carried:
            carried = min(carried * LEAST_SHARE, self.header.format.positions_per_window)
        return carried - carried % self.header.format.positions_per_column

    def _distance_to_sound_block(self, stated_size: int) -> int:
        """Return the bytes to the next sound block or the end of the stream, at most one block.

        Any place with a right checksum will do for want of a better one, but one in 65 536 is
        right by chance: first comes the place that the block itself states, then one that is
        followed by another sound block or the end.
        """
        longest = block_size(self.header.format.positions_per_window, self.header)
        available = self._fill(longest + head_size(self.header))
        is_last = self._fill(stated_size + 1) == stated_size
        if stated_size and (is_last or not self._problem(stated_size)):
            return stated_size
        found = [place for place in self._likely_places(longest) if not self._problem(place)]
        for place in found:
            behind = place + whole_size(self._head(place), self.header)
            if self._fill(behind + 1) <= behind or not self._problem(behind):
                return place
        return found[0] if found else min(longest, available)

    def _likely_places(self, longest: int) -> NDArray[np.int64]:
        """Return where in the buffer the head of a block may stand, behind its start."""
        heads = head_size(self.header)
        octets = np.frombuffer(bytes(self._buffer[: longest + heads - 1]), np.uint8)
        grid = self.header.format
        if self.header.version == 1:  # positions, u16
            counts = octets[:-1] + (octets[1:].astype(np.int64) << 8)
        else:
            columns = octets[: len(octets) - heads + 1].astype(np.int64)
            if self.header.tables is not None:
                columns &= 0x7F
            counts = columns * grid.positions_per_column
        is_count = (counts > 0) & (counts <= grid.positions_per_window)
        is_count &= counts % grid.positions_per_column == 0
        places = np.flatnonzero(is_count)
        return places[places > 0]

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
        except (OSError, ValueError) as error:  # ValueError: a null character in the name
            reason = getattr(error, "strerror", None) or str(error)
            raise ContainerError(
                f"{os.fspath(source)} cannot be read ({reason}); give a .smtc file"
            ) from error
    if not hasattr(source, "read"):
        raise ContainerError(
            f"{type(source).__name__} is not a .smtc stream; give a path, bytes or a binary file"
        )
    return source, False


def _read_header(file: BinaryIO) -> Header:
    data = bytes(_read_up_to(file, HEADER_START))
    return Header.from_bytes(data + bytes(_read_up_to(file, header_size(data) - len(data))))


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
