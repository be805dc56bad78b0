"""Small files encoded and decoded some at a time, so that they share batches."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from semanticodec.cli.outputs import Task
from semanticodec.errors import SemantiCodecError

if TYPE_CHECKING:
    from torch import Tensor

    from semanticodec import Codes, SemantiCodec

FILES_AT_ONCE = 16
# Larger files fill batches by themselves; a run that is stopped should lose little.
LARGEST_BYTES = 2_000_000
# A file of codes: a minute of sound and more.
LARGEST_CODES = 12_000


class Coded(NamedTuple):
    """A recording that was encoded or decoded.

    Attributes:
        codes: its codes.
        elapsed_s: its share of the time, in seconds.
        num_bytes: size of its file of codes, where that was read.
        wav: its decoded sound [1, S], None where it was encoded.
    """

    codes: Codes
    elapsed_s: float = 0.0
    num_bytes: int = 0
    wav: Tensor | None = None


class Ahead:
    """Results of small files, made for some at a time and asked for once each, in order.

    Args:
        tasks: all tasks whose results will be asked for.
        largest_bytes: size up to which a file is small.
        work: function that does several tasks at once; it may raise for any of them.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        largest_bytes: int,
        work: Callable[[Sequence[Task]], Sequence[Coded]],
    ) -> None:
        self._waiting = [task for task in tasks if _is_small(task, largest_bytes)]
        self._work = work
        self._ready: dict[str, Coded] = {}

    def take(self, task: Task) -> Coded | None:
        """Return a file's result; None for a file that has to be done, or to fail, alone."""
        if task in self._waiting:
            start = self._waiting.index(task)
            group = self._waiting[start : start + FILES_AT_ONCE]
            self._waiting = self._waiting[start + FILES_AT_ONCE :]
            if len(group) == 1:
                return None
            started = time.perf_counter()
            try:
                results = self._work(group)
            except (SemantiCodecError, OSError):
                return None  # whose fault it is shows when each is done alone
            seconds = [result.codes.duration_s[0] for result in results]
            share = (time.perf_counter() - started) / sum(seconds)
            for member, result, length in zip(group, results, seconds, strict=True):
                self._ready[member.item.name] = result._replace(elapsed_s=length * share)
        return self._ready.pop(task.item.name, None)


def encode_ahead(codec: SemantiCodec, tasks: Sequence[Task]) -> Ahead:
    """Return the codes of small sound files.

    Args:
        codec: codec that encodes them.
        tasks: all tasks whose codes will be asked for.
    """

    def encode(group: Sequence[Task]) -> list[Coded]:
        codes = codec.encode([task.item.path for task in group])
        return [Coded(codes[number]) for number in range(len(group))]

    return Ahead(tasks, LARGEST_BYTES, encode)


def decode_ahead(
    tasks: Sequence[Task],
    read: Callable[[Task], Coded],
    decode: Callable[[Codes], Tensor],
) -> Ahead:
    """Return the sound of small files of codes; those that are decoded together share a setting.

    Args:
        tasks: all tasks whose sound will be asked for.
        read: function that returns the codes of a file and its size in bytes.
        decode: function that returns the sound [B, 1, S] of a batch of codes.
    """
    from semanticodec import Codes

    def decode_group(group: Sequence[Task]) -> list[Coded]:
        read_codes = [read(task) for task in group]
        wavs = decode(Codes.cat([coded.codes for coded in read_codes]))
        return [
            coded._replace(wav=wav[:, : coded.codes.num_samples[0]])
            for coded, wav in zip(read_codes, wavs, strict=True)
        ]

    return Ahead(tasks, LARGEST_CODES, decode_group)


def _is_small(task: Task, largest_bytes: int) -> bool:
    path = task.item.path
    return path is not None and path.is_file() and path.stat().st_size <= largest_bytes
