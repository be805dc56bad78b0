"""Streams that can be read from any byte."""

import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semanticodec.reading import Gap, Pieces, seekable, size_of


@given(st.lists(st.binary(max_size=9), max_size=5), st.integers(0, 50), st.integers(0, 50))
def test_pieces_read_like_their_sum(parts, start, count):
    whole = b"".join(parts)
    file = io.BytesIO(b"front" + whole)
    pieces, position = [], 5
    for number, part in enumerate(parts):
        pieces.append(part if number % 2 else range(position, position + len(part)))
        position += len(part)
    view = Pieces(file, pieces)
    assert view.seek(0, os.SEEK_END) == len(whole)
    view.seek(start)
    assert view.read(count) == whole[start : start + count]
    assert view.tell() == start + len(whole[start : start + count])


def test_a_gap_counts_and_ends_the_reading():
    view = Pieces(io.BytesIO(b"abcdef"), [range(1, 4), Gap(100), b"xy"])
    assert size_of(view) == 105
    assert view.read(50) == b"bcd"
    view.seek(-2, os.SEEK_END)
    assert view.read(5) == b"xy"


def test_a_pipe_is_copied_and_a_file_is_not(tmp_path):
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as file:
        file.write(b"through the pipe")
    with os.fdopen(reader, "rb") as file:
        copy = seekable(file)
        assert copy.read() == b"through the pipe"
        copy.seek(8)
        assert copy.read(3) == b"the"
    file = io.BytesIO(b"12345")
    file.seek(2)
    assert seekable(file) is file
    assert file.tell() == 2 and size_of(file) == 5 and file.tell() == 2


def test_what_is_no_stream_is_no_stream():
    with pytest.raises(AttributeError):
        seekable(3)
