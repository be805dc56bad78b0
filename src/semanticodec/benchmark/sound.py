"""A sound to measure with: harmonics and noise, made from nothing, the same every time."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from semanticodec.token_format import SAMPLE_RATE

NUM_HARMONICS = 12
LOWEST_HZ, HIGHEST_HZ = 100.0, 300.0


def synthesize(num_samples: int, seed: int = 0) -> Float[np.ndarray, " S"]:
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
