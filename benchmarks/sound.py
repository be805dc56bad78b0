"""Long sounds to measure with, in blocks and as files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Float

from semanticodec.benchmark.sound import synthesize
from semanticodec.token_format import SAMPLE_RATE

BLOCK_S = 10.0


def sound_blocks(seconds: float) -> Iterator[Float[np.ndarray, " S"]]:
    """Yield a long sound in blocks, so that its length costs no memory."""
    left, seed = round(seconds * SAMPLE_RATE), 0
    while left:
        block = synthesize(min(left, round(BLOCK_S * SAMPLE_RATE)), seed)
        yield block
        left, seed = left - len(block), seed + 1


def write_sound(path: str | os.PathLike[str], blocks: Iterable[np.ndarray]) -> None:
    """Write blocks as a 16-bit wav at 16 kHz, one after the other."""
    import soundfile

    with soundfile.SoundFile(path, "w", SAMPLE_RATE, channels=1, subtype="PCM_16") as file:
        for block in blocks:
            file.write(block)
