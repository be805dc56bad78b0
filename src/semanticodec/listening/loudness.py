"""Equal loudness after EBU R 128, so that nobody judges how loud a codec is.

pyloudnorm measures (ITU-R BS.1770-4, gated); all sounds of a page then get one loudness.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from semanticodec.errors import DataError
from semanticodec.token_format import SAMPLE_RATE

TARGET_LUFS = -23.0
MAX_TRUE_PEAK_DB = -1.0
OVERSAMPLING = 4  # as BS.1770 estimates true peaks
BLOCK_S = 0.4  # of the meter: shorter sounds have no loudness


def loudness(wav: Float[np.ndarray, " S"]) -> float:
    """Return the integrated loudness in LUFS; minus infinity for silence.

    Args:
        wav: 16 kHz mono, at least 0.4 s.
    """
    from pyloudnorm import Meter

    return float(Meter(SAMPLE_RATE, block_size=BLOCK_S).integrated_loudness(wav.astype(float)))


def true_peak_db(wav: Float[np.ndarray, " S"]) -> float:
    """Return the highest level between samples too, in dB of full scale."""
    from scipy.signal import resample_poly

    peak = float(np.abs(resample_poly(wav.astype(float), OVERSAMPLING, 1)).max())
    return 20 * math.log10(peak) if peak > 0 else -math.inf


def aligned(
    wavs: Mapping[str, Float[np.ndarray, " S"]], target_lufs: float = TARGET_LUFS
) -> dict[str, Float[np.ndarray, " S"]]:
    """Return the sounds of a page at one loudness.

    Args:
        wavs: 16 kHz mono, float32, by name.
        target_lufs: loudness to reach; where a true peak would pass −1 dB, all become as much
            softer as it takes.
    Raises:
        DataError: a sound is silent or shorter than 0.4 s; the message names it.
    """
    gains = {name: target_lufs - _measured(name, wav) for name, wav in wavs.items()}
    peaks = [true_peak_db(wav) + gains[name] for name, wav in wavs.items()]
    surplus = max(0.0, max(peaks) - MAX_TRUE_PEAK_DB)
    return {
        name: (wav * 10 ** ((gains[name] - surplus) / 20)).astype(np.float32)
        for name, wav in wavs.items()
    }


def _measured(name: str, wav: Float[np.ndarray, " S"]) -> float:
    if len(wav) < BLOCK_S * SAMPLE_RATE:
        raise DataError(
            f"{name} lasts {len(wav) / SAMPLE_RATE:g} s; loudness needs {BLOCK_S} s or more: "
            "leave the clip out"
        )
    level = loudness(wav)
    if not math.isfinite(level):
        raise DataError(f"{name} is silent, so it has no loudness to align; leave the clip out")
    return level
