"""Progress of one recording, in seconds of its sound."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from semanticodec.cli.inputs import Input

if TYPE_CHECKING:
    from torch import Tensor


@contextmanager
def watched_source(item: Input, file: BinaryIO, shown: bool) -> Iterator[BinaryIO]:
    """Give a file to read, with a progress line that follows its reader if `shown`.

    Args:
        item: input that is read.
        file: `item`, opened.
        shown: whether to tell those who watch.
    """
    from semanticodec.progress import SECOND, ProgressBar, is_terminal

    total_s = _duration_s(file) if shown and is_terminal() else None
    if total_s is None:
        yield file
        return
    from tqdm.utils import CallbackIOWrapper

    num_bytes = file.seek(0, os.SEEK_END)
    file.seek(0)
    with ProgressBar(label=item.name, unit=SECOND, total=total_s, has_summary=False) as bar:
        # To where the reader is, which may go back, instead of on by what it has read.
        yield CallbackIOWrapper(  # type: ignore[misc]
            lambda _: bar.reach(total_s * file.tell() / num_bytes), file
        )


def _duration_s(file: BinaryIO) -> float | None:
    """Return the length of a sound file in seconds, and rewind it; None where it does not say."""
    import soundfile

    try:
        sound = soundfile.SoundFile(file)
        return sound.frames / sound.samplerate or None
    except soundfile.SoundFileError:
        return None  # whatever is wrong with it, encoding says so
    finally:
        file.seek(0)


def watched_blocks(
    blocks: Iterator[Tensor], num_samples: int, sample_rate: int, label: str, shown: bool
) -> Iterator[Tensor]:
    """Yield `blocks` of samples, with a progress line that counts their seconds if `shown`."""
    from semanticodec.progress import SECOND, ProgressBar

    total_s = num_samples / sample_rate
    with ProgressBar(
        label=label, unit=SECOND, total=total_s, shown=shown, has_summary=False
    ) as bar:
        for block in blocks:
            yield block
            bar.update(block.shape[-1] / sample_rate)
