"""Any bytes for a stream: an error that says so, or codes within range."""

import binascii
import zlib

from container_laws import check_any_bytes
from container_tables import pattern_coder
from semanticodec.container import Header
from semanticodec.container.framing import head_size, read_head, whole_size
from semanticodec.token_format import TokenFormat

FORMAT = TokenFormat(token_rate=25, semantic_vocab_size=64, acoustic_vocab_size=32)
CODER = pattern_coder(FORMAT)
HEADERS = (
    Header(FORMAT),
    Header(FORMAT, num_samples=200_000),
    Header(FORMAT, version=1),
    Header(FORMAT, tables=CODER.tables),
    Header(FORMAT, num_samples=200_000, tables=CODER.tables),
    Header(token_rate=100, semantic_vocab_size=2, acoustic_vocab_size=2, num_samples=90_000),
)


def check(data: bytes) -> None:
    """Read bytes as they are, behind a sound header, or with checksums that are right.

    Args:
        data: the first byte chooses between these, the others are the stream.
    """
    kind, body = data[:1], data[1:]
    number = kind[0] if kind else 0
    header = HEADERS[number % len(HEADERS)]
    number //= len(HEADERS)
    if number % 4 == 0:
        check_any_bytes(body, CODER)
    elif number % 4 == 1:
        fields = b"SMTC" + body[:21]
        check_any_bytes(fields + zlib.crc32(fields).to_bytes(4, "little") + body[21:], CODER)
    elif number % 4 == 2:
        check_any_bytes(header.to_bytes() + body, CODER)
    else:
        check_any_bytes(header.to_bytes() + _with_checksums(body, header), CODER)


def _with_checksums(body: bytes, header: Header) -> bytes:
    """Return blocks whose checksums, the last bytes of each, are right."""
    blocks = bytearray()
    while len(body) >= head_size(header):
        size = whole_size(read_head(body, header), header)
        block, body = body[:size], body[size:]
        if header.version == 1:
            checksum = zlib.crc32(block[:-4]).to_bytes(4, "little")
        else:
            checksum = binascii.crc_hqx(block[:-2], 0xFFFF).to_bytes(2, "little")
        blocks += block[: -len(checksum)] + checksum
    return bytes(blocks + body)
