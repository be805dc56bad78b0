"""Asymmetric numeral systems on one large integer: whole numbers in, whole numbers out.

A symbol that takes `frequency` of `total` parts costs log2(total / frequency) bits to the last
fraction; a payload is rounded up to a byte once. Totals may differ from symbol to symbol.

Source: Duda 2013, "Asymmetric numeral systems", arXiv 1311.2540; without its renormalization, as
a block has at most some thousand bits.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

_START = 1


def encode(parts: Iterable[tuple[int, int, int]]) -> bytes:
    """Return the bytes of symbols.

    Args:
        parts: (first part, number of parts, total) of every symbol, the last symbol first.
    """
    state = _START
    for first, frequency, total in parts:
        quotient, remainder = divmod(state, frequency)
        state = quotient * total + first + remainder
    return state.to_bytes((state.bit_length() + 7) // 8, "little")


class Decoder:
    """The symbols of a payload, the first one first.

    Args:
        payload: result of `encode`; zeros behind it mean nothing.
    """

    def __init__(self, payload: bytes) -> None:
        self._state = int.from_bytes(payload, "little")

    def next(self, ends: NDArray[np.int64]) -> int:
        """Return the next symbol.

        Args:
            ends: last part + 1 of every symbol, ascending.
        """
        quotient, part = divmod(self._state, int(ends[-1]))
        symbol = int(ends.searchsorted(part, "right"))
        first = int(ends[symbol - 1]) if symbol else 0
        self._state = quotient * (int(ends[symbol]) - first) + part - first
        return symbol

    @property
    def is_at_end(self) -> bool:
        """Whether all symbols have been read, and no others were written."""
        return self._state == _START
