"""Pieces of work on several cores: in order, one thread of torch each, and nothing left behind."""

import threading

import numpy as np
import pytest
import torch

from semanticodec.codes import Codes
from semanticodec.parallel import BoundedPool, in_order, single_threads

PLAIN = {"guidance_scale": 1.0}  # of which the T-UNet takes four windows at once


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_results_come_in_order_of_values(two_threads):
    seen = set()

    def work(value):
        seen.add((threading.get_ident(), torch.get_num_threads()))
        return 2 * value

    assert list(in_order(work, range(20), 2)) == list(range(0, 40, 2))
    assert {number for _, number in seen} == {1} and len(seen) <= 2
    assert torch.get_num_threads() == 2


def test_values_are_taken_as_results_are_asked_for(two_threads):
    taken = []

    def values():
        for value in range(100):
            taken.append(value)
            yield value

    for value in in_order(lambda value: value, values(), 2):
        assert len(taken) <= value + 4


def test_an_error_ends_the_work(two_threads):
    def work(value):
        if value == 3:
            raise KeyError(value)
        return value

    with pytest.raises(KeyError, match="3"):
        list(in_order(work, range(10), 2))
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("seconds", [[3.0], [25.0], [40.0, 1.0, 12.0, 0.5]])
def test_codes_are_the_same_on_more_cores(tiny_codec, two_threads, seconds):
    rng = np.random.default_rng(6)
    audio = [0.1 * rng.standard_normal(round(length * 16_000)) for length in seconds]
    on_two = tiny_codec.encode(audio)
    torch.set_num_threads(1)
    assert tiny_codec.encode(audio) == on_two


@pytest.fixture
def batches(tiny_codec, monkeypatch):
    """What the decoder is given: number of windows, and torch's threads; its sound is its noise."""
    found = []

    def decode_windows(features, num_positions, settings, noise):
        found.append((len(features), torch.get_num_threads()))
        return noise(0)[:, 0, :, 0].repeat_interleave(640, dim=1)

    monkeypatch.setattr(tiny_codec.decoder, "decode_windows", decode_windows)
    return found


def some_codes(codec, *lengths_s):
    items = [torch.zeros(1, 2, round(length * 6.25) * 8, dtype=torch.int64) for length in lengths_s]
    return Codes.cat([codec.codes_from(ids) for ids in items])


def test_long_recordings_go_to_cores_by_batches(tiny_codec, two_threads, batches):
    codes = some_codes(tiny_codec, 120, 15)
    both = tiny_codec.decode(codes, **PLAIN)
    assert sorted(batches[:-1]) == [(4, 1), (4, 1), (4, 1), (1, 1)][::-1]
    assert batches[-1] == (2, 2)  # one batch alone takes all cores
    alone = [tiny_codec.decode(codes[item], **PLAIN) for item in (0, 1)]
    streamed = torch.cat([*tiny_codec.decode_stream(codes[0], **PLAIN)], dim=-1)
    torch.set_num_threads(1)
    one_core = tiny_codec.decode(codes, **PLAIN)
    assert torch.equal(both, one_core) and torch.equal(both[:1], streamed)
    for item, wav in enumerate(alone):
        assert torch.equal(both[item : item + 1, :, : wav.shape[-1]], wav)


def test_a_short_rest_does_not_hold_up_a_recording(tiny_codec, two_threads, batches):
    tiny_codec.decode(some_codes(tiny_codec, 45), **PLAIN)
    assert batches == [(4, 2), (1, 2)]


def test_cores_to_spare_are_shared(tiny_codec, two_threads, batches):
    torch.set_num_threads(5)
    tiny_codec.decode(some_codes(tiny_codec, 75), **PLAIN)
    assert batches == [(4, 2), (4, 2)]


def test_clips_that_are_joined_get_a_share_of_the_cores(tiny_codec, two_threads, batches):
    tiny_codec.decode(some_codes(tiny_codec, 1, 2, 3), batch_size=4, **PLAIN)
    assert sorted(batches) == [(1, 1), (2, 1)]


def test_a_pool_takes_no_more_than_it_has_room_for(two_threads):
    given, is_open = [], threading.Event()

    def work(value):
        is_open.wait()
        return value

    def give(pool):
        for value in range(12):
            given.append(pool.submit(work, value))

    with single_threads(2) as threads:
        pool = BoundedPool(threads, 3)
        giver = threading.Thread(target=give, args=(pool,))
        giver.start()
        giver.join(0.2)
        assert giver.is_alive() and len(given) == 3, "the fourth piece waits outside"
        is_open.set()
        giver.join()
        assert [each.result() for each in given] == list(range(12))
    with pytest.raises(RuntimeError):
        pool.submit(work, 1)
