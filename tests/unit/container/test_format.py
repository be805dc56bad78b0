"""The layout byte by byte, what a header may say, and what the framing costs."""

import binascii
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semanticodec.container import Header, read, read_header
from semanticodec.container.framing import block_size, pack_block, stream_size
from semanticodec.errors import ContainerError
from semanticodec.token_format import TokenGrid

from .streams import HEADER, stream


def header_bytes(
    magic: bytes = b"SMTC",
    version: int = 2,
    flags: int = 0,
    token_rate: int = 50,
    vocab_bits: int = 0xBC,
    sample_rate: int = 16000,
    num_samples: int = 16000,
) -> bytes:
    fields = struct.pack("<4sBBBB", magic, version, flags, token_rate, vocab_bits)
    fields += sample_rate.to_bytes(3, "little") + num_samples.to_bytes(6, "little") + b"model id"
    return fields + struct.pack("<I", zlib.crc32(fields))


def header_1_bytes(
    flags: int = 0,
    token_rate: int = 50,
    vocab_bits: tuple[int, int] = (12, 13),
    sample_rate: int = 16000,
    num_samples: int = 16000,
) -> bytes:
    settings = 1, flags, token_rate, *vocab_bits, sample_rate, num_samples, b"model id"
    fields = struct.pack("<4sBBBBBIQ8s", b"SMTC", *settings)
    return fields + struct.pack("<I", zlib.crc32(fields))


KNOWN = Header(
    token_rate=50,
    semantic_vocab_size=4096,
    acoustic_vocab_size=8192,
    num_samples=16000,
    fingerprint=b"model id",
)


def test_header_is_the_29_bytes_of_the_format() -> None:
    assert KNOWN.to_bytes() == header_bytes()
    assert len(header_bytes()) == KNOWN.size == 29
    assert read_header(header_bytes()) == KNOWN


def test_header_of_version_1_is_read_and_kept() -> None:
    header = replace(KNOWN, version=1)
    assert read_header(header_1_bytes()) == header
    assert len(header_1_bytes()) == header.size == 33
    assert header.to_bytes() == header_1_bytes()


def test_header_of_coded_payloads_names_their_tables() -> None:
    header = replace(KNOWN, tables=0x1234)
    fields = header_bytes(flags=1)[:-4] + b"\x34\x12"
    assert header.to_bytes() == fields + struct.pack("<I", zlib.crc32(fields))
    assert read_header(header.to_bytes()) == header
    with pytest.raises(ContainerError, match="cut off after 30 of 31"):
        read_header(header.to_bytes()[:-1])


def test_block_is_columns_payload_crc() -> None:
    codes = np.arange(4)
    header = Header(token_rate=50, semantic_vocab_size=16, acoustic_vocab_size=16)
    payload = bytes([0x00, 0x11, 0x22, 0x33])
    body = b"\x01" + payload
    crc = binascii.crc_hqx(body, 0xFFFF)
    assert pack_block(codes, codes, header) == body + struct.pack("<H", crc)
    body = b"\x04\x00" + payload
    packed = pack_block(codes, codes, replace(header, version=1))
    assert packed == body + struct.pack("<I", zlib.crc32(body))


def test_crc_16_misses_no_two_or_three_wrong_bits() -> None:
    # One wrong bit changes the checksum by a value that depends on its place alone. Two are
    # missed where two values are the same; odd numbers of them never, as every value is odd.
    num_bits = 8 * block_size(512, replace(KNOWN, format=replace(KNOWN.format, token_rate=100)))
    body = bytes(num_bits // 8 - 2)
    zero = binascii.crc_hqx(body, 0xFFFF)
    changes = [1 << bit for bit in range(16)]
    for place in range(len(body)):
        for bit in range(8):
            flipped = body[:place] + bytes([1 << bit]) + body[place + 1 :]
            changes.append(binascii.crc_hqx(flipped, 0xFFFF) ^ zero)
    assert len(set(changes)) == num_bits
    assert 0 not in changes
    assert all(bin(change).count("1") % 2 for change in changes)


def test_unknown_length_is_the_largest_u48() -> None:
    header = Header(token_rate=50, semantic_vocab_size=4096, acoustic_vocab_size=8192)
    assert header.to_bytes()[11:17] == b"\xff" * 6
    assert read_header(header.to_bytes()).num_samples is None
    assert read_header(header_1_bytes(num_samples=2**64 - 1)).num_samples is None


@given(
    token_rate=st.sampled_from([25, 50, 100]),
    vocab_bits=st.tuples(st.integers(1, 16), st.integers(1, 16)),
    sample_rate=st.integers(1, 2**24 - 1),
    num_samples=st.none() | st.integers(1, 2**48 - 2),
    fingerprint=st.binary(min_size=8, max_size=8),
    tables=st.none() | st.integers(0, 2**16 - 1),
)
def test_every_header_round_trips(
    token_rate: int,
    vocab_bits: tuple[int, int],
    sample_rate: int,
    num_samples: int | None,
    fingerprint: bytes,
    tables: int | None,
) -> None:
    header = Header(
        token_rate=token_rate,
        semantic_vocab_size=1 << vocab_bits[0],
        acoustic_vocab_size=1 << vocab_bits[1],
        sample_rate=sample_rate,
        num_samples=num_samples,
        fingerprint=fingerprint,
        tables=tables,
    )
    assert Header.from_bytes(header.to_bytes()) == header
    if tables is None:
        older = replace(header, version=1)
        assert Header.from_bytes(older.to_bytes()) == older


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "empty"),
        (b"SMT", "cut off after 3 of 29"),
        (b"RIFF" + bytes(40), "not a .smtc stream.*RIFF"),
        (header_bytes()[:-1], "cut off after 28 of 29"),
        (header_1_bytes()[:-1], "cut off after 32 of 33"),
        (header_bytes(version=3), "version 3.*reads versions 1 to 2"),
        (header_bytes()[:20] + b"?" + header_bytes()[21:], "header is damaged"),
        (header_1_bytes()[:20] + b"?" + header_1_bytes()[21:], "header is damaged"),
        (header_1_bytes(flags=1), "unknown flags 0x01"),
        (header_bytes(flags=2), "unknown flags 0x02"),
        (header_bytes(flags=0x80), "unknown flags 0x80"),
        (header_bytes(token_rate=75), "token rate 75.*25, 50 or 100"),
        (header_1_bytes(vocab_bits=(0, 13)), "vocabulary of 0 bits.*1 to 16"),
        (header_1_bytes(vocab_bits=(12, 17)), "vocabulary of 17 bits.*1 to 16"),
        (header_bytes(sample_rate=0), "sample rate 0 Hz"),
        (header_bytes(num_samples=0), "0 samples"),
        (header_1_bytes(num_samples=0), "0 samples"),
    ],
)
def test_header_that_cannot_be_read_says_why(data: bytes, text: str) -> None:
    with pytest.raises(ContainerError, match=text):
        read_header(data)
    with pytest.raises(ContainerError, match=text):
        read(data, conceal=True)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"token_rate": 10}, "token rate 10"),
        ({"semantic_vocab_size": 5000}, "semantic vocabulary of 5000.*powers of two"),
        ({"acoustic_vocab_size": 1}, "acoustic vocabulary of 1"),
        ({"sample_rate": 2**24}, "sample rate 16777216"),
        ({"num_samples": 2**48 - 1}, "2\\^48 - 2"),
        ({"fingerprint": b"short"}, "fingerprint of 5 bytes"),
    ],
)
def test_header_refuses_what_the_format_cannot_say(settings: dict, text: str) -> None:
    offered = {"token_rate": 25, "semantic_vocab_size": 2, "acoustic_vocab_size": 2}
    with pytest.raises(ContainerError, match=text):
        Header(**{**offered, **settings})


@pytest.mark.parametrize(
    ("token_rate", "num_samples", "length"),
    [
        (100, 1, 8),
        (100, 2560, 8),
        (100, 2561, 16),
        (100, 163_840, 512),
        (50, 2560, 4),
        (50, 16_000, 28),
        (50, 163_840, 256),
        (25, 2561, 4),
        (25, 5121, 8),
        (25, 163_840, 128),
    ],
)
def test_number_of_positions(token_rate: int, num_samples: int, length: int) -> None:
    assert TokenGrid(token_rate).num_positions(num_samples) == length


@pytest.mark.parametrize("token_rate", [25, 50, 100])
def test_one_window_is_ten_seconds_and_a_quarter(token_rate: int) -> None:
    window = TokenGrid(token_rate).positions_per_window
    assert window * TokenGrid(token_rate).samples_per_position == 163_840
    assert window * 2 / 10.24 == token_rate


def overhead(duration_s: float, token_rate: int, semantic_vocab_size: int) -> float:
    header = Header(
        token_rate=token_rate,
        semantic_vocab_size=semantic_vocab_size,
        acoustic_vocab_size=8192,
        num_samples=int(duration_s * 16000),
    )
    assert header.num_positions is not None
    payload_size = header.num_positions * header.bits_per_position / 8
    return stream_size(header.num_positions, header) / payload_size - 1


@pytest.mark.parametrize("version", [1, 2])
def test_stream_size_is_what_the_writer_writes(version: int) -> None:
    header = replace(HEADER, version=version)
    assert header.num_positions is not None
    assert stream_size(header.num_positions, header) == len(stream(header)[0])


def test_overhead_at_the_lowest_bitrate_is_under_2_percent_from_60_s() -> None:
    assert overhead(60, 25, 8192) == pytest.approx((29 + 6 * 3) / 2444)  # 1.9 %
    durations = [*(tenths / 10 for tenths in range(600, 800)), *range(80, 3600)]
    assert max(overhead(duration_s, 25, 8192) for duration_s in durations) < 0.02


@pytest.mark.parametrize("token_rate", [50, 100])
def test_overhead_at_the_other_rates_is_under_2_percent_from_60_s(token_rate: int) -> None:
    durations = range(60, 3600)
    assert max(overhead(duration_s, token_rate, 4096) for duration_s in durations) < 0.02
