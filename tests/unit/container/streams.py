"""Streams that the container tests share."""

import io

import numpy as np

from semanticodec.container import Block, Header, write
from semanticodec.container.framing import block_size

HEADER = Header(
    token_rate=25,
    semantic_vocab_size=4096,
    acoustic_vocab_size=8192,
    num_samples=30 * 16000 + 1,
    fingerprint=b"\x01\x23\x45\x67\x89\xab\xcd\xef",
)


def random_blocks(header: Header, length: int, seed: int = 0) -> list[Block]:
    """Return blocks of random codes for `length` positions in full windows and a rest."""
    generator = np.random.default_rng(seed)
    window = header.format.positions_per_window
    sizes = [min(window, length - start) for start in range(0, length, window)]
    return [
        Block(
            generator.integers(0, header.semantic_vocab_size, size),
            generator.integers(0, header.acoustic_vocab_size, size),
        )
        for size in sizes
    ]


def stream(header: Header = HEADER, seed: int = 0) -> tuple[bytes, list[Block]]:
    """Return a valid stream of random codes and its blocks."""
    assert header.num_samples is not None
    blocks = random_blocks(header, header.format.num_positions(header.num_samples), seed)
    file = io.BytesIO()
    write(file, header, blocks)
    return file.getvalue(), blocks


def block_start(header: Header, number: int) -> int:
    """Return the byte at which block `number` starts when all before it are full."""
    return header.size + number * block_size(header.format.positions_per_window, header)
