"""Codes of many recordings at once, in whatever order they are finished.

reading thread:  items -> blocks of samples -> windows (or what is wrong with the recording)
here:            windows of one size, of whatever recordings; codes by recording
model's threads: batches of windows -> Encoder -> their codes

Windows wait until a batch of their size is full. Codes never depend on that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
import torch

from semanticodec.audio.io import read_blocks, read_segment
from semanticodec.audio.waveforms import Recording
from semanticodec.audio.windows import Window
from semanticodec.corpus.item import WorkItem
from semanticodec.corpus.prefetch import read_ahead
from semanticodec.corpus.sources import PLACES
from semanticodec.corpus.sources.tables import Tables
from semanticodec.encoding import (
    WINDOWS_AT_ONCE,
    RecordingCodes,
    RecordingEncoder,
    recording_windows,
)
from semanticodec.parallel import BoundedPool

# 10 s of samples are 0.6 MB.
WINDOWS_AHEAD = 16
MOST_WAITING = 64

Event = tuple[int, "Window | Exception"]


@dataclass
class _Unfinished:
    """The windows of a recording that have their codes, by their number."""

    codes: dict[int, RecordingCodes] = field(default_factory=dict)
    num_read: int = 0
    num_windows: int | None = None

    def joined(self) -> RecordingCodes:
        parts = [self.codes[number] for number in sorted(self.codes)]
        return RecordingCodes(
            torch.cat([part.semantic for part in parts], dim=1),
            torch.cat([part.acoustic for part in parts], dim=1),
            sum(part.num_samples for part in parts),
        )


def encode_items(
    encoder: RecordingEncoder,
    items: Sequence[WorkItem],
    models: BoundedPool,
    check: Callable[[], object] = lambda: None,
    heard: Callable[[int], object] = lambda num_samples: None,
) -> Iterator[tuple[int, RecordingCodes | Exception]]:
    """Yield every recording's number with its codes, or with what is wrong with it.

    Args:
        encoder: model on any device.
        items: recordings; memory depends neither on their length nor on their number.
        models: threads in which the model computes; others may use them too.
        check: called before every window; may raise to stop the work.
        heard: called after every window with its samples at 16 kHz.
    """
    unfinished: dict[int, _Unfinished] = {}
    batches = _Batches()
    running: deque[Future[_Encoded]] = deque()

    def encoded(batch: Sequence[_Waiting]) -> _Encoded:
        windows = [encoder.fbank_of(waiting.window) for waiting in batch]
        return batch, encoder.encode_batch(windows)

    def finished(future: Future[_Encoded]) -> Iterator[tuple[int, RecordingCodes]]:
        for waiting, window_codes in zip(*future.result(), strict=True):
            heard(window_codes.num_samples)
            recording = unfinished.get(waiting.recording)
            if recording is None:
                continue  # a later part of it could not be read
            recording.codes[waiting.number] = window_codes
            if len(recording.codes) == recording.num_windows:
                yield waiting.recording, unfinished.pop(waiting.recording).joined()

    for number, event in read_ahead(_windows(items, encoder.pads_windows), WINDOWS_AHEAD):
        check()
        if isinstance(event, Exception):
            unfinished.pop(number, None)
            yield number, event
            continue
        recording = unfinished.setdefault(number, _Unfinished())
        waiting = _Waiting(number, recording.num_read, event)
        recording.num_read += 1
        if event.is_last:
            recording.num_windows = recording.num_read
        for batch in batches.add(waiting):
            running.append(models.submit(encoded, batch))
        while running and running[0].done():
            yield from finished(running.popleft())
    running.extend(models.submit(encoded, batch) for batch in batches.rest())
    for future in running:
        yield from finished(future)


@dataclass(frozen=True)
class _Waiting:
    recording: int
    number: int
    window: Window


_Encoded = tuple[Sequence[_Waiting], list[RecordingCodes]]


class _Batches:
    """Windows that wait for others of their size."""

    def __init__(self) -> None:
        self._by_size: dict[int, list[_Waiting]] = {}
        self._num_waiting = 0

    def add(self, waiting: _Waiting) -> Iterator[list[_Waiting]]:
        """Yield the batch that is full now; of too many windows those that have waited longest."""
        size = waiting.window.wav.shape[1]
        batch = self._by_size.setdefault(size, [])
        batch.append(waiting)
        self._num_waiting += 1
        if len(batch) == WINDOWS_AT_ONCE:
            yield self._take(size)
        elif self._num_waiting == MOST_WAITING:
            yield self._take(next(iter(self._by_size)))

    def rest(self) -> Iterator[list[_Waiting]]:
        """Yield what is left."""
        for size in list(self._by_size):
            yield self._take(size)

    def _take(self, size: int) -> list[_Waiting]:
        batch = self._by_size.pop(size)
        self._num_waiting -= len(batch)
        return batch


def _windows(items: Sequence[WorkItem], pads_windows: bool) -> Iterator[Event]:
    tables = Tables()
    for number, item in enumerate(items):
        try:
            recording = Recording(item.source, _blocks(item, tables))
            for window in recording_windows(recording, pads_windows):
                yield number, window
        except Exception as error:  # whatever a library says of a file, the others are read
            yield number, error


def _blocks(item: WorkItem, tables: Tables) -> Iterator[np.ndarray]:
    source = PLACES[item.place.kind](tables, item.place)
    try:
        if item.is_segment:
            yield from read_segment(source, item.offset_s, item.duration_s)
        else:
            yield from read_blocks(source)
    finally:
        if hasattr(source, "close"):
            source.close()  # type: ignore[union-attr]
