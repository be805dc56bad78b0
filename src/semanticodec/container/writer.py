"""Write `.smtc` streams block by block, to a file at once or to a pipe as it comes."""

import os
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from semanticodec.container.format import Header
from semanticodec.container.framing import (
    Block,
    PayloadCoder,
    check_coder,
    count_problem,
    pack_block,
)
from semanticodec.errors import ContainerError
from semanticodec.files import PendingFile, is_stream, open_stream, output_errors

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None

Target = str | os.PathLike[str] | BinaryIO


def write(
    target: Target, header: Header, blocks: Iterable[Block], coder: PayloadCoder | None = None
) -> None:
    """Write a whole stream; a path appears only when the last block is written.

    Args:
        target: a path, or a binary file object or pipe (left open).
        header: header of the stream; with num_samples None the blocks decide.
        blocks: blocks in order, each of at most one window.
        coder: what entropy-codes the payloads where the header names its tables.
    Raises:
        ContainerError: codes outside the vocabulary, or blocks that do not fit the header.
    """
    with Writer(target, header, coder) as writer:
        for block in blocks:
            writer.write_block(block.semantic, block.acoustic)


class Writer:
    """A `.smtc` stream that grows block by block; use it as a context manager.

    A path is written under a temporary name and renamed by `close`, so that nobody meets half
    a file; an exception inside the `with` removes it. A file object is flushed after every
    block and stays open. With header.num_samples None the header says "unknown", and `close`
    corrects it where the target can seek; in a pipe it stays, and a reader takes the audio to
    fill its last column.

    Args:
        target: a path, or a binary file object or pipe.
        header: header of the stream.
        coder: what entropy-codes the payloads where the header names its tables.
    Raises:
        ContainerError: not the coder that the header names.
    """

    def __init__(self, target: Target, header: Header, coder: PayloadCoder | None = None) -> None:
        check_coder(header, coder)
        self._header = header
        self._coder = None if header.tables is None else coder
        self._num_positions = 0
        self._path: str | os.PathLike[str] | None = None
        self._pending: PendingFile | None = None
        self._is_closed = False
        if isinstance(target, (str, os.PathLike)):
            self._file = self._open(target)
        else:
            self._file = target
        try:
            self._start = self._file.tell() if _can_rewrite(self._file) else None
            self._write(header.to_bytes())
        except BaseException:
            self.abort()
            raise

    def write_block(self, semantic: NDArray[np.integer], acoustic: NDArray[np.integer]) -> None:
        """Append one block.

        Args:
            semantic: codes [L], whole columns, at most one window.
            acoustic: codes [L].
        Raises:
            ContainerError: wrong shape, type or range, or more than header.num_samples needs;
                nothing has been written then.
        """
        if self._is_closed:
            raise ContainerError("the writer is closed; open another one for another stream")
        arrays = np.asarray(semantic), np.asarray(acoustic)
        _check_codes(*arrays, self._header)
        total, allowed = self._num_positions + len(arrays[0]), self._header.num_positions
        if allowed is not None and total > allowed:
            raise ContainerError(
                f"{total} positions; the header's {self._header.num_samples} samples take "
                f"{allowed}: write fewer, or give the right num_samples"
            )
        self._write(pack_block(*arrays, self._header, self._coder))
        self._num_positions = total

    def close(self, num_samples: int | None = None) -> None:
        """Finish the stream: correct the header and give a path its name. Once is enough.

        Args:
            num_samples: the length of the audio where the header did not know it; without it
                the audio is taken to fill the positions.
        Raises:
            ContainerError: no block, or positions that are not those of num_samples. A path is
                not written then.
        """
        if self._is_closed:
            return
        try:
            header = self._final_header(num_samples)
            if header != self._header and self._start is not None:
                end = self._file.tell()
                self._file.seek(self._start)
                self._write(header.to_bytes())
                self._file.seek(end)
            if self._path is not None:
                with output_errors(self._path):
                    self._file.close()
            if self._pending is not None:
                self._pending.publish()
        except BaseException:
            self.abort()
            raise
        self._is_closed = True

    def abort(self) -> None:
        """Give up: remove the unfinished file; what went into a pipe stays there."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._path is not None:
            with suppress(OSError):  # a full disk has been reported already
                self._file.close()
        if self._pending is not None:
            self._pending.discard()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *exception: object) -> None:
        if exception == (None, None, None):
            self.close()
        else:
            self.abort()

    def _open(self, path: str | os.PathLike[str]) -> BinaryIO:
        self._path = path
        if is_stream(path):
            return open_stream(path)  # written to as the blocks come, and never replaced
        self._pending = PendingFile(path)
        try:
            self._pending.create()
            with output_errors(path):
                return self._pending.path.open("wb")
        except BaseException:
            self._pending.discard()
            raise

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        with nullcontext() if self._path is None else output_errors(self._path):
            while rest:  # an unbuffered file may take a part only
                written = self._file.write(rest)
                if written is None:  # plain sinks take everything and do not say so
                    break
                rest = rest[written:]
            self._file.flush()

    def _final_header(self, num_samples: int | None) -> Header:
        if self._num_positions == 0:
            raise ContainerError("no block was written; a .smtc stream holds at least one")
        known = self._header.num_samples
        if known is not None and num_samples not in (None, known):
            raise ContainerError(
                f"num_samples {num_samples}; the header already says {known}: "
                "give it once, in the header or here"
            )
        grid = self._header.format
        final = num_samples if known is None else known
        if final is None:
            final = self._num_positions * grid.samples_per_position
        if grid.num_positions(final) != self._num_positions:
            raise ContainerError(
                f"{self._num_positions} positions were written; {final} samples take "
                f"{grid.num_positions(final)}: write them all, or give the right num_samples"
            )
        return replace(self._header, num_samples=final)


def _check_codes(
    semantic: NDArray[np.generic], acoustic: NDArray[np.generic], header: Header
) -> None:
    if semantic.ndim != 1 or semantic.shape != acoustic.shape:
        raise ContainerError(
            f"semantic codes of shape {semantic.shape} and acoustic codes of shape "
            f"{acoustic.shape}; a block takes two of the same shape [L]"
        )
    problem = count_problem(len(semantic), header.format)
    if problem:
        raise ContainerError(f"{problem}: split the codes into windows of whole columns")
    streams = (
        ("semantic", semantic, header.semantic_vocab_size),
        ("acoustic", acoustic, header.acoustic_vocab_size),
    )
    for name, codes, vocab_size in streams:
        if codes.dtype.kind not in "iu":
            raise ContainerError(f"{name} codes of type {codes.dtype}; give integers")
        lowest, highest = int(codes.min()), int(codes.max())
        if lowest < 0 or highest >= vocab_size:
            raise ContainerError(
                f"{name} codes from {lowest} to {highest}; the header's vocabulary allows 0 to "
                f"{vocab_size - 1}: check which model the codes belong to"
            )


def _can_rewrite(file: BinaryIO) -> bool:
    """Say whether the header can be corrected later: not in a pipe, nor where all is appended."""
    if not file.seekable():
        return False
    if fcntl is None:
        return True
    try:
        descriptor = file.fileno()
    except OSError:  # a file in memory
        return True
    return not fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND
