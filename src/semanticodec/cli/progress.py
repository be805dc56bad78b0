"""Progress bars on stderr, for people who watch: never in pipes and log files."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from semanticodec.cli.inputs import Input

if TYPE_CHECKING:
    from torch import Tensor
    from tqdm import tqdm


def is_watched(quiet: bool) -> bool:
    """Return whether somebody sees a progress bar."""
    return not quiet and sys.stderr.isatty()


class WatchedFile(io.RawIOBase):
    """A file opened for reading that moves a bar to wherever its reader is."""

    def __init__(self, file: BinaryIO, bar: tqdm) -> None:
        self._file = file
        self._bar = bar

    def readinto(self, buffer: memoryview) -> int:
        """Fill `buffer` and return how many bytes came."""
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self._bar.update(self._file.tell() - self._bar.n)
        return len(data)

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a byte."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the current byte."""
        return self._file.tell()

    @property
    def name(self) -> str:
        """Return the file's name, which readers put into their messages."""
        return str(self._file.name)


@contextmanager
def watched_source(item: Input, file: BinaryIO, shown: bool) -> Iterator[BinaryIO]:
    """Give a file to read, with a bar that follows its reader if `shown`.

    Args:
        item: input that is read.
        file: `item`, opened.
        shown: whether to draw the bar.
    """
    if not shown:
        yield file
        return
    from tqdm import tqdm

    total = file.seek(0, os.SEEK_END)
    file.seek(0)
    with tqdm(total=total, desc=item.name, unit="B", unit_scale=True, leave=False) as bar:
        yield WatchedFile(file, bar)  # type: ignore[misc]  # what soundfile needs of a BinaryIO


def watched_blocks(
    blocks: Iterator[Tensor], num_samples: int, sample_rate: int, label: str, shown: bool
) -> Iterator[Tensor]:
    """Yield `blocks` of samples, with a bar that counts their seconds if `shown`."""
    from tqdm import tqdm

    total = round(num_samples / sample_rate, 2)
    form = "{l_bar}{bar}| {n:.1f}/{total:.1f} s [{elapsed}<{remaining}]"
    bar = tqdm(total=total, desc=label, bar_format=form, leave=False, disable=not shown)
    with bar:
        for block in blocks:
            yield block
            bar.update(block.shape[-1] / sample_rate)
