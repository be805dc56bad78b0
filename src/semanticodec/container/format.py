"""The header of a `.smtc` stream, and the layout of the whole; `framing` has its blocks.

All integers are little-endian. Version 2, which is written:

    header, 29 or 31 bytes                            offset
    +---------------------------+-------+
    | magic "SMTC"              |  4    |   0
    | version, 2                |  u8   |   4
    | flags, see below          |  u8   |   5
    | token_rate, 25 | 50 | 100 |  u8   |   6          tokens/s, both streams together
    | log2 vocabularies         |  u8   |   7          semantic - 1: high 4 bits, acoustic - 1: low
    | sample_rate               |  u24  |   8          Hz, not 0
    | num_samples               |  u48  |  11          2^48 - 1: unknown (a pipe)
    | model fingerprint         |  8    |  17          zeros: unknown
    | tables                    |  u16  |  25          of entropy-coded streams alone: their name
    | CRC-32 of the above       |  u32  |  25 or 27    zlib's
    +---------------------------+-------+
    block, repeated to the end of the stream
    +---------------------------+-------+
    | columns                   |  u8   |   1 to 64, at most one 10.24 s window
    | payload size              |  u16  |   of entropy-coded payloads alone
    | payload                   |  ...  |   plain: ceil(n * bits / 8) bytes for n positions
    | CRC-16 of the above       |  u16  |   0x1021, from 0xFFFF (binascii.crc_hqx)
    +---------------------------+-------+
    plain payload: semantic 0, acoustic 0, semantic 1, acoustic 1, ... as plain binary numbers of
    log2(vocabulary) bits, most significant bit first, zero-padded to a byte

    flags: bit 0 = entropy-coded payloads; the others must be 0. Bit 7 of a block's columns then
    marks a plain payload, taken where coding would not be shorter. `entropy` has the coding.

Version 1, which is read too, has one byte each for the vocabularies (log2), u32 for the sample
rate, u64 for the samples, and neither flags nor tables: 33 bytes. Its blocks are a u16 of
positions, a plain payload and a CRC-32.

Positions come in whole columns, all frequency bands of one time step, whose sizes `token_format`
has; so a known num_samples fixes the number of positions; an unknown one is taken to fill them.

A header costs 29 bytes and a block 3: less than 2 % of the payload from 60 s at 0.33 kbps on. What
damage a block's 16 bits miss, the largest block having 14 360 bits: none of up to 3 bits wherever
they are, none of an odd number of bits, none within 16 neighboring bits, and 1 in 65 536 of all
else (32 bits: 1 in 4 billion). A wrong header would spoil everything, so it keeps 32 bits.
"""

import struct
import zlib
from dataclasses import dataclass

from semanticodec.container import bitpack
from semanticodec.errors import ConfigError, ContainerError
from semanticodec.token_format import SAMPLE_RATE, Formatted, TokenFormat

MAGIC = b"SMTC"
VERSION = 2
FLAG_ENTROPY_CODED = 1
FINGERPRINT_SIZE = 8
TABLES_SIZE = 2

HEADER_START = len(MAGIC) + 2  # version and flags: they tell the header's size
_FIELDS = struct.Struct("<4sBBBB3s6s8s")
_FIELDS_1 = struct.Struct("<4sBBBBBIQ8s")
_CRC_SIZE = 4
_NUM_SAMPLES_SIZE = {1: 8, 2: 6}  # version: bytes
_SAMPLE_RATE_SIZE = {1: 4, 2: 3}
_LOG2 = {1 << bits: bits for bits in range(1, 17)}  # vocabulary size: bits


@dataclass(frozen=True, init=False)
class Header(Formatted):
    """Metadata of a stream, before its first block.

    Attributes:
        format: token rate, vocabularies (powers of two from 2 to 65536) and sample rate.
        num_samples: samples of the decoded audio, at least 1; None: not known yet (a pipe).
        fingerprint: 8 bytes that name the model; zeros: unknown.
        tables: name of the tables that payloads are entropy-coded with, see `PayloadCoder`;
            None: plain payloads.
        version: of the layout: 2, or 1 where an older stream was read.
    """

    format: TokenFormat
    num_samples: int | None
    fingerprint: bytes
    tables: int | None
    version: int

    def __init__(
        self,
        format: TokenFormat | None = None,
        *,
        num_samples: int | None = None,
        fingerprint: bytes = bytes(FINGERPRINT_SIZE),
        tables: int | None = None,
        version: int = VERSION,
        **settings: int,
    ) -> None:
        """Check that the stream can say this.

        Args:
            format: token rate, vocabularies and sample rate.
            num_samples: length of the audio in samples, see the class.
            fingerprint: name of the model, see the class.
            tables: name of the tables, see the class.
            version: of the layout, 1 or 2.
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
        object.__setattr__(self, "tables", tables)
        object.__setattr__(self, "version", version)
        self._check()

    def _check(self) -> None:
        assert self.version in _NUM_SAMPLES_SIZE, self.version
        assert self.tables is None or self.version == 2, "version 1 holds plain payloads only"
        for name, size in zip(("semantic", "acoustic"), self.format.vocab_sizes, strict=True):
            if size not in _LOG2:
                raise ContainerError(
                    f"{name} vocabulary of {size}; .smtc offers the powers of two from 2 to 65536 "
                    "(1 to 16 bits): use a codebook of such a size"
                )
        highest_rate = (1 << 8 * _SAMPLE_RATE_SIZE[self.version]) - 1
        if self.sample_rate > highest_rate:
            raise ContainerError(
                f"sample rate {self.sample_rate} Hz; .smtc offers 1 to {highest_rate}: "
                f"give the rate of the decoded audio ({SAMPLE_RATE})"
            )
        if self.num_samples is not None and not 1 <= self.num_samples < self._unknown:
            raise ContainerError(
                f"{self.num_samples} samples; .smtc holds 1 to 2^"
                f"{8 * _NUM_SAMPLES_SIZE[self.version]} - 2: "
                "give the length of the audio, or None while it is unknown"
            )
        if len(self.fingerprint) != FINGERPRINT_SIZE:
            raise ContainerError(
                f"fingerprint of {len(self.fingerprint)} bytes; .smtc holds "
                f"{FINGERPRINT_SIZE}: give 8 bytes, zeros where the model is unknown"
            )

    @property
    def _unknown(self) -> int:
        """The number of samples that stands for an unknown one."""
        return (1 << 8 * _NUM_SAMPLES_SIZE[self.version]) - 1

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

    @property
    def size(self) -> int:
        """Bytes of the header itself: 29, or 31 of entropy-coded streams; 33 of version 1."""
        fields = _FIELDS_1 if self.version == 1 else _FIELDS
        return fields.size + (0 if self.tables is None else TABLES_SIZE) + _CRC_SIZE

    def payload_size(self, num_positions: int) -> int:
        """Return the bytes of a plain payload of `num_positions`."""
        return bitpack.packed_size(num_positions, self.bits_per_position)

    def to_bytes(self) -> bytes:
        """Return the bytes of the header."""
        num_samples = self._unknown if self.num_samples is None else self.num_samples
        flags = 0 if self.tables is None else FLAG_ENTROPY_CODED
        start = MAGIC, self.version, flags, self.token_rate
        bits = self.semantic_bits, self.acoustic_bits
        if self.version == 1:
            fields = _FIELDS_1.pack(*start, *bits, self.sample_rate, num_samples, self.fingerprint)
        else:
            fields = _FIELDS.pack(
                *start,
                bits[0] - 1 << 4 | bits[1] - 1,
                self.sample_rate.to_bytes(_SAMPLE_RATE_SIZE[2], "little"),
                num_samples.to_bytes(_NUM_SAMPLES_SIZE[2], "little"),
                self.fingerprint,
            )
            if self.tables is not None:
                fields += self.tables.to_bytes(TABLES_SIZE, "little")
        return fields + zlib.crc32(fields).to_bytes(_CRC_SIZE, "little")

    @classmethod
    def from_bytes(cls, data: bytes) -> "Header":
        """Read the first bytes of a stream.

        Args:
            data: `header_size` of them or more; whatever follows the header is ignored.
        Raises:
            ContainerError: not a `.smtc` stream, a damaged header, or a version, flag or
                setting that this reader does not know.
        """
        size = header_size(data)
        if len(data) < size:
            raise ContainerError(
                f"the header is cut off after {len(data)} of {size} bytes: "
                "fetch or encode the file again"
            )
        fields = data[: size - _CRC_SIZE]
        if zlib.crc32(fields).to_bytes(_CRC_SIZE, "little") != data[size - _CRC_SIZE : size]:
            raise ContainerError(
                "the header is damaged (its CRC-32 does not match): fetch or encode the file again"
            )
        return cls._from_fields_1(fields) if fields[4] == 1 else cls._from_fields(fields)

    @classmethod
    def _from_fields(cls, fields: bytes) -> "Header":
        _, version, flags, token_rate, bits, sample_rate, num_samples, fingerprint = (
            _FIELDS.unpack_from(fields)
        )
        tables = fields[_FIELDS.size :]
        return cls._checked(
            version,
            flags,
            token_rate=token_rate,
            vocab_bits=((bits >> 4) + 1, (bits & 15) + 1),
            sample_rate=int.from_bytes(sample_rate, "little"),
            num_samples=int.from_bytes(num_samples, "little"),
            fingerprint=fingerprint,
            tables=int.from_bytes(tables, "little") if tables else None,
        )

    @classmethod
    def _from_fields_1(cls, fields: bytes) -> "Header":
        _, version, flags, token_rate, *vocab_bits, sample_rate, num_samples, fingerprint = (
            _FIELDS_1.unpack(fields)
        )
        return cls._checked(
            version,
            flags,
            token_rate=token_rate,
            vocab_bits=(vocab_bits[0], vocab_bits[1]),
            sample_rate=sample_rate,
            num_samples=num_samples,
            fingerprint=fingerprint,
            tables=None,
        )

    @classmethod
    def _checked(
        cls,
        version: int,
        flags: int,
        *,
        token_rate: int,
        vocab_bits: tuple[int, int],
        sample_rate: int,
        num_samples: int,
        fingerprint: bytes,
        tables: int | None,
    ) -> "Header":
        """Return the header that fields of any version describe, or raise a `ContainerError`."""
        if flags & ~(FLAG_ENTROPY_CODED if version > 1 else 0):
            raise ContainerError(
                f"unknown flags {flags:#04x}; this release knows none but "
                f"{FLAG_ENTROPY_CODED:#04x}, of version {VERSION}: "
                "a newer release of semanticodec may read the file"
            )
        for bits in vocab_bits:
            if bits not in _LOG2.values():
                raise ContainerError(
                    f"a vocabulary of {bits} bits in the header; .smtc offers 1 to 16: "
                    "encode the file again"
                )
        if sample_rate == 0:
            raise ContainerError("sample rate 0 Hz in the header: encode the file again")
        unknown = (1 << 8 * _NUM_SAMPLES_SIZE[version]) - 1
        return cls(
            token_rate=token_rate,
            semantic_vocab_size=1 << vocab_bits[0],
            acoustic_vocab_size=1 << vocab_bits[1],
            sample_rate=sample_rate,
            num_samples=None if num_samples == unknown else num_samples,
            fingerprint=fingerprint,
            tables=tables,
            version=version,
        )


def header_size(data: bytes) -> int:
    """Return the bytes of a header that starts with `data`, at least `HEADER_START` of them.

    Raises:
        ContainerError: not a `.smtc` stream, or a version that this reader does not know.
    """
    if not data:
        raise ContainerError("the stream is empty; .smtc starts with a header")
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        raise ContainerError(
            f"not a .smtc stream: it starts with {data[: len(MAGIC)]!r} instead of {MAGIC!r}; "
            "give a file that `semanticodec encode` wrote"
        )
    version = data[len(MAGIC)] if len(data) > len(MAGIC) else VERSION
    if version not in _NUM_SAMPLES_SIZE:
        raise ContainerError(
            f".smtc version {version}; this release reads versions 1 to {VERSION}: "
            "a newer release of semanticodec may read it"
        )
    if version == 1:
        return _FIELDS_1.size + _CRC_SIZE
    is_coded = len(data) >= HEADER_START and data[len(MAGIC) + 1] & FLAG_ENTROPY_CODED
    return _FIELDS.size + (TABLES_SIZE if is_coded else 0) + _CRC_SIZE
