"""Bits go where the format says, for every pair of widths."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semanticodec.container import bitpack


def test_bits_interleave_most_significant_first_and_pad_with_zeros() -> None:
    semantic, acoustic = np.array([0b101, 0b001]), np.array([0b11, 0b10])
    # 101 11 001 10 -> 10111001 10|000000
    assert bitpack.pack(semantic, acoustic, 3, 2) == bytes([0b10111001, 0b10000000])


@pytest.mark.parametrize("semantic_bits", range(1, 17))
@pytest.mark.parametrize("acoustic_bits", [1, 2, 7, 8, 13, 16])
def test_every_width_round_trips(semantic_bits: int, acoustic_bits: int) -> None:
    generator = np.random.default_rng(semantic_bits * 17 + acoustic_bits)
    semantic = generator.integers(0, 1 << semantic_bits, 513)
    acoustic = generator.integers(0, 1 << acoustic_bits, 513)
    payload = bitpack.pack(semantic, acoustic, semantic_bits, acoustic_bits)
    assert len(payload) == bitpack.packed_size(513, semantic_bits + acoustic_bits)
    read = bitpack.unpack(payload, 513, semantic_bits, acoustic_bits)
    np.testing.assert_array_equal(read[0], semantic)
    np.testing.assert_array_equal(read[1], acoustic)
    assert read[0].dtype == read[1].dtype == np.int64


@given(
    pairs=st.lists(st.tuples(st.integers(0, 2**12 - 1), st.integers(0, 2**13 - 1)), min_size=1),
)
def test_payload_is_the_binary_number_of_all_codes(pairs: list[tuple[int, int]]) -> None:
    digits = "".join(f"{semantic:012b}{acoustic:013b}" for semantic, acoustic in pairs)
    digits += "0" * (-len(digits) % 8)
    semantic, acoustic = np.array(pairs).T
    payload = bitpack.pack(semantic, acoustic, 12, 13)
    assert payload == int(digits, 2).to_bytes(len(digits) // 8, "big")
