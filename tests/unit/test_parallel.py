"""Pieces of work on several cores: in order, one thread of torch each, and nothing left behind."""

import threading

import numpy as np
import pytest
import torch

from semanticodec.parallel import in_order


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
