"""Coded payloads come back exactly, on every machine, and damage stays where it is."""

import hashlib
import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from container_tables import pattern_coder, pattern_tables
from semanticodec.container import Block, Header, Reader, read, write
from semanticodec.container.ans import Decoder, encode
from semanticodec.container.entropy import LOGIT_SCALE, MOST_PARTS, PARTS, EntropyCoder
from semanticodec.container.framing import LEAST_SHARE, block_size, pack_block
from semanticodec.errors import ContainerError
from semanticodec.token_format import TokenFormat

FORMAT = TokenFormat(token_rate=25, semantic_vocab_size=64, acoustic_vocab_size=32)
CODER = pattern_coder(FORMAT)
HEADER = Header(FORMAT, num_samples=30 * 16000 + 1, tables=CODER.tables)


def staying_codes(num_positions: int, seed: int = 0) -> Block:
    """Return codes of which every column but some is that before it."""
    random = np.random.default_rng(seed)
    columns = random.integers(0, 32, (num_positions // 4, 2, 4))
    for column in range(1, len(columns)):
        if column % 8:
            columns[column] = columns[column - 1]
    return Block(columns[:, 0].ravel(), columns[:, 1].ravel())


BLOCKS = [staying_codes(size, size) for size in (128, 128, 120)]
FILE = io.BytesIO()
write(FILE, HEADER, BLOCKS, CODER)
DATA = FILE.getvalue()
STARTS = HEADER.size + np.cumsum(
    [0, *(len(pack_block(b.semantic, b.acoustic, HEADER, CODER)) for b in BLOCKS)]
)


def damaged(place: int) -> bytes:
    return DATA[:place] + bytes([DATA[place] ^ 0x40]) + DATA[place + 1 :]


# --- asymmetric numeral systems ---


@given(
    symbols=st.lists(st.integers(0, 3), max_size=200),
    parts=st.lists(st.integers(1, MOST_PARTS), min_size=4, max_size=4),
)
def test_symbols_come_back_at_their_entropy(symbols: list[int], parts: list[int]) -> None:
    ends = np.cumsum(parts)
    coded = [(int(ends[s]) - parts[s], parts[s], int(ends[-1])) for s in symbols]
    payload = encode(reversed(coded))
    decoder = Decoder(payload + b"\0\0")
    assert [decoder.next(ends) for _ in symbols] == symbols
    assert decoder.is_at_end
    bits = sum(np.log2(ends[-1] / parts[s]) for s in symbols)
    assert 8 * len(payload) < bits + np.log2(MOST_PARTS) + 8 + 0.1 * len(symbols)


# --- payloads ---


@settings(max_examples=30, deadline=None)
@given(
    token_rate=st.sampled_from([25, 50, 100]),
    vocab_bits=st.tuples(st.integers(1, 10), st.integers(1, 10)),
    num_columns=st.integers(1, 32),
    seed=st.integers(0, 100),
)
def test_any_codes_come_back(
    token_rate: int, vocab_bits: tuple[int, int], num_columns: int, seed: int
) -> None:
    format = TokenFormat(
        token_rate=token_rate,
        semantic_vocab_size=1 << vocab_bits[0],
        acoustic_vocab_size=1 << vocab_bits[1],
    )
    coder = pattern_coder(format)
    random = np.random.default_rng(seed)
    num_positions = num_columns * format.positions_per_column
    streams = [random.integers(0, size, num_positions) for size in format.vocab_sizes]
    decoded = coder.decode(coder.encode(streams[0], streams[1]), num_positions)
    for got, expected in zip(decoded, streams, strict=True):
        np.testing.assert_array_equal(got, expected)
        assert got.dtype == np.int64


def test_payload_is_the_same_on_every_machine() -> None:
    payload = b"".join(CODER.encode(block.semantic, block.acoustic) for block in BLOCKS)
    assert hashlib.sha256(payload).hexdigest()[:16] == "a73da5fdf1800848"
    assert CODER.tables == 34220


def test_no_number_of_parts_is_near_a_tie() -> None:
    exact = MOST_PARTS * np.exp(-np.arange(len(PARTS)) / LOGIT_SCALE)
    assert np.abs(exact - np.floor(exact) - 0.5).min() > 1e-6  # exp() is right to 1e-10 of it
    assert PARTS.min() == 1 and PARTS.max() == MOST_PARTS


def test_another_payload_is_no_payload() -> None:
    block = BLOCKS[0]
    payload = CODER.encode(block.semantic, block.acoustic)
    for wrong in (payload[:-1], payload[:10] + b"?" + payload[11:], b"", payload + b"\1"):
        with pytest.raises(ContainerError, match="damaged"):
            CODER.decode(wrong, len(block))
    with pytest.raises(ContainerError, match="damaged"):
        pattern_coder(FORMAT, 101).decode(payload, len(block))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"semantic.codes": None}, "lack or add semantic.codes"),
        ({"more": np.zeros(1)}, "lack or add more"),
        ({"acoustic.points": np.zeros((32, 15), np.int8)}, r"points int8 \[32, 15\].*\[32, 16\]"),
        ({"acoustic.copies": np.zeros((6, 2), np.int32)}, "copies int32.*int16"),
        ({"semantic.codes": np.zeros(64, np.uint16)}, "every semantic code once"),
    ],
)
def test_damaged_tables_are_refused(change: dict, text: str) -> None:
    tables = {**pattern_tables(FORMAT), **change}
    with pytest.raises(ContainerError, match=text):
        EntropyCoder(FORMAT, {name: table for name, table in tables.items() if table is not None})


# --- streams ---


def test_stream_is_smaller_and_holds_the_same_codes() -> None:
    plain = io.BytesIO()
    write(plain, replace(HEADER, tables=None), BLOCKS)
    assert len(DATA) < 0.5 * len(plain.getvalue())
    header, *streams, is_concealed = read(DATA, coder=CODER)
    assert header == HEADER
    for got, expected in zip(streams, read(plain.getvalue())[1:3], strict=True):
        np.testing.assert_array_equal(got, expected)
    assert not is_concealed.any()


def test_block_that_coding_would_not_shorten_stays_plain() -> None:
    random = np.random.default_rng(0)
    codes = [random.integers(0, size, 128) for size in FORMAT.vocab_sizes]
    assert len(pack_block(codes[0], codes[1], HEADER, CODER)) == block_size(128, HEADER)
    file = io.BytesIO()
    unknown = replace(HEADER, num_samples=None)
    write(file, unknown, [BLOCKS[0], Block(*codes), BLOCKS[1]], CODER)
    np.testing.assert_array_equal(read(file.getvalue(), coder=CODER)[1][128:256], codes[0])


def test_payload_has_at_least_a_share_of_the_plain_one() -> None:
    zeros = np.zeros(128, np.int64)
    size = len(pack_block(zeros, zeros, HEADER, CODER))
    assert size >= 5 + HEADER.payload_size(128) // LEAST_SHARE


def test_the_coder_has_to_be_the_one_that_was_used() -> None:
    with pytest.raises(ContainerError, match="entropy-coded with tables .* no coder is given"):
        read(DATA)
    other = pattern_coder(FORMAT, 101)
    with pytest.raises(ContainerError, match=f"a coder with tables {other.tables:04x} is given"):
        read(DATA, coder=other)
    with pytest.raises(ContainerError, match="no coder is given"):
        write(io.BytesIO(), HEADER, BLOCKS)
    plain = replace(HEADER, tables=None)
    file = io.BytesIO()
    write(file, plain, BLOCKS, CODER)  # a plain stream takes none
    assert read(file.getvalue(), coder=CODER)[0] == plain


def test_flip_is_noticed_and_costs_one_block() -> None:
    expected = np.concatenate([block.semantic for block in BLOCKS])
    heads = [start + place for start in STARTS[:-1] for place in range(3)]
    for place in [*heads, *range(HEADER.size, len(DATA), 41)]:
        data = damaged(place)
        with pytest.raises(ContainerError):
            read(data, coder=CODER)
        header, semantic, _, is_concealed = read(data, coder=CODER, conceal=True)
        number = int(np.searchsorted(STARTS, place, "right")) - 1
        is_lost = np.arange(376) // 128 == number
        np.testing.assert_array_equal(is_concealed, is_lost)
        np.testing.assert_array_equal(semantic[~is_lost], expected[~is_lost])
        assert header == HEADER


def test_truncation_is_noticed() -> None:
    for end in [*range(0, len(DATA), 23), len(DATA) - 1]:
        with pytest.raises(ContainerError):
            read(DATA[:end], coder=CODER)


@settings(max_examples=50, deadline=None)
@given(body=st.binary(max_size=600))
def test_random_blocks_are_codes_or_an_error(body: bytes) -> None:
    data = replace(HEADER, num_samples=None).to_bytes() + body
    try:
        header, semantic, acoustic, _ = read(data, coder=CODER, conceal=True)
    except ContainerError:
        return
    assert header.num_positions == len(semantic) == len(acoustic)
    assert len(semantic) <= LEAST_SHARE * len(body) * 8 // HEADER.bits_per_position + 128


def test_sound_checksum_of_a_wrong_payload_is_damage() -> None:
    class Liar:
        tables = CODER.tables
        decode = CODER.decode

        def encode(self, semantic: np.ndarray, acoustic: np.ndarray) -> bytes:
            return CODER.encode(semantic, acoustic)[:-1] + b"?"

    file = io.BytesIO()
    write(file, HEADER, BLOCKS, Liar())
    with pytest.raises(ContainerError, match="block 0 at byte 31: damaged"):
        next(iter(Reader(file.getvalue(), coder=CODER)))
    assert read(file.getvalue(), coder=CODER, conceal=True)[3].all()
