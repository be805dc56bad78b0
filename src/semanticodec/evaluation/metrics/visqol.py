"""ViSQOL, a listener's opinion score from 1 to 5 (Sec. IV-C), in its speech and audio modes.

Speech mode with the exponential mapping, at 16 kHz, is what the paper's Table II agrees with, for
music and general sound too; audio mode at 48 kHz is what its text names.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Literal

import numpy as np
import soxr
from jaxtyping import Float

from semanticodec.errors import AudioError
from semanticodec.evaluation.metrics.base import Metric, check_audible, check_pair, needs, of_pair
from semanticodec.token_format import SAMPLE_RATE

if TYPE_CHECKING:
    from visqol import VisqolApi

Mode = Literal["speech", "audio"]
AUDIO_RATE = 48_000


@cache
def _open(mode: Mode) -> VisqolApi:
    with needs("visqol-python"):
        from visqol import VisqolApi
    api = VisqolApi()
    # Said outright: left open, the scale depends on whether another package is installed.
    api.create(mode=mode, use_lattice_model=False)
    return api


def _measure(mode: Mode, rate: int, reference: np.ndarray, decoded: np.ndarray) -> float:
    duration_s = len(reference) / rate
    try:
        score = float(_open(mode).measure_from_arrays(reference, decoded, rate).moslqo)
    except (ValueError, IndexError) as error:
        # What the package raises when no stretch of the reference fills one of its patches.
        raise AudioError(
            f"ViSQOL's {mode} mode cannot score a clip of {duration_s:.2f} s ({error}); "
            "give clips of at least 1 s"
        ) from error
    if not math.isfinite(score):
        raise AudioError(f"ViSQOL's {mode} mode found no score for this clip of {duration_s:.2f} s")
    return score


def _check(reference: np.ndarray, decoded: np.ndarray) -> None:
    check_pair(reference, decoded)
    check_audible(reference, "reference", "ViSQOL")
    if not decoded.any():
        # Its level is matched to the reference's, so anything but zeros has a score.
        raise AudioError("the decoded clip is silent (all zeros); ViSQOL is not defined")


def visqol_speech(reference: Float[np.ndarray, " S"], decoded: Float[np.ndarray, " S"]) -> float:
    """Return ViSQOL's score in speech mode, exponential mapping: 5 for equal clips, 1 at worst.

    Args:
        reference: the original, 16 kHz mono.
        decoded: the same after a codec, exactly as long.
    Raises:
        AudioError: different lengths, NaN, a silent clip, or less than about 0.8 s.
        MissingDependencyError: visqol-python is not installed.
    Source: Sec. IV-C "ViSQOL"; compares with Table II.
    """
    _check(reference, decoded)
    return _measure("speech", SAMPLE_RATE, reference, decoded)


def visqol_audio(reference: Float[np.ndarray, " S"], decoded: Float[np.ndarray, " S"]) -> float:
    """Return ViSQOL's score in audio mode, at 48 kHz: 4.73 for equal clips, 1 at worst.

    Args:
        reference: the original, 16 kHz mono.
        decoded: the same after a codec, exactly as long.
    Raises:
        AudioError: different lengths, NaN, a silent clip, or less than about 1 s.
        MissingDependencyError: visqol-python is not installed.
    Source: Sec. IV-C "ViSQOL".
    """
    _check(reference, decoded)
    pair = (soxr.resample(wav, SAMPLE_RATE, AUDIO_RATE) for wav in (reference, decoded))
    return _measure("audio", AUDIO_RATE, *pair)


VISQOL_SPEECH = Metric(
    name="visqol_speech",
    label="ViSQOL (speech mode)",
    is_higher_better=True,
    measure=of_pair(visqol_speech),
    family="sound",
    package="visqol-python",
    module="visqol",
    decimals=2,
)
VISQOL_AUDIO = Metric(
    name="visqol_audio",
    label="ViSQOL (audio mode)",
    is_higher_better=True,
    measure=of_pair(visqol_audio),
    family="sound",
    package="visqol-python",
    module="visqol",
    decimals=2,
)
