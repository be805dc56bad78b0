"""Versions of one sound at one loudness: the louder of two is otherwise taken for the better."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from semanticodec.errors import MissingDependencyError
from semanticodec.listening.loudness import BLOCK_S, loudness
from semanticodec.token_format import SAMPLE_RATE

LOUDEST_PEAK = 0.99


def equally_loud(wavs: Sequence[Float[np.ndarray, " S"]]) -> list[Float[np.ndarray, " S"]]:
    """Return waveforms scaled to the integrated loudness of the first; none is clipped.

    Args:
        wavs: versions of one sound, 16 kHz mono, the original first.
    Returns:
        float32. Silence stays as it is; where a peak would pass 1, all are made softer alike.
    Raises:
        MissingDependencyError: pyloudnorm is not installed.
    """
    require_loudness()
    levels = [_level(wav) for wav in wavs]
    gains = [
        10 ** ((levels[0] - level) / 20) if math.isfinite(levels[0] - level) else 1.0
        for level in levels
    ]
    peaks = [gain * float(np.abs(wav).max(initial=0.0)) for wav, gain in zip(wavs, gains)]
    common = min(1.0, LOUDEST_PEAK / max(*peaks, 1e-9))
    return [(common * gain * wav).astype(np.float32) for wav, gain in zip(wavs, gains)]


def _level(wav: Float[np.ndarray, " S"]) -> float:
    """Return the loudness of a sound; a short one is measured with silence behind it."""
    shortest = math.ceil(BLOCK_S * SAMPLE_RATE)
    return loudness(np.pad(wav, (0, max(0, shortest - len(wav)))))


def require_loudness() -> None:
    """Raise MissingDependencyError where pyloudnorm is not installed."""
    try:
        import pyloudnorm  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            "equal loudness needs pyloudnorm; install it with pip install 'semanticodec[demo]'"
        ) from error
