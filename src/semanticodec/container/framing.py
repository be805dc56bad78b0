"""The blocks of a `.smtc` stream: their frame, their checksum, and the codes in them.

The layout stands in `format`; payloads are plain bits or what a `PayloadCoder` makes of them.
"""

import binascii
import zlib
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from semanticodec.container import bitpack
from semanticodec.container.format import Header
from semanticodec.errors import ContainerError
from semanticodec.token_format import TokenGrid

# A coded payload has at least this share of the plain one: a small file cannot claim hours.
LEAST_SHARE = 16

_COUNT_SIZE = {1: 2, 2: 1}  # version: bytes
_CRC_SIZE = {1: 4, 2: 2}
_SIZE_SIZE = 2
_PLAIN = 0x80
_CRC_START = 0xFFFF

Streams = tuple[NDArray[np.int64], NDArray[np.int64]]


class PayloadCoder(Protocol):
    """What entropy-codes the payloads of a stream.

    Attributes:
        tables: u16 that names the tables; another one's would give other codes.
    """

    tables: int

    def encode(self, semantic: NDArray[np.integer], acoustic: NDArray[np.integer]) -> bytes:
        """Return the payload of one block, of whole columns."""
        ...

    def decode(self, payload: bytes, num_positions: int) -> Streams:
        """Return the codes of one block.

        Raises:
            ContainerError: no payload of so many positions.
        """
        ...


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


class Head(NamedTuple):
    """What a block says of itself before its payload."""

    num_positions: int
    is_coded: bool
    size: int
    payload_size: int


def head_size(header: Header) -> int:
    """Return the bytes that hold any block's head."""
    return _COUNT_SIZE[header.version] + (0 if header.tables is None else _SIZE_SIZE)


def read_head(data: bytes | bytearray | memoryview, header: Header) -> Head:
    """Return the head of the block that starts with `data`, `head_size` bytes or more."""
    size = _COUNT_SIZE[header.version]
    count = int.from_bytes(data[:size], "little")
    if header.version == 1:
        return Head(count, False, size, header.payload_size(count))
    is_coded = header.tables is not None and not count & _PLAIN
    if header.tables is not None:
        count &= ~_PLAIN
    num_positions = count * header.format.positions_per_column
    if not is_coded:
        return Head(num_positions, False, size, header.payload_size(num_positions))
    payload_size = int.from_bytes(data[size : size + _SIZE_SIZE], "little")
    return Head(num_positions, True, size + _SIZE_SIZE, payload_size)


def head_problem(head: Head, header: Header) -> str:
    """Say what is wrong with a block's head; empty if nothing."""
    problem = count_problem(head.num_positions, header.format)
    if problem or not head.is_coded:
        return problem
    plain_size = header.payload_size(head.num_positions)
    least = least_coded_size(head.num_positions, header)
    if least <= head.payload_size < plain_size:
        return ""
    return (
        f"{head.payload_size} bytes of payload; {head.num_positions} coded positions have "
        f"{least} to {plain_size - 1}"
    )


def least_coded_size(num_positions: int, header: Header) -> int:
    """Return the least bytes of an entropy-coded payload."""
    return -(-header.payload_size(num_positions) // LEAST_SHARE)


def whole_size(head: Head, header: Header) -> int:
    """Return the bytes of a block with this head."""
    return head.size + head.payload_size + _CRC_SIZE[header.version]


def block_size(num_positions: int, header: Header) -> int:
    """Return the bytes of a block with a plain payload, the most that it can have."""
    framing = _COUNT_SIZE[header.version] + _CRC_SIZE[header.version]
    return framing + header.payload_size(num_positions)


def stream_size(num_positions: int, header: Header) -> int:
    """Return the least bytes of a whole stream of `num_positions`: in full windows."""
    window = header.format.positions_per_window
    num_full, rest = divmod(num_positions, window)
    rest_size = _least_block_size(rest, header) if rest else 0
    return header.size + num_full * _least_block_size(window, header) + rest_size


def _least_block_size(num_positions: int, header: Header) -> int:
    if header.tables is None:
        return block_size(num_positions, header)
    least = least_coded_size(num_positions, header)
    return head_size(header) + least + _CRC_SIZE[header.version]


def pack_block(
    semantic: NDArray[np.integer],
    acoustic: NDArray[np.integer],
    header: Header,
    coder: PayloadCoder | None = None,
) -> bytes:
    """Return the bytes of one block: head, payload, checksum.

    Args:
        semantic: codes [L] within the vocabulary.
        acoustic: codes [L] within the vocabulary.
        header: header of the stream.
        coder: coder of the header's tables, where it names some.
    """
    plain = bitpack.pack(semantic, acoustic, header.semantic_bits, header.acoustic_bits)
    if header.version == 1:
        body = len(semantic).to_bytes(_COUNT_SIZE[1], "little") + plain
        return body + _crc(body, header)
    num_columns = len(semantic) // header.format.positions_per_column
    if coder is None:
        body = bytes([num_columns]) + plain
        return body + _crc(body, header)
    payload = coder.encode(semantic, acoustic)
    payload = payload.ljust(least_coded_size(len(semantic), header), b"\0")
    if len(payload) + _SIZE_SIZE < len(plain):
        body = bytes([num_columns]) + len(payload).to_bytes(_SIZE_SIZE, "little") + payload
    else:
        body = bytes([num_columns | _PLAIN]) + plain
    return body + _crc(body, header)


def unpack_block(data: bytes, header: Header, coder: PayloadCoder | None = None) -> Block:
    """Return the codes of the bytes of one whole block whose checksum has been checked.

    Raises:
        ContainerError: an entropy-coded payload that the tables do not explain.
    """
    head = read_head(data, header)
    payload = data[head.size : head.size + head.payload_size]
    if not head.is_coded:
        bits = header.semantic_bits, header.acoustic_bits
        return Block(*bitpack.unpack(payload, head.num_positions, *bits))
    assert coder is not None
    return Block(*coder.decode(payload, head.num_positions))


def count_problem(num_positions: int, grid: TokenGrid) -> str:
    """Say why a block cannot hold `num_positions`; empty when it can."""
    column, window = grid.positions_per_column, grid.positions_per_window
    if 1 <= num_positions <= window and num_positions % column == 0:
        return ""
    return f"{num_positions} positions; a block holds {column} to {window}, a multiple of {column}"


def is_crc_right(data: bytes | bytearray, header: Header) -> bool:
    """Say whether the bytes of one whole block carry their own checksum."""
    size = _CRC_SIZE[header.version]
    return _crc(data[:-size], header) == data[-size:]


def crc_name(header: Header) -> str:
    """Return the name of the blocks' checksum."""
    return f"CRC-{8 * _CRC_SIZE[header.version]}"


def _crc(body: bytes | bytearray, header: Header) -> bytes:
    if header.version == 1:
        return zlib.crc32(body).to_bytes(_CRC_SIZE[1], "little")
    return binascii.crc_hqx(body, _CRC_START).to_bytes(_CRC_SIZE[2], "little")


def check_coder(header: Header, coder: PayloadCoder | None) -> None:
    """Refuse a coder that is not the one of the header's tables.

    Raises:
        ContainerError: none or another one, or one for a stream of plain payloads.
    """
    if header.tables is None or (coder is not None and coder.tables == header.tables):
        return
    given = "no coder is" if coder is None else f"a coder with tables {coder.tables:04x} is"
    raise ContainerError(
        f"the payloads are entropy-coded with tables {header.tables:04x} of model "
        f"{header.fingerprint.hex()}, and {given} given: give entropy=codec.entropy_coder of "
        "the codec that wrote them"
    )
