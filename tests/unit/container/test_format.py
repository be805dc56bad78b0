"""The layout byte by byte, what a header may say, and what the framing costs."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semanticodec.container import Header, read, read_header
from semanticodec.container.format import (
    pack_block,
)
from semanticodec.errors import ContainerError
from semanticodec.token_format import TokenGrid

from .streams import HEADER, stream


def header_bytes(
    magic: bytes = b"SMTC",
    version: int = 1,
    flags: int = 0,
    token_rate: int = 50,
    vocab_bits: tuple[int, int] = (12, 13),
    sample_rate: int = 16000,
    num_samples: int = 16000,
) -> bytes:
    fields = struct.pack(
        "<4sBBBBBIQ8s",
        magic,
        version,
        flags,
        token_rate,
        *vocab_bits,
        sample_rate,
        num_samples,
        b"model id",
    )
    return fields + struct.pack("<I", zlib.crc32(fields))


def test_header_is_the_33_bytes_of_the_format() -> None:
    header = Header(
        token_rate=50,
        semantic_vocab_size=4096,
        acoustic_vocab_size=8192,
        num_samples=16000,
        fingerprint=b"model id",
    )
    assert header.to_bytes() == header_bytes()
    assert len(header_bytes()) == 33
    assert read_header(header_bytes()) == header


def test_block_is_count_payload_crc() -> None:
    codes = np.arange(4)
    header = Header(token_rate=50, semantic_vocab_size=16, acoustic_vocab_size=16)
    body = b"\x04\x00" + bytes([0x00, 0x11, 0x22, 0x33])
    assert pack_block(codes, codes, header) == body + struct.pack("<I", zlib.crc32(body))


def test_unknown_length_is_the_largest_u64() -> None:
    header = Header(token_rate=50, semantic_vocab_size=4096, acoustic_vocab_size=8192)
    assert header.to_bytes()[13:21] == b"\xff" * 8
    assert read_header(header.to_bytes()).num_samples is None


@given(
    token_rate=st.sampled_from([25, 50, 100]),
    vocab_bits=st.tuples(st.integers(1, 16), st.integers(1, 16)),
    sample_rate=st.integers(1, 2**32 - 1),
    num_samples=st.none() | st.integers(1, 2**64 - 2),
    fingerprint=st.binary(min_size=8, max_size=8),
)
def test_every_header_round_trips(
    token_rate: int,
    vocab_bits: tuple[int, int],
    sample_rate: int,
    num_samples: int | None,
    fingerprint: bytes,
) -> None:
    header = Header(
        token_rate=token_rate,
        semantic_vocab_size=1 << vocab_bits[0],
        acoustic_vocab_size=1 << vocab_bits[1],
        sample_rate=sample_rate,
        num_samples=num_samples,
        fingerprint=fingerprint,
    )
    assert Header.from_bytes(header.to_bytes()) == header


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "empty"),
        (b"SMT", "cut off after 3 of 33"),
        (b"RIFF" + bytes(40), "not a .smtc stream.*RIFF"),
        (header_bytes()[:-1], "cut off after 32 of 33"),
        (header_bytes(version=2), "version 2.*reads version 1"),
        (header_bytes()[:20] + b"?" + header_bytes()[21:], "header is damaged"),
        (header_bytes(flags=1), "entropy-coded"),
        (header_bytes(flags=2), "unknown flags 0x02"),
        (header_bytes(flags=0x81), "unknown flags 0x81"),
        (header_bytes(token_rate=75), "token rate 75.*25, 50 or 100"),
        (header_bytes(vocab_bits=(0, 13)), "vocabulary of 0 bits.*1 to 16"),
        (header_bytes(vocab_bits=(12, 17)), "vocabulary of 17 bits.*1 to 16"),
        (header_bytes(sample_rate=0), "sample rate 0 Hz"),
        (header_bytes(num_samples=0), "0 samples"),
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
        ({"sample_rate": 2**32}, "sample rate 4294967296"),
        ({"num_samples": 2**64 - 1}, "2\\^64 - 2"),
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


def overhead(duration_s: float, token_rate: int = 25, semantic_vocab_size: int = 32768) -> float:
    header = Header(
        token_rate=token_rate,
        semantic_vocab_size=semantic_vocab_size,
        acoustic_vocab_size=8192,
        num_samples=int(duration_s * 16000),
    )
    assert header.num_positions is not None
    payload_size = header.num_positions * header.bits_per_position / 8
    return header.stream_size(header.num_positions) / payload_size - 1


def test_stream_size_is_what_the_writer_writes() -> None:
    assert HEADER.num_positions is not None
    assert HEADER.stream_size(HEADER.num_positions) == len(stream()[0])


def test_overhead_at_the_lowest_bitrate() -> None:
    header = Header(token_rate=25, semantic_vocab_size=32768, acoustic_vocab_size=8192)
    assert header.bitrate == 350
    assert (header.block_size(128) - 448) / 448 < 0.0135
    assert overhead(60) == pytest.approx((33 + 6 * 6) / 2632)  # 2.6 %
    assert max(overhead(duration_s) for duration_s in range(127, 3600)) < 0.02


@pytest.mark.xfail(strict=True, reason="33 + 6 * 6 bytes of framing on 2632 are 2.6 %")
def test_overhead_at_the_lowest_bitrate_is_under_2_percent_from_60_s() -> None:
    assert max(overhead(duration_s) for duration_s in range(60, 3600)) < 0.02


@pytest.mark.parametrize("token_rate", [50, 100])
def test_overhead_at_the_other_rates_is_under_2_percent_from_60_s(token_rate: int) -> None:
    durations = range(60, 3600)
    assert max(overhead(duration_s, token_rate, 4096) for duration_s in durations) < 0.02
