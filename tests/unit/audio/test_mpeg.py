"""Headers of MPEG frames, and where frames are."""

import io

import pytest

from semanticodec.audio.mpeg import after_id3, mpeg_parts, parse_header
from sound_bytes import id3, mp3


@pytest.mark.parametrize(
    ("header", "num_bytes"),
    [
        ("fffb9000", 417),  # MPEG-1 layer III, 128 kbit/s at 44.1 kHz
        ("fffb9200", 418),  # the same with padding
        ("fffb94c0", 384),  # at 48 kHz
        ("fffd8400", 384),  # MPEG-1 layer II, 128 kbit/s at 48 kHz
        ("ffff4400", 128),  # MPEG-1 layer I, 128 kbit/s at 48 kHz
        ("fff380c0", 208),  # MPEG-2 layer III, 64 kbit/s at 22.05 kHz
        ("fff384c0", 192),  # at 24 kHz
        ("ffe34000", 208),  # MPEG-2.5 layer III, 32 kbit/s at 11.025 kHz
        ("fff58400", 384),  # MPEG-2 layer II, 64 kbit/s at 24 kHz
    ],
)
def test_a_header_tells_the_size_of_its_frame(header, num_bytes):
    frame = parse_header(bytes.fromhex(header))
    assert frame is not None and frame.num_bytes == num_bytes


@pytest.mark.parametrize(
    "header", ["00000000", "fffb", "fffb0000", "fffbf000", "fffb9c00", "ffeb9000", "fff99000"]
)
def test_other_bytes_are_no_header(header):
    assert parse_header(bytes.fromhex(header)) is None


def test_tags_end_where_they_say():
    for size in (0, 127, 128, 16_384, 300_000):
        assert after_id3(io.BytesIO(id3(size) + id3(5) + b"x")) == size + 25
    assert after_id3(io.BytesIO(b"ID3")) == 0


def test_a_whole_file_is_one_part_that_stays_as_it_is():
    data = mp3()
    (part,) = mpeg_parts(io.BytesIO(data))
    assert part.read() == data
    first, second = mpeg_parts(io.BytesIO(bytes(9) + data + bytes(9) + data + b"TAG"))
    assert first.read() == data and second.read() == data
    assert list(mpeg_parts(io.BytesIO(b"no frames" * 99))) == []
