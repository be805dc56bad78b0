"""Reading ahead changes neither values nor errors, and never holds more than it may."""

import threading

import pytest

from semanticodec.corpus.prefetch import read_ahead


def test_values_and_errors_arrive_in_order():
    def numbers():
        yield from range(50)
        raise KeyError("here")

    found = []
    with pytest.raises(KeyError, match="here"):
        for value in read_ahead(numbers(), 3):
            found.append(value)
    assert found == list(range(50))


def test_no_more_than_depth_values_wait():
    taken = []

    def numbers():
        for number in range(100):
            taken.append(number)
            yield number

    for value in read_ahead(numbers(), 4):
        assert len(taken) <= value + 4 + 2  # those that wait, this one, and one in hand


def test_a_reader_that_stops_ends_the_thread():
    closed = threading.Event()

    def numbers():
        try:
            while True:
                yield 1
        finally:
            closed.set()

    values = read_ahead(numbers(), 2)
    next(values)
    values.close()
    assert closed.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name == "read ahead"]
