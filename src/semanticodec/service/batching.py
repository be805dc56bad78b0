"""The work of all requests on the cores: windows to encode join batches, all else goes alone.

    requests -> queue -> threads, one per core, in each of which torch computes alone

Codes do not depend on their batch, so that nobody's answer depends on the others. Waveforms would,
by rounding: a block of samples is computed by itself, as `decode_stream` of one thread does it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch

from semanticodec.encoding import RecordingCodes, WindowFbank

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, eq=False)
class _Piece:
    """A window to encode, or other work, and who waits for it since when."""

    window: WindowFbank | None = None
    work: Callable[[], Any] | None = None
    future: Future[Any] = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)

    def fits(self, other: _Piece) -> bool:
        """Return whether both are windows of one size."""
        if self.window is None or other.window is None:
            return False
        return self.window.fbank.shape == other.window.fbank.shape


class WorkQueue:
    """Threads that compute, and what waits for them, first come, first served.

    How much may wait is up to those who let requests in: each has a few pieces here at most.

    Args:
        encode_batch: codes of windows of one size, such as `RecordingEncoder.encode_batch`.
        threads: number of threads.
        batch_windows: largest batch.
        wait_s: seconds that an incomplete batch waits for more windows when nothing else is to do.
        on_batch: told the size of every batch.
    """

    def __init__(
        self,
        encode_batch: Callable[[Sequence[WindowFbank]], list[RecordingCodes]],
        *,
        threads: int,
        batch_windows: int,
        wait_s: float,
        on_batch: Callable[[int], object],
    ) -> None:
        self._encode_batch = encode_batch
        self._batch_windows = batch_windows
        self._wait_s = wait_s
        self._on_batch = on_batch
        self._waiting: deque[_Piece] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._threads = [
            threading.Thread(target=self._compute, name=f"codec-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        return len(self._waiting)

    def encode(self, window: WindowFbank) -> Future[RecordingCodes]:
        """Return what will be the codes of a window; a cancelled one is not computed."""
        return self._put(_Piece(window=window))

    def call(self, work: Callable[[], ResultT]) -> Future[ResultT]:
        """Return what will be the result of other work; a cancelled one is not begun."""
        return self._put(_Piece(work=work))

    def close(self) -> None:
        """Finish what waits and end the threads."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _put(self, piece: _Piece) -> Future[Any]:
        with self._changed:
            self._waiting.append(piece)
            self._changed.notify()
        return piece.future

    def _compute(self) -> None:
        torch.set_num_threads(1)
        while pieces := self._next_pieces():
            wanted = [piece for piece in pieces if piece.future.set_running_or_notify_cancel()]
            if wanted:
                self._answer(wanted)

    def _answer(self, pieces: list[_Piece]) -> None:
        try:
            results = self._results(pieces)
        except BaseException as error:  # the one who waits decides what to make of it
            for piece in pieces:
                piece.future.set_exception(error)
            return
        for piece, result in zip(pieces, results, strict=True):
            piece.future.set_result(result)

    def _results(self, pieces: list[_Piece]) -> Sequence[Any]:
        work = pieces[0].work
        if work is not None:
            return [work()]
        windows = [piece.window for piece in pieces if piece.window is not None]
        self._on_batch(len(windows))
        return self._encode_batch(windows)

    def _next_pieces(self) -> list[_Piece]:
        """Wait for work and return a batch of windows, or other work alone; [] at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            if not self._waiting:
                return []
            first = self._waiting.popleft()
            if first.window is None:
                return [first]
            pieces = [first, *self._taken_like(first, self._share(first) - 1)]
            deadline = first.since + self._wait_s
            while len(pieces) < self._batch_windows and not (self._waiting or self._is_closed):
                remaining = deadline - time.monotonic()
                if remaining <= 0 or not self._changed.wait(remaining):
                    break
                pieces += self._taken_like(first, self._batch_windows - len(pieces))
            if self._waiting:
                self._changed.notify()  # ours may have been the thread that was told of it
            return pieces

    def _share(self, first: _Piece) -> int:
        """Return how many of the windows that fit one thread takes, the others idle or not."""
        fitting = 1 + sum(map(first.fits, self._waiting))
        return min(self._batch_windows, -(-fitting // len(self._threads)))

    def _taken_like(self, first: _Piece, number: int) -> list[_Piece]:
        taken = [piece for piece in self._waiting if first.fits(piece)][: max(0, number)]
        for piece in taken:
            self._waiting.remove(piece)
        return taken
