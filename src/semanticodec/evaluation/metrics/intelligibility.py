"""STOI and its extended form: how much of speech can still be understood, from 0 to 1."""

from __future__ import annotations

import warnings

import numpy as np
from jaxtyping import Float

from semanticodec.errors import AudioError
from semanticodec.evaluation.metrics.base import Metric, check_audible, check_pair, needs, of_pair
from semanticodec.token_format import SAMPLE_RATE


def stoi(reference: Float[np.ndarray, " S"], decoded: Float[np.ndarray, " S"]) -> float:
    """Return the short-time objective intelligibility: 1 for equal clips, 0 for a silent copy.

    Args:
        reference: the original speech, 16 kHz mono.
        decoded: the same after a codec, exactly as long.
    Raises:
        AudioError: different lengths, NaN, a silent reference, or less than 0.4 s of sound in it.
        MissingDependencyError: pystoi is not installed.
    Source: Taal et al., "An algorithm for intelligibility prediction of time-frequency weighted
        noisy speech", 2011.
    """
    return _intelligibility(reference, decoded, is_extended=False)


def estoi(reference: Float[np.ndarray, " S"], decoded: Float[np.ndarray, " S"]) -> float:
    """Return the extended measure, which also sees what modulated noise hides; scale as `stoi`.

    Args:
        reference: the original speech, 16 kHz mono.
        decoded: the same after a codec, exactly as long.
    Raises:
        AudioError: as `stoi`.
        MissingDependencyError: pystoi is not installed.
    Source: Jensen and Taal, "An algorithm for predicting the intelligibility of speech masked by
        modulated noise maskers", 2016.
    """
    return _intelligibility(reference, decoded, is_extended=True)


def _intelligibility(reference: np.ndarray, decoded: np.ndarray, *, is_extended: bool) -> float:
    with needs("pystoi"):
        import pystoi
    check_pair(reference, decoded)
    check_audible(reference, "reference", "STOI")
    with warnings.catch_warnings():
        # Where too little is left without the pauses, the package warns and returns 1e-5.
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return float(pystoi.stoi(reference, decoded, SAMPLE_RATE, extended=is_extended))
        except (RuntimeWarning, ValueError) as problem:
            raise AudioError(
                f"a clip of {len(reference) / SAMPLE_RATE:.2f} s has too little sound for STOI; "
                "give speech of at least 0.4 s, pauses not counted"
            ) from problem


STOI = Metric(
    name="stoi",
    label="STOI",
    is_higher_better=True,
    measure=of_pair(stoi),
    family="speech",
    package="pystoi",
    is_speech_only=True,
)
ESTOI = Metric(
    name="estoi",
    label="ESTOI",
    is_higher_better=True,
    measure=of_pair(estoi),
    family="speech",
    package="pystoi",
    is_speech_only=True,
)
