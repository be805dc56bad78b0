"""Every single damage of a small stream of each version is noticed, and none gives other codes."""

import io
import tracemalloc

import numpy as np
import pytest

from container_laws import check_any_bytes
from container_tables import pattern_coder
from semanticodec.container import Block, Header, read, read_header, write
from semanticodec.errors import ContainerError
from semanticodec.token_format import TokenFormat

FORMAT = TokenFormat(token_rate=25, semantic_vocab_size=64, acoustic_vocab_size=32)
CODER = pattern_coder(FORMAT)
HEADERS = {
    "version 1": Header(FORMAT, num_samples=20_480, version=1),
    "version 2": Header(FORMAT, num_samples=20_480),
    "coded": Header(FORMAT, num_samples=20_480, tables=CODER.tables),
}
COLUMNS = np.arange(4), np.arange(4, 8)
SIZES = (12, 4)  # positions of the blocks


def small(name: str) -> bytes:
    file = io.BytesIO()
    blocks = [Block(*(np.tile(column, size // 4) for column in COLUMNS)) for size in SIZES]
    write(file, HEADERS[name], blocks, CODER if HEADERS[name].tables is not None else None)
    return file.getvalue()


@pytest.mark.parametrize("name", HEADERS)
def test_a_flip_of_any_bit_is_an_error_or_concealed_and_said(name: str) -> None:
    data = small(name)
    whole = read(data, coder=CODER)
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ContainerError):
            read(bytes(changed), coder=CODER)
        try:
            _, semantic, acoustic, is_concealed = read(bytes(changed), conceal=True, coder=CODER)
        except ContainerError:
            continue
        assert is_concealed.any()
        assert len(semantic) <= len(whole[1])
        sound = ~is_concealed
        np.testing.assert_array_equal(semantic[sound], whole[1][: len(semantic)][sound])
        np.testing.assert_array_equal(acoustic[sound], whole[2][: len(acoustic)][sound])


@pytest.mark.parametrize("name", HEADERS)
def test_a_cut_at_any_byte_is_an_error_or_an_earlier_end(name: str) -> None:
    data = small(name)
    for end in range(len(data)):
        with pytest.raises(ContainerError):
            read(data[:end], coder=CODER)
        check_any_bytes(data[:end], CODER)


@pytest.mark.parametrize("name", HEADERS)
def test_streams_one_behind_the_other_are_refused(name: str) -> None:
    data = small(name)
    with pytest.raises(ContainerError, match=f"goes on at byte {len(data)}"):
        read(data + data, coder=CODER)
    header, semantic, _, is_concealed = read(data + data, conceal=True, coder=CODER)
    assert len(semantic) == header.num_positions == sum(SIZES) and not is_concealed.any()


@pytest.mark.parametrize("name", HEADERS)
def test_a_claim_of_years_takes_no_memory(name: str) -> None:
    header = HEADERS[name]
    claim = Header(FORMAT, num_samples=2**48 - 2, tables=header.tables, version=header.version)
    data = claim.to_bytes() + small(name)[header.size :]
    tracemalloc.start()
    assert read_header(data).num_samples == 2**48 - 2
    with pytest.raises(ContainerError, match="take at least"):
        read(data, coder=CODER)
    _, semantic, _, _ = read(data, conceal=True, coder=CODER)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(semantic) == sum(SIZES)
    assert peak < 100_000
