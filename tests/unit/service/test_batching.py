"""The queue: codes that do not depend on their batch, other work alone, nothing for nobody."""

import threading
import time

import pytest
import torch

from semanticodec.audio.waveforms import recordings
from semanticodec.service.batching import WorkQueue
from sound_bytes import tone


@pytest.fixture
def encoder(quick_codec):
    return quick_codec.recording_encoder()


@pytest.fixture
def windows(encoder):
    """Windows of two sizes, each of a sound of its own."""
    found = []
    for number in range(6):
        seconds = 0.6 if number % 3 else 1.2
        (recording,) = recordings(tone(seconds, frequency_hz=200 + 50 * number))
        found += encoder.windows(recording)
    return found


@pytest.fixture
def held():
    """A queue of one thread that is busy until the event is set."""
    sizes, go = [], threading.Event()
    queues = []

    def make(encode_batch, **options):
        queue = WorkQueue(
            encode_batch,
            on_batch=sizes.append,
            **{"threads": 1, "batch_windows": 8, "wait_s": 0.0, **options},
        )
        queues.append(queue)
        queue.call(go.wait)
        return queue, sizes, go

    yield make
    go.set()
    for queue in queues:
        queue.close()


def test_codes_are_those_of_each_window_alone(held, encoder, windows):
    queue, sizes, go = held(encoder.encode_batch)
    waiting = [queue.encode(window) for window in windows]
    go.set()
    for window, future in zip(windows, waiting, strict=True):
        (alone,) = encoder.encode_batch([window])
        assert torch.equal(future.result().semantic, alone.semantic)
        assert torch.equal(future.result().acoustic, alone.acoustic)
    assert sizes == [2, 4]


def test_batches_are_no_larger_than_allowed_and_first_come_first_served(held, windows):
    seen = []

    def encode_batch(batch):
        seen.append([id(window) for window in batch])
        return [None] * len(batch)

    queue, sizes, go = held(encode_batch, batch_windows=3)
    waiting = [queue.encode(window) for window in windows]
    go.set()
    for future in waiting:
        future.result()
    order = [[0, 3], [1, 2, 4], [5]]
    assert seen == [[id(windows[number]) for number in batch] for batch in order]
    assert sizes == [2, 3, 1]


def test_a_window_waits_for_others_but_not_long(windows):
    sizes = []
    queue = WorkQueue(
        lambda batch: [None] * len(batch),
        threads=1,
        batch_windows=8,
        wait_s=0.2,
        on_batch=sizes.append,
    )
    first = queue.encode(windows[1])
    second = queue.encode(windows[2])
    started = time.monotonic()
    first.result(), second.result()
    assert sizes == [2] and time.monotonic() - started < 2
    queue.close()


def test_what_is_cancelled_is_not_computed(held, windows):
    computed = []

    def encode_batch(batch):
        computed.extend(map(id, batch))
        return [None] * len(batch)

    queue, _, go = held(encode_batch)
    waiting = [queue.encode(window) for window in windows]
    work = queue.call(lambda: computed.append("work"))
    assert waiting[0].cancel() and work.cancel()
    go.set()
    for future in waiting[1:]:
        future.result()
    assert len(computed) == 5 and id(windows[0]) not in computed


def test_an_error_reaches_those_of_its_batch_only(held, windows):
    def encode_batch(batch):
        if len(batch) == 2:
            raise ValueError("broken")
        return [None] * len(batch)

    queue, _, go = held(encode_batch)
    waiting = [queue.encode(window) for window in windows]
    go.set()
    failed = [number for number, future in enumerate(waiting) if future.exception() is not None]
    assert failed == [0, 3]
    assert queue.call(lambda: 7).result() == 7
