"""The anchors of ITU-R BS.1534-3: the reference through low-pass filters of 3.5 and 7 kHz.

They span the scale: what every listener must find bad, and what most find between.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.signal import firwin, kaiserord, oaconvolve

from semanticodec.token_format import SAMPLE_RATE

LOW_HZ, MID_HZ = 3500.0, 7000.0
LOW, MID = "anchor 3.5 kHz", "anchor 7 kHz"
ANCHORS_HZ = {LOW: LOW_HZ, MID: MID_HZ}
# The recommendation wants 25 dB at 4 kHz, 50 dB at 4.5 kHz and a ripple of at most 0.1 dB.
TRANSITION_HZ = 500.0
ATTENUATION_DB = 60.0


def low_passed(wav: Float[np.ndarray, " S"], cutoff_hz: float) -> Float[np.ndarray, " S"]:
    """Return what lies below a frequency, without delay.

    Args:
        wav: float32, 16 kHz mono.
        cutoff_hz: end of the pass band; 500 Hz above it nothing is heard.
    Returns:
        As many samples, float32.
    Source: paper Sec. IV-C; BS.1534-3 Sec. 5.1.
    """
    num_taps, beta = kaiserord(ATTENUATION_DB, 2 * TRANSITION_HZ / SAMPLE_RATE)
    num_taps |= 1  # an odd number of taps delays by whole samples
    middle = cutoff_hz + TRANSITION_HZ / 2
    window: Any = ("kaiser", beta)  # scipy's stubs know names only
    taps = firwin(num_taps, middle, window=window, fs=SAMPLE_RATE)
    start = num_taps // 2
    return oaconvolve(wav, taps)[start : start + len(wav)].astype(np.float32)
