"""Sounds that are short enough to be held as a whole."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
from jaxtyping import Float

from semanticodec.audio.io import read_blocks
from semanticodec.errors import AudioError
from semanticodec.token_format import SAMPLE_RATE


def read_short_sound(file: BinaryIO, name: str, max_seconds: float) -> Float[np.ndarray, " S"]:
    """Return a sound file as mono at 16 kHz; reading stops where it is too long.

    Args:
        file: open file of any format that libsndfile reads.
        name: what the message calls it.
        max_seconds: longest sound that is taken.
    Raises:
        AudioError: not audio, or too long.
    """
    blocks, total = [], 0
    for block in read_blocks(file):
        blocks.append(block)
        total += len(block)
        if total > max_seconds * SAMPLE_RATE:
            raise AudioError(
                f"{name} is longer than {max_seconds:g} s, the limit here; cut it, or use "
                "`semanticodec roundtrip`, which takes any length"
            )
    return np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.float32)
