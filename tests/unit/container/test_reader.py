"""Any bytes give a valid result or a ContainerError; damage stays where it is."""

import io
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from container_laws import check_any_bytes
from semanticodec.container import Block, Header, Reader, read, read_header, write
from semanticodec.container.framing import block_size
from semanticodec.errors import ContainerError

from .streams import HEADER, block_start, stream

DATA, BLOCKS = stream()
SEMANTIC = np.concatenate([block.semantic for block in BLOCKS])
ACOUSTIC = np.concatenate([block.acoustic for block in BLOCKS])
SMALL = Header(token_rate=50, semantic_vocab_size=2, acoustic_vocab_size=8, num_samples=170_000)
SMALL_STREAMS = [stream(replace(SMALL, version=version))[0] for version in (1, 2)]


class Trickle(io.RawIOBase):
    """A pipe that brings at most 5 bytes at a time."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._file.read(min(size, 5))


def damaged(data: bytes, *places: int) -> bytes:
    changed = bytearray(data)
    for place in places:
        changed[place] ^= 0x40
    return bytes(changed)


# --- sound streams ---


@settings(max_examples=50)
@given(
    token_rate=st.sampled_from([25, 50, 100]),
    vocab_bits=st.tuples(st.integers(1, 16), st.integers(1, 16)),
    num_samples=st.integers(1, 500_000),
    seed=st.integers(0, 100),
    version=st.sampled_from([1, 2]),
)
def test_stream_round_trips(
    token_rate: int, vocab_bits: tuple[int, int], num_samples: int, seed: int, version: int
) -> None:
    header = Header(
        token_rate=token_rate,
        semantic_vocab_size=1 << vocab_bits[0],
        acoustic_vocab_size=1 << vocab_bits[1],
        num_samples=num_samples,
        version=version,
    )
    data, blocks = stream(header, seed)
    got_header, semantic, acoustic, is_concealed = read(data)
    assert got_header == header
    np.testing.assert_array_equal(semantic, np.concatenate([block.semantic for block in blocks]))
    np.testing.assert_array_equal(acoustic, np.concatenate([block.acoustic for block in blocks]))
    assert semantic.dtype == acoustic.dtype == np.int64
    assert not is_concealed.any()
    assert semantic.flags.writeable


def test_path_bytes_and_pipe_give_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.smtc").write_bytes(DATA)
    for source in (DATA, tmp_path / "a.smtc", str(tmp_path / "a.smtc"), Trickle(DATA)):
        assert read_header(source) == HEADER  # type: ignore[arg-type]
    for source in (DATA, tmp_path / "a.smtc", Trickle(DATA)):
        with Reader(source) as reader:  # type: ignore[arg-type]
            blocks = list(reader)
        assert [len(block) for block in blocks] == [128, 128, 120]
        assert reader.num_samples_read == HEADER.num_samples
        np.testing.assert_array_equal(blocks[2].acoustic, BLOCKS[2].acoustic)
        assert not any(block.is_concealed for block in blocks)


def test_blocks_smaller_than_a_window_are_read() -> None:
    header = replace(HEADER, num_samples=None)
    blocks = [Block(SEMANTIC[at : at + 8], ACOUSTIC[at : at + 8]) for at in range(0, 376, 8)]
    file = io.BytesIO()
    write(file, header, blocks)
    np.testing.assert_array_equal(read(file.getvalue())[1], SEMANTIC)


def test_unknown_length_fills_the_positions() -> None:
    data = replace(HEADER, num_samples=None).to_bytes() + DATA[HEADER.size :]
    assert read(data)[0].num_samples == 376 * 1280
    with Reader(data) as reader:
        next(iter(reader))
        assert reader.num_samples_read == 163_840


def test_memory_is_bounded_by_blocks_not_by_the_stream() -> None:
    header = replace(HEADER, num_samples=None)
    pipe = Trickle(header.to_bytes() + DATA[HEADER.size : block_start(HEADER, 1)] * 100)
    with Reader(pipe) as reader:  # type: ignore[arg-type]
        blocks = iter(reader)
        next(blocks)
        tracemalloc.start()
        for _ in blocks:
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 50_000
    assert reader.num_samples_read == 100 * 163_840


# --- damage that is reported ---


def test_damaged_block_is_named() -> None:
    start = block_start(HEADER, 1)
    reader = Reader(damaged(DATA, start + 50))
    blocks = iter(reader)
    np.testing.assert_array_equal(next(blocks).semantic, BLOCKS[0].semantic)
    with pytest.raises(ContainerError, match=f"block 1 at byte {start}: damaged.*CRC-16"):
        next(blocks)


def test_impossible_count_is_named() -> None:
    data = DATA[: HEADER.size] + b"\xff" + DATA[HEADER.size + 1 :]
    with pytest.raises(ContainerError, match=r"block 0 at byte 29: 1020 positions.*4 to 128"):
        read(data)


def test_bytes_behind_the_end_are_reported() -> None:
    with pytest.raises(ContainerError, match=f"goes on at byte {len(DATA)}"):
        read(DATA + b"\0")
    last = DATA[block_start(HEADER, 2) :]
    with pytest.raises(
        ContainerError, match=r"block 2 .*128 positions, where the header leaves 120"
    ):
        read(DATA[: block_start(HEADER, 2)] + DATA[HEADER.size : block_start(HEADER, 1)] + last)


def test_missing_blocks_are_reported_at_once_in_a_file_and_at_the_end_in_a_pipe() -> None:
    cut = DATA[: block_start(HEADER, 1)]
    with pytest.raises(ContainerError, match=f"has {len(cut)} bytes.*at least {len(DATA)}"):
        Reader(cut)
    blocks = iter(Reader(Trickle(cut)))  # type: ignore[arg-type]
    next(blocks)
    with pytest.raises(ContainerError, match="ends at byte 432, after 1 blocks, 248 positions"):
        next(blocks)


def test_header_alone_is_an_error() -> None:
    header = replace(HEADER, num_samples=None).to_bytes()
    for conceal in (False, True):
        with pytest.raises(ContainerError, match="ends behind its header"):
            read(header, conceal=conceal)


def test_promise_beyond_the_file_allocates_nothing() -> None:
    data = replace(HEADER, num_samples=2**48 - 2).to_bytes() + DATA[HEADER.size :]
    with pytest.raises(ContainerError, match="take at least"):
        read(data)
    header, semantic, _, is_concealed = read(data, conceal=True)
    np.testing.assert_array_equal(semantic, SEMANTIC)
    assert header.num_samples == 376 * 1280
    assert not is_concealed.any()


# --- damage that is concealed ---


@pytest.mark.parametrize("place", [0, 1, 2, 200, 402])
@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("num_samples", [None, HEADER.num_samples])
@pytest.mark.parametrize("version", [1, 2])
def test_one_damaged_block_costs_its_own_positions_only(
    place: int, number: int, num_samples: int | None, version: int
) -> None:
    whole = replace(HEADER, version=version)
    data = replace(whole, num_samples=num_samples).to_bytes() + stream(whole)[0][whole.size :]
    place = min(place, block_size(120, whole) - 1) if number == 2 else place
    header, semantic, acoustic, is_concealed = read(
        damaged(data, block_start(whole, number) + place), conceal=True
    )
    is_damaged = np.zeros(376, bool)
    is_damaged[number * 128 : (number + 1) * 128] = True
    np.testing.assert_array_equal(is_concealed, is_damaged)
    np.testing.assert_array_equal(semantic[~is_damaged], SEMANTIC[~is_damaged])
    np.testing.assert_array_equal(acoustic[~is_damaged], ACOUSTIC[~is_damaged])
    assert header.num_samples == (num_samples or 376 * 1280)


def test_concealment_repeats_the_last_good_column() -> None:
    reader = Reader(damaged(DATA, block_start(HEADER, 1) + 9), conceal=True)
    blocks = list(reader)
    assert [block.is_concealed for block in blocks] == [False, True, False]
    assert blocks[1].damage.startswith(f"block 1 at byte {block_start(HEADER, 1)}: damaged")
    np.testing.assert_array_equal(blocks[1].semantic, np.tile(SEMANTIC[124:128], 32))
    np.testing.assert_array_equal(blocks[1].acoustic, np.tile(ACOUSTIC[124:128], 32))


def test_concealment_before_any_good_block_is_zeros() -> None:
    _, semantic, acoustic, is_concealed = read(damaged(DATA, HEADER.size + 9), conceal=True)
    assert not semantic[:128].any() and not acoustic[:128].any()
    assert is_concealed.sum() == 128


def test_neighboring_damaged_blocks_keep_the_time() -> None:
    places = [block_start(HEADER, number) + 1 for number in (0, 1)]  # both counts
    _, semantic, _, is_concealed = read(damaged(DATA, *places), conceal=True)
    np.testing.assert_array_equal(np.flatnonzero(~is_concealed), np.arange(256, 376))
    np.testing.assert_array_equal(semantic[256:], SEMANTIC[256:])


def test_damaged_small_blocks_keep_the_time() -> None:
    blocks = [Block(SEMANTIC[at : at + 8], ACOUSTIC[at : at + 8]) for at in range(0, 376, 8)]
    file = io.BytesIO()
    write(file, HEADER, blocks)
    start = HEADER.size + 10 * block_size(8, HEADER)
    data = damaged(file.getvalue(), start, start + block_size(8, HEADER) + 5)
    _, semantic, _, is_concealed = read(data, conceal=True)
    np.testing.assert_array_equal(np.flatnonzero(is_concealed), np.arange(80, 96))
    np.testing.assert_array_equal(semantic[96:], SEMANTIC[96:])


def test_foreign_bytes_between_blocks_are_skipped() -> None:
    start = block_start(HEADER, 1)
    _, semantic, _, is_concealed = read(DATA[:start] + b"???" + DATA[start:] + b"?", conceal=True)
    np.testing.assert_array_equal(semantic, SEMANTIC)
    assert not is_concealed.any()


def test_stream_cut_inside_a_block_ends_with_that_block() -> None:
    cut = block_start(HEADER, 1) + 100
    header, semantic, _, is_concealed = read(DATA[:cut], conceal=True)
    assert len(semantic) == 256
    assert header.num_samples == 256 * 1280
    np.testing.assert_array_equal(np.flatnonzero(is_concealed), np.arange(128, 256))


def test_damaged_pipe_is_concealed_too() -> None:
    data = damaged(DATA, block_start(HEADER, 1) + 9)
    _, semantic, _, is_concealed = read(Trickle(data), conceal=True)  # type: ignore[arg-type]
    np.testing.assert_array_equal(semantic[256:], SEMANTIC[256:])
    assert is_concealed.sum() == 128


# --- anything at all ---


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_random_bytes(data: bytes) -> None:
    check_any_bytes(data)
    check_any_bytes(b"SMTC\x01" + data)
    check_any_bytes(b"SMTC\x02" + data)


@settings(max_examples=100, deadline=None)
@given(header=st.sampled_from([HEADER, SMALL]), body=st.binary(max_size=1500), known=st.booleans())
def test_random_blocks_behind_a_valid_header(header: Header, body: bytes, known: bool) -> None:
    num_samples = header.num_samples if known else None
    check_any_bytes(replace(header, num_samples=num_samples).to_bytes() + body)


@settings(max_examples=200, deadline=None)
@given(
    data=st.sampled_from([DATA, *SMALL_STREAMS]),
    edits=st.lists(
        st.tuples(
            st.integers(0, len(DATA)),
            st.sampled_from(["replace", "insert", "delete", "repeat"]),
            st.binary(min_size=1, max_size=40),
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_mutated_streams(data: bytes, edits: list[tuple[int, str, bytes]]) -> None:
    for place, kind, piece in edits:
        end = place + len(piece)
        inserted = data[place:end] if kind == "repeat" else b"" if kind == "delete" else piece
        rest = data[end:] if kind in ("replace", "delete") else data[place:]
        data = data[:place] + inserted + rest
    check_any_bytes(data)


@pytest.mark.parametrize("data", SMALL_STREAMS)
def test_truncation_at_every_byte(data: bytes) -> None:
    for end in range(len(data)):
        with pytest.raises(ContainerError):
            read(data[:end])
        check_any_bytes(data[:end])


@pytest.mark.parametrize("data", SMALL_STREAMS)
def test_flip_of_every_byte_is_noticed(data: bytes) -> None:
    for place in range(len(data)):
        with pytest.raises(ContainerError):
            read(damaged(data, place))
        check_any_bytes(damaged(data, place))


def test_long_noise_is_concealed_in_proportion_to_its_size() -> None:
    noise = np.random.default_rng(0).bytes(60_000)
    data = replace(HEADER, num_samples=None).to_bytes() + noise
    tracemalloc.start()
    _, semantic, _, is_concealed = read(data, conceal=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert is_concealed.all()
    assert len(semantic) == pytest.approx(60_000 * 8 / 25, rel=0.03)
    assert peak < 12 * len(data) + 20_000
