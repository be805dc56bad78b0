"""The clips: sums of sines, sweeps, clicks and noise, the same samples on every machine."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from experiments.tones.signals import KINDS, signal
from semanticodec.token_format import WINDOW_SAMPLES

SEED = 17
FULL_SCALE = 32768
NOISE_DB = (-60.0, -20.0)


def clip(number: int, num_samples: int = WINDOW_SAMPLES) -> Float[np.ndarray, " S"]:
    """Return clip `number`: two of the measuring desk's signals and noise, within [-1, 1].

    Samples are rounded to 16 bits: sines differ in their last digits between machines, and
    rounded ones do not.

    Args:
        number: decides everything about it.
        num_samples: length at 16 kHz, a window at most, so that a clip is a window.
    """
    rng = np.random.default_rng([SEED, number])
    both = signal(rng, num_samples, KINDS) + signal(rng, num_samples, KINDS)
    mixed = 0.5 * both.astype(np.float64)
    level = 10 ** (rng.uniform(*NOISE_DB) / 20)
    mixed += 0.25 * level * rng.uniform(-1.0, 1.0, num_samples)
    return (np.round(mixed * FULL_SCALE) / FULL_SCALE).astype(np.float32)
