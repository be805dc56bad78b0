"""Small files encoded and decoded some at a time, so that they share batches."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from semanticodec.cli.outputs import Task
from semanticodec.errors import SemantiCodecError

if TYPE_CHECKING:
    from torch import Tensor

    from semanticodec import Codes, SemantiCodec

ResultT = TypeVar("ResultT")

FILES_AT_ONCE = 16
# Larger files fill batches by themselves; a run that is stopped should lose little.
LARGEST_BYTES = 2_000_000
# A file of codes: a minute of sound and more.
LARGEST_CODES = 12_000


class Encoded(NamedTuple):
    """An encoded file: its codes and its share of the time in seconds."""

    codes: Codes
    elapsed_s: float


class Decoded(NamedTuple):
    """A decoded file: its codes, its bytes, its sound [1, S] and its share of the time."""

    codes: Codes
    num_bytes: int
    wav: Tensor
    elapsed_s: float


class Ahead(Generic[ResultT]):
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
        work: Callable[[Sequence[Task]], Sequence[ResultT]],
    ) -> None:
        self._waiting = [task for task in tasks if _is_small(task, largest_bytes)]
        self._work = work
        self._ready: dict[str, ResultT] = {}

    def take(self, task: Task) -> ResultT | None:
        """Return a file's result; None for a file that has to be done, or to fail, alone."""
        if task in self._waiting:
            start = self._waiting.index(task)
            group = self._waiting[start : start + FILES_AT_ONCE]
            self._waiting = self._waiting[start + FILES_AT_ONCE :]
            if len(group) == 1:
                return None
            try:
                results = self._work(group)
            except (SemantiCodecError, OSError):
                return None  # whose fault it is shows when each is done alone
            for member, result in zip(group, results, strict=True):
                self._ready[member.item.name] = result
        return self._ready.pop(task.item.name, None)


def encode_ahead(codec: SemantiCodec, tasks: Sequence[Task]) -> Ahead[Encoded]:
    """Return the codes of small sound files.

    Args:
        codec: codec that encodes them.
        tasks: all tasks whose codes will be asked for.
    """

    def encode(group: Sequence[Task]) -> list[Encoded]:
        started = time.perf_counter()
        codes = codec.encode([task.item.path for task in group])
        shares = _shares(time.perf_counter() - started, codes.duration_s)
        return [Encoded(codes[number], share) for number, share in enumerate(shares)]

    return Ahead(tasks, LARGEST_BYTES, encode)


def decode_ahead(
    tasks: Sequence[Task],
    read: Callable[[Task], tuple[Codes, int]],
    decode: Callable[[Codes], Tensor],
) -> Ahead[Decoded]:
    """Return the sound of small files of codes; those that are decoded together share a setting.

    Args:
        tasks: all tasks whose sound will be asked for.
        read: function that returns the codes of a file and its size in bytes.
        decode: function that returns the sound [B, 1, S] of a batch of codes.
    """
    from semanticodec import Codes

    def decode_group(group: Sequence[Task]) -> list[Decoded]:
        started = time.perf_counter()
        contents = [read(task) for task in group]
        batch = Codes.cat([codes for codes, _ in contents])
        wavs = decode(batch)
        shares = _shares(time.perf_counter() - started, batch.duration_s)
        return [
            Decoded(codes, num_bytes, wav[:, : codes.num_samples[0]], share)
            for (codes, num_bytes), wav, share in zip(contents, wavs, shares, strict=True)
        ]

    return Ahead(tasks, LARGEST_CODES, decode_group)


def _shares(elapsed_s: float, durations_s: Sequence[float]) -> list[float]:
    """Return each recording's share of the time, by its length."""
    return [elapsed_s * duration_s / sum(durations_s) for duration_s in durations_s]


def _is_small(task: Task, largest_bytes: int) -> bool:
    path = task.item.path
    return path is not None and path.is_file() and path.stat().st_size <= largest_bytes
