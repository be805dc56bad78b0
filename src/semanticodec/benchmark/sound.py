"""A sound to measure with: harmonics and noise, made from nothing, the same every time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Float

SAMPLE_RATE = 16_000
BLOCK_S = 10.0
NUM_HARMONICS = 12
LOWEST_HZ, HIGHEST_HZ = 100.0, 300.0


def synthesise(num_samples: int, seed: int = 0) -> Float[np.ndarray, " S"]:
    """Return harmonics of a gliding pitch over soft noise, float32, of at most full scale.

    Args:
        num_samples: at 16 kHz.
        seed: other sounds for other numbers.
    """
    rng = np.random.default_rng(seed)
    time = np.arange(num_samples) / SAMPLE_RATE
    base_hz, glide_hz = rng.uniform(LOWEST_HZ, HIGHEST_HZ), rng.uniform(0.1, 0.5)
    rhythm_hz = rng.uniform(2, 5)
    pitch = base_hz * (1 + 0.2 * np.sin(2 * np.pi * glide_hz * time))
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    wav = 0.02 * rng.standard_normal(num_samples)
    for number in range(1, NUM_HARMONICS + 1):
        wav += 0.2 / number * np.sin(number * phase + rng.uniform(0, 2 * np.pi))
    envelope = 0.55 + 0.45 * np.sin(2 * np.pi * rhythm_hz * time)
    return np.clip(wav * envelope, -1, 1).astype(np.float32)


def sound_blocks(seconds: float) -> Iterator[Float[np.ndarray, " S"]]:
    """Yield a long sound in blocks, so that its length costs no memory."""
    left, seed = round(seconds * SAMPLE_RATE), 0
    while left:
        block = synthesise(min(left, round(BLOCK_S * SAMPLE_RATE)), seed)
        yield block
        left, seed = left - len(block), seed + 1


def write_sound(path: str | os.PathLike[str], blocks: Iterable[np.ndarray]) -> None:
    """Write blocks as a 16-bit wav at 16 kHz, one after the other."""
    import soundfile

    with soundfile.SoundFile(path, "w", SAMPLE_RATE, channels=1, subtype="PCM_16") as file:
        for block in blocks:
            file.write(block)
