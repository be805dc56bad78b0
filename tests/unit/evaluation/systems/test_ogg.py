"""The Ogg reader: packets of any size come back, and no bytes break it."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semanticodec.errors import DataError
from semanticodec.evaluation.systems.ogg import packet_sizes, read_pages

SIZES = st.lists(st.sampled_from([0, 1, 254, 255, 256, 510, 70_000]) | st.integers(0, 600))


def page(segments, serial=7):
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, 0, 0, serial, 0, 0, len(segments))
    return head + bytes(segments) + bytes(sum(segments))


def stream(sizes, segments_per_page=255):
    """Write packets of some sizes as the format says: whole segments of 255 and a shorter one."""
    segments = [part for size in sizes for part in (*[255] * (size // 255), size % 255)]
    parts = [
        segments[i : i + segments_per_page] for i in range(0, len(segments), segments_per_page)
    ]
    return b"".join(map(page, parts))


@given(SIZES, st.integers(1, 255))
def test_packets_of_any_size_come_back(sizes, segments_per_page):
    assert packet_sizes(read_pages(stream(sizes, segments_per_page))) == sizes


@given(st.binary() | st.binary().map(lambda tail: b"OggS\0" + tail))
def test_no_bytes_break_it(data):
    with contextlib.suppress(DataError):
        packet_sizes(read_pages(data))


@given(st.data())
def test_damaged_streams_are_read_or_refused(data):
    whole = bytearray(stream([19, 300, 45, 45]))
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(DataError):
        assert sum(packet_sizes(read_pages(bytes(whole)))) <= len(whole)


@given(st.integers(1, 200))
def test_a_cut_stream_is_refused(num_bytes):
    with pytest.raises(DataError, match="page 0 at byte 0 of the Ogg stream is cut"):
        read_pages(stream([200])[:num_bytes])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"RIFF" + bytes(40), "page 0 at byte 0 is no Ogg page"),
        (page([5]) + bytes(30), "page 1 at byte 33 is no Ogg page"),
        (page([5]) + page([5], serial=8), "several streams"),
        (page([255]), "last packet of the Ogg stream does not end"),
    ],
)
def test_what_is_wrong_is_said(data, message):
    with pytest.raises(DataError, match=message):
        packet_sizes(read_pages(data))
