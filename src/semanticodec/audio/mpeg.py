"""MPEG audio frame by frame (ISO 11172-3, 13818-3): where frames are, and how many.

    file:   junk, tags | frame frame frame ... | junk | frame ... | tags
    frame:  11 bits of sync, version, layer, bitrate, rate, padding, channels: its size follows
    info:   a first frame without sound, which says how many follow ("Xing" or "Info")

Decoders believe the info frame, and guess the length from the first bitrate where there is none.
Here the frames are counted, and each run of them becomes a file that tells no fewer.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import BinaryIO, NamedTuple

from semanticodec.reading import Gap, Piece, Pieces, size_of

HEADER_BYTES = 4
HEAD_BYTES = 64  # of a frame: header, side information and the start of an info frame
INFO_MARKS = (b"Xing", b"Info")
FRAMES_FLAG = 1
MAX_BYTES = 4096  # of a frame, and more
ID3V1_BYTES = 128  # a decoder looks at the end of a file for such a tag
SEARCHED_BYTES = 1 << 20
ID3_BYTES = 10
# Random bytes look like a frame now and then, hardly like so many in a row.
SURE_FRAMES = 4
COMPARED_FRAMES = 200  # some seconds

# kbit/s by index; layer III and II at half the rates (MPEG-2 and 2.5) share a row.
_MPEG1_LAYER = {
    1: (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
_MPEG2_LAYER1 = (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256)
_MPEG2_OTHERS = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_MPEG1_RATES = (44_100, 48_000, 32_000)
_SYNC = re.compile(rb"\xff[\xe2-\xff]")


class Frame(NamedTuple):
    """What a frame's header says.

    Attributes:
        num_bytes: size, header included.
        kind: version, layer, rate and whether it is mono; frames of one stream share it.
        info_offset: byte of the frame at which "Xing" or "Info" stands in an info frame.
    """

    num_bytes: int
    kind: tuple[int, int, int, bool]
    info_offset: int


@lru_cache(maxsize=4096)
def parse_header(header: bytes) -> Frame | None:
    """Return what the four bytes of a frame's header say; None if they are no such header."""
    if len(header) < HEADER_BYTES or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    bitrate, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3:
        return None
    is_mpeg1 = version == 3
    rates = _MPEG1_LAYER[layer] if is_mpeg1 else _MPEG2_LAYER1 if layer == 1 else _MPEG2_OTHERS
    sample_rate = _MPEG1_RATES[rate] >> {3: 0, 2: 1, 0: 2}[version]
    slot, slots = (4, 12) if layer == 1 else (1, 72 if layer == 3 and not is_mpeg1 else 144)
    num_bytes = (slots * rates[bitrate - 1] * 1000 // sample_rate + padding) * slot
    is_mono = header[3] >> 6 == 3
    side = (17 if is_mono else 32) if is_mpeg1 else (9 if is_mono else 17)
    kind = (version, layer, sample_rate, is_mono)
    return Frame(num_bytes=num_bytes, kind=kind, info_offset=HEADER_BYTES + side)


def after_id3(file: BinaryIO) -> int:
    """Return the byte behind the ID3v2 tags at a file's start."""
    position = 0
    while True:
        file.seek(position)
        tag = file.read(ID3_BYTES)
        if len(tag) < ID3_BYTES or tag[:3] != b"ID3" or max(tag[6:10]) > 127:
            return position
        size = tag[6] << 21 | tag[7] << 14 | tag[8] << 7 | tag[9]
        has_footer = tag[5] >> 4 & 1
        position += ID3_BYTES * (1 + has_footer) + size


def _frames(file: BinaryIO, position: int) -> Iterator[tuple[int, bytes, Frame]]:
    """Yield byte, first bytes and header of the frames that follow one another."""
    while True:
        file.seek(position)
        head = file.read(HEAD_BYTES)
        frame = parse_header(head[:HEADER_BYTES])
        if frame is None:
            return
        yield position, head, frame
        position += frame.num_bytes


def tells_length(file: BinaryIO) -> bool:
    """Return whether a decoder knows the length of MPEG audio without reading all of it.

    It does by an info frame, or if all frames (the first ones are looked at) have one bitrate.

    Args:
        file: seekable; its position stays.
    """
    before = file.tell()
    bitrates = set()
    for _, head, frame in islice(_frames(file, after_id3(file)), COMPARED_FRAMES):
        if _is_info(head, frame):
            break
        bitrates.add(head[2] >> 4)
    file.seek(before)
    return len(bitrates) < 2


def mpeg_parts(file: BinaryIO) -> Iterator[Pieces]:
    """Yield every run of frames as a file of its own, which decodes to its end.

    A new run begins behind bytes that are no frames, at another info frame (files that were put
    one behind the other) and where the kind of frames changes.

    Args:
        file: seekable; may begin with anything.
    """
    size = size_of(file)
    reader = io.BufferedReader(Pieces(file, [range(size)]), 1 << 16)
    position = after_id3(reader)
    limit = position + SEARCHED_BYTES  # a video has frames too, but far behind
    while (start := _find_frames(reader, position, limit)) is not None:
        limit = size
        count, position = _count_frames(reader, start, size)
        if count:
            yield Pieces(file, _with_length(reader, start, position, count))
        position = max(position, start + 1)


def _find_frames(file: BinaryIO, position: int, limit: int) -> int | None:
    """Return the first byte in [position, limit) where frames begin; None if there is none."""
    while True:
        file.seek(position)
        block = file.read(min(SEARCHED_BYTES, limit - position))
        for match in _SYNC.finditer(block):
            if _is_sure(file, position + match.start()):
                return position + match.start()
        if len(block) < SEARCHED_BYTES:
            return None
        position += len(block) - 1  # a sync may lie across the border


def _is_sure(file: BinaryIO, start: int) -> bool:
    kinds, count, end = set(), 0, start
    for position, _, frame in islice(_frames(file, start), SURE_FRAMES):
        kinds.add(frame.kind)
        count, end = count + 1, position + frame.num_bytes
    file.seek(end)
    is_whole = count == SURE_FRAMES or not file.read(1)  # a short file ends with its last frame
    return len(kinds) == 1 and is_whole


def _count_frames(file: BinaryIO, start: int, size: int) -> tuple[int, int]:
    """Return how many whole frames with sound follow one another from `start`, and where they end.

    Args:
        file: seekable.
        start: byte at which the first frame stands.
        size: bytes of the file.
    """
    kind, count, end = None, 0, start
    for position, head, frame in _frames(file, start):
        if (
            kind not in (None, frame.kind)
            or position + frame.num_bytes > size
            or (position > start and _is_info(head, frame))
        ):
            break
        kind = frame.kind
        count += not _is_info(head, frame)
        end = position + frame.num_bytes
    return count, end


def _is_info(head: bytes, frame: Frame) -> bool:
    return head[frame.info_offset : frame.info_offset + 4] in INFO_MARKS


def _with_length(file: BinaryIO, start: int, end: int, count: int) -> list[Piece]:
    """Return the pieces of a run of frames, so that a decoder expects no fewer than there are.

    Where nothing tells their number, it is guessed from the size of the file and the first bitrate:
    then the run seems to be followed by many bytes, of which none can be read before the last ones.
    A told number that is too large does no harm, and stays: the file was cut, and the decoder shall
    not take its last samples for the encoder's padding.
    """
    file.seek(start)
    head = file.read(HEAD_BYTES)
    frame = parse_header(head[:HEADER_BYTES])
    assert frame is not None
    at = frame.info_offset + 8
    told = int.from_bytes(head[at : at + 4], "big")
    if not _is_info(head, frame) or not head[at - 1] & FRAMES_FLAG or not told:
        return [range(start, end), Gap(count * MAX_BYTES), bytes(ID3V1_BYTES)]
    if told >= count:
        return [range(start, end)]
    return [head[:at] + count.to_bytes(4, "big"), range(start + at + 4, end)]
