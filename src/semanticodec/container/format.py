"""The layout of a `.smtc` stream: one header, then blocks of at most one 10.24 s window.

All integers are little-endian; every CRC-32 is zlib's.

    header, 33 bytes                                  offset
    +---------------------------+-------+
    | magic "SMTC"              |  4    |   0
    | version, 1                |  u8   |   4
    | flags, see below          |  u8   |   5
    | token_rate, 25 | 50 | 100 |  u8   |   6          tokens/s, both streams together
    | log2 semantic vocabulary  |  u8   |   7          1 to 16
    | log2 acoustic vocabulary  |  u8   |   8          1 to 16
    | sample_rate               |  u32  |   9          Hz, not 0
    | num_samples               |  u64  |  13          2^64 - 1: unknown (a pipe)
    | model fingerprint         |  8    |  21          zeros: unknown
    | CRC-32 of the above       |  u32  |  29
    +---------------------------+-------+
    block, repeated to the end of the stream
    +---------------------------+-------+
    | positions n               |  u16  |   whole columns, at most one window
    | payload                   |  ...  |   ceil(n * bits / 8) bytes
    | CRC-32 of the above       |  u32  |
    +---------------------------+-------+
    payload: semantic 0, acoustic 0, semantic 1, acoustic 1, ... as plain binary numbers of
    log2(vocabulary) bits, most significant bit first, zero-padded to a byte

    flags: bit 0 = entropy-coded payloads, reserved and not read yet; the others must be 0

Positions come in whole columns, all frequency bands of one time step, whose sizes `token_format`
has; so a known num_samples fixes the number of positions; an unknown one is taken to fill them.
A header costs 33 bytes and a block 6. At 0.35 kbps the blocks add 1.3 % to the payload, and
blocks and header together 2.6 % at 60 s, less than 2 % from 127 s on.
"""

import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semanticodec.container import bitpack
from semanticodec.errors import ConfigError, ContainerError
from semanticodec.token_format import SAMPLE_RATE, Formatted, TokenFormat, TokenGrid

MAGIC = b"SMTC"
VERSION = 1
FLAG_ENTROPY_CODED = 1
UNKNOWN_NUM_SAMPLES = 2**64 - 1
FINGERPRINT_SIZE = 8

_HEADER = struct.Struct("<4sBBBBBIQ8s")
_COUNT = struct.Struct("<H")
_CRC = struct.Struct("<I")
HEADER_SIZE = _HEADER.size + _CRC.size
COUNT_SIZE = _COUNT.size

_LOG2 = {1 << bits: bits for bits in range(1, 17)}  # vocabulary size: bits


@dataclass(frozen=True, init=False)
class Header(Formatted):
    """Metadata of a stream, before its first block.

    Attributes:
        format: token rate, vocabularies (powers of two from 2 to 65536) and sample rate.
        num_samples: samples of the decoded audio, at least 1; None: not known yet (a pipe).
        fingerprint: 8 bytes that name the model; zeros: unknown.
    """

    format: TokenFormat
    num_samples: int | None
    fingerprint: bytes

    def __init__(
        self,
        format: TokenFormat | None = None,
        *,
        num_samples: int | None = None,
        fingerprint: bytes = bytes(FINGERPRINT_SIZE),
        **settings: int,
    ) -> None:
        """Check that the stream can say this.

        Args:
            format: token rate, vocabularies and sample rate.
            num_samples: length of the audio in samples, see the class.
            fingerprint: name of the model, see the class.
            settings: attributes of `TokenFormat` by name, in place of `format` or to change it.
        Raises:
            ContainerError: a setting that the file format does not offer.
        """
        try:
            chosen = TokenFormat.of(format, settings)
        except ConfigError as error:
            raise ContainerError(str(error)) from error
        object.__setattr__(self, "format", chosen)
        object.__setattr__(self, "num_samples", num_samples)
        object.__setattr__(self, "fingerprint", fingerprint)
        self._check()

    def _check(self) -> None:
        for name, size in zip(("semantic", "acoustic"), self.format.vocab_sizes, strict=True):
            if size not in _LOG2:
                raise ContainerError(
                    f"{name} vocabulary of {size}; .smtc offers the powers of two from 2 to 65536 "
                    "(1 to 16 bits): use a codebook of such a size"
                )
        if self.sample_rate >= 2**32:
            raise ContainerError(
                f"sample rate {self.sample_rate} Hz; .smtc offers 1 to {2**32 - 1}: "
                f"give the rate of the decoded audio ({SAMPLE_RATE})"
            )
        if self.num_samples is not None and not 1 <= self.num_samples < UNKNOWN_NUM_SAMPLES:
            raise ContainerError(
                f"{self.num_samples} samples; .smtc holds 1 to 2^64 - 2: "
                "give the length of the audio, or None while it is unknown"
            )
        if len(self.fingerprint) != FINGERPRINT_SIZE:
            raise ContainerError(
                f"fingerprint of {len(self.fingerprint)} bytes; .smtc holds "
                f"{FINGERPRINT_SIZE}: give 8 bytes, zeros where the model is unknown"
            )

    @property
    def semantic_bits(self) -> int:
        """Bits of one semantic code, 1 to 16."""
        return _LOG2[self.semantic_vocab_size]

    @property
    def acoustic_bits(self) -> int:
        """Bits of one acoustic code, 1 to 16."""
        return _LOG2[self.acoustic_vocab_size]

    @property
    def bits_per_position(self) -> int:
        """Bits of one semantic and one acoustic code."""
        return self.semantic_bits + self.acoustic_bits

    @property
    def duration_s(self) -> float | None:
        """Seconds of decoded audio; None while the number of samples is unknown."""
        return None if self.num_samples is None else self.num_samples / self.sample_rate

    @property
    def num_positions(self) -> int | None:
        """Positions of the whole stream; None while the number of samples is unknown."""
        return None if self.num_samples is None else self.format.num_positions(self.num_samples)

    def block_size(self, num_positions: int) -> int:
        """Return the bytes of one block of `num_positions`, count and CRC included."""
        payload_size = bitpack.packed_size(num_positions, self.bits_per_position)
        return COUNT_SIZE + payload_size + _CRC.size

    def stream_size(self, num_positions: int) -> int:
        """Return the bytes of a whole stream of `num_positions` in full windows, the least."""
        window = self.format.positions_per_window
        num_full, rest = divmod(num_positions, window)
        rest_size = self.block_size(rest) if rest else 0
        return HEADER_SIZE + num_full * self.block_size(window) + rest_size

    def to_bytes(self) -> bytes:
        """Return the 33 bytes of the header."""
        fields = _HEADER.pack(
            MAGIC,
            VERSION,
            0,
            self.token_rate,
            self.semantic_bits,
            self.acoustic_bits,
            self.sample_rate,
            UNKNOWN_NUM_SAMPLES if self.num_samples is None else self.num_samples,
            self.fingerprint,
        )
        return fields + _CRC.pack(zlib.crc32(fields))

    @classmethod
    def from_bytes(cls, data: bytes) -> "Header":
        """Read the first 33 bytes of a stream.

        Args:
            data: the start of the stream; whatever follows the header is ignored.
        Raises:
            ContainerError: not a `.smtc` stream, a damaged header, or a version, flag or
                setting that this reader does not know.
        """
        _check_preamble(data)
        fields, (crc,) = data[: _HEADER.size], _CRC.unpack_from(data, _HEADER.size)
        if zlib.crc32(fields) != crc:
            raise ContainerError(
                "the header is damaged (its CRC-32 does not match): fetch or encode the file again"
            )
        _, _, flags, token_rate, *vocab_bits, sample_rate, num_samples, fingerprint = (
            _HEADER.unpack(fields)
        )
        _check_flags(flags)
        for bits in vocab_bits:
            if bits not in _LOG2.values():
                raise ContainerError(
                    f"a vocabulary of {bits} bits in the header; .smtc offers 1 to 16: "
                    "encode the file again"
                )
        if sample_rate == 0:
            raise ContainerError("sample rate 0 Hz in the header: encode the file again")
        return cls(
            token_rate=token_rate,
            semantic_vocab_size=1 << vocab_bits[0],
            acoustic_vocab_size=1 << vocab_bits[1],
            sample_rate=sample_rate,
            num_samples=None if num_samples == UNKNOWN_NUM_SAMPLES else num_samples,
            fingerprint=fingerprint,
        )


@dataclass(frozen=True, eq=False)
class Block:
    """The codes of at most one window.

    Args:
        semantic: int64 [L].
        acoustic: int64 [L].
        damage: empty for codes that were read; otherwise what was wrong with the block whose
            place these made-up codes take.
    """

    semantic: NDArray[np.int64]
    acoustic: NDArray[np.int64]
    damage: str = ""

    @property
    def is_concealed(self) -> bool:
        """Whether the codes replace a damaged block."""
        return bool(self.damage)

    def __len__(self) -> int:
        return len(self.semantic)


def pack_block(
    semantic: NDArray[np.integer], acoustic: NDArray[np.integer], header: Header
) -> bytes:
    """Return the bytes of one block: count, payload, CRC-32.

    Args:
        semantic: codes [L] within the vocabulary.
        acoustic: codes [L] within the vocabulary.
        header: header of the stream.
    """
    payload = bitpack.pack(semantic, acoustic, header.semantic_bits, header.acoustic_bits)
    body = _COUNT.pack(len(semantic)) + payload
    return body + _CRC.pack(zlib.crc32(body))


def unpack_block(data: bytes, header: Header) -> Block:
    """Return the codes of the bytes of one whole block whose CRC-32 has been checked."""
    payload = data[COUNT_SIZE : -_CRC.size]
    codes = bitpack.unpack(payload, read_count(data), header.semantic_bits, header.acoustic_bits)
    return Block(*codes)


def read_count(data: bytes | bytearray) -> int:
    """Return the number of positions that the first two bytes of a block state."""
    return _COUNT.unpack_from(data)[0]


def count_problem(num_positions: int, grid: TokenGrid) -> str:
    """Say why a block cannot hold `num_positions`; empty when it can."""
    column, window = grid.positions_per_column, grid.positions_per_window
    if 1 <= num_positions <= window and num_positions % column == 0:
        return ""
    return f"{num_positions} positions; a block holds {column} to {window}, a multiple of {column}"


def is_crc_right(data: bytes | bytearray) -> bool:
    """Say whether the bytes of one whole block carry their own CRC-32."""
    return zlib.crc32(data[: -_CRC.size]) == _CRC.unpack_from(data, len(data) - _CRC.size)[0]


def _check_preamble(data: bytes) -> None:
    if not data:
        raise ContainerError("the stream is empty; .smtc starts with a header of 33 bytes")
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        raise ContainerError(
            f"not a .smtc stream: it starts with {data[: len(MAGIC)]!r} instead of {MAGIC!r}; "
            "give a file that `semanticodec encode` wrote"
        )
    if len(data) > len(MAGIC) and data[len(MAGIC)] != VERSION:
        raise ContainerError(
            f".smtc version {data[len(MAGIC)]}; this release reads version {VERSION}: "
            "a newer release of semanticodec may read it"
        )
    if len(data) < HEADER_SIZE:
        raise ContainerError(
            f"the header is cut off after {len(data)} of {HEADER_SIZE} bytes: "
            "fetch or encode the file again"
        )


def _check_flags(flags: int) -> None:
    if flags & ~FLAG_ENTROPY_CODED:
        raise ContainerError(
            f"unknown flags {flags:#04x}; this release knows none but {FLAG_ENTROPY_CODED:#04x}: "
            "a newer release of semanticodec may read the file"
        )
    if flags & FLAG_ENTROPY_CODED:
        raise ContainerError(
            "the payloads are entropy-coded; this release reads plain payloads only: "
            "encode again without entropy coding"
        )
