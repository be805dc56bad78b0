"""Progress bars on stderr, for people who watch: never in pipes and log files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from semanticodec.cli.inputs import Input

if TYPE_CHECKING:
    from torch import Tensor


def is_watched(quiet: bool) -> bool:
    """Return whether somebody sees a progress bar."""
    return not quiet and sys.stderr.isatty()


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
    from tqdm.utils import CallbackIOWrapper

    total = file.seek(0, os.SEEK_END)
    file.seek(0)
    with tqdm(total=total, desc=item.name, unit="B", unit_scale=True, leave=False) as bar:
        # To where the reader is, which may go back, instead of on by what it has read.
        yield CallbackIOWrapper(lambda _: bar.update(file.tell() - bar.n), file)  # type: ignore[misc]


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
