"""Reading an Ogg stream as far as to count what its packets weigh (RFC 3533).

page: "OggS" · version 0 · flags u8 · granule 8 · serial u32 · number u32 · CRC u32 ·
      segments n u8 · n segment sizes u8 · segments
packet: its segments in order; one of fewer than 255 bytes ends it
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from semanticodec.errors import DataError

_PAGE = struct.Struct("<4sBBqIIIB")
MAGIC = b"OggS"
FULL_SEGMENT = 255


class Page(NamedTuple):
    """One page.

    Attributes:
        serial: number of the logical stream that it belongs to.
        segments: sizes in bytes; a packet ends at each that is smaller than 255.
    """

    serial: int
    segments: bytes


def read_pages(stream: bytes) -> list[Page]:
    """Return the pages of a stream; every length is checked against the bytes that are there.

    Raises:
        DataError: not an Ogg stream, or one that is cut.
    """
    pages = []
    start = 0
    while start < len(stream):
        place = f"page {len(pages)} at byte {start}"
        if len(stream) - start < _PAGE.size:
            raise DataError(f"{place} of the Ogg stream is cut")
        magic, version, _, _, serial, _, _, count = _PAGE.unpack_from(stream, start)
        if magic != MAGIC or version != 0:
            raise DataError(f"{place} is no Ogg page")
        body = start + _PAGE.size + count
        segments = stream[start + _PAGE.size : body]
        end = body + sum(segments)
        if end > len(stream):
            raise DataError(f"{place} of the Ogg stream is cut")
        pages.append(Page(serial, segments))
        start = end
    return pages


def packet_sizes(pages: list[Page]) -> list[int]:
    """Return the bytes of every packet, without what the pages add.

    Raises:
        DataError: several logical streams, or a last packet that does not end.
    """
    if len({page.serial for page in pages}) > 1:
        raise DataError("the Ogg file holds several streams; one is expected")
    sizes = []
    pending = 0
    is_open = False
    for page in pages:
        for segment in page.segments:
            pending += segment
            is_open = segment == FULL_SEGMENT
            if not is_open:
                sizes.append(pending)
                pending = 0
    if is_open:
        raise DataError("the last packet of the Ogg stream does not end")
    return sizes
