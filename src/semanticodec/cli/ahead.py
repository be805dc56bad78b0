"""Small files encoded some at a time, so that they share the encoder's batches."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from semanticodec.cli.outputs import Task
from semanticodec.errors import SemantiCodecError

if TYPE_CHECKING:
    from semanticodec import Codes, SemantiCodec

FILES_AT_ONCE = 8
# Larger files fill batches by themselves; a run that is stopped should lose little.
LARGEST_BYTES = 2_000_000


class Encoded(NamedTuple):
    """The codes of a file and its share of the time."""

    codes: Codes
    elapsed_s: float


class EncodeAhead:
    """Codes of the tasks' files, each asked for once, in order.

    Args:
        codec: encodes.
        tasks: all that will be asked for.
    """

    def __init__(self, codec: SemantiCodec, tasks: Sequence[Task]) -> None:
        self._codec = codec
        self._waiting = [task for task in tasks if _is_small(task)]
        self._ready: dict[str, Encoded] = {}

    def take(self, task: Task) -> Encoded | None:
        """Return a file's codes; None for a file that has to be encoded, or to fail, alone."""
        if task in self._waiting:
            start = self._waiting.index(task)
            group = self._waiting[start : start + FILES_AT_ONCE]
            self._waiting = self._waiting[start + FILES_AT_ONCE :]
            self._encode(group)
        return self._ready.pop(task.item.name, None)

    def _encode(self, group: Sequence[Task]) -> None:
        started = time.perf_counter()
        try:
            codes = self._codec.encode([task.item.path for task in group])
        except (SemantiCodecError, OSError):
            return  # whose fault it is shows when each is encoded alone
        share = (time.perf_counter() - started) / sum(codes.duration_s)
        for number, task in enumerate(group):
            item = codes[number]
            self._ready[task.item.name] = Encoded(item, share * item.duration_s[0])


def _is_small(task: Task) -> bool:
    path = task.item.path
    return path is not None and path.is_file() and path.stat().st_size <= LARGEST_BYTES
