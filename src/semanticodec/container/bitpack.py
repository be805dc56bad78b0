"""Interleave two streams of codes into bytes and back, a whole block at a time."""

import numpy as np
from numpy.typing import NDArray

_WORD_BITS = 32  # one position fits one big-endian word: two codes of at most 16 bits


def packed_size(num_positions: int, bits_per_position: int) -> int:
    """Return the number of bytes that `num_positions` take, the last one padded."""
    return -(-num_positions * bits_per_position // 8)


def pack(
    semantic: NDArray[np.integer],
    acoustic: NDArray[np.integer],
    semantic_bits: int,
    acoustic_bits: int,
) -> bytes:
    """Write every position as its semantic bits, then its acoustic bits.

    Args:
        semantic: codes [L] in [0, 2**semantic_bits).
        acoustic: codes [L] in [0, 2**acoustic_bits).
        semantic_bits: 1 to 16.
        acoustic_bits: 1 to 16.
    Returns:
        `packed_size(L, semantic_bits + acoustic_bits)` bytes, most significant bit first,
        zero-padded to a byte.
    """
    bits_per_position = semantic_bits + acoustic_bits
    words = semantic.astype(np.uint32) << np.uint32(acoustic_bits) | acoustic.astype(np.uint32)
    octets = words.astype(">u4").view(np.uint8).reshape(-1, _WORD_BITS // 8)
    bits = np.unpackbits(octets, axis=1)[:, _WORD_BITS - bits_per_position :]
    return np.packbits(bits).tobytes()


def unpack(
    payload: bytes, num_positions: int, semantic_bits: int, acoustic_bits: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Read what `pack` wrote.

    Args:
        payload: exactly `packed_size(num_positions, semantic_bits + acoustic_bits)` bytes.
        num_positions: L, at least 1.
        semantic_bits: 1 to 16.
        acoustic_bits: 1 to 16.
    Returns:
        Semantic and acoustic codes, int64 [L] each.
    """
    bits_per_position = semantic_bits + acoustic_bits
    assert len(payload) == packed_size(num_positions, bits_per_position), (
        len(payload),
        num_positions,
        bits_per_position,
    )
    octets = np.frombuffer(payload, np.uint8)
    bits = np.unpackbits(octets, count=num_positions * bits_per_position)
    word_bits = np.zeros((num_positions, _WORD_BITS), np.uint8)
    word_bits[:, _WORD_BITS - bits_per_position :] = bits.reshape(num_positions, -1)
    words = np.packbits(word_bits, axis=1).view(">u4")[:, 0].astype(np.int64)
    return words >> acoustic_bits, words & ((1 << acoustic_bits) - 1)
