"""PESQ in its wide-band form, a listener's opinion score of speech from 1.04 to 4.64."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from semanticodec.errors import AudioError
from semanticodec.evaluation.metrics.base import Metric, check_audible, check_pair, needs, of_pair
from semanticodec.token_format import SAMPLE_RATE


def pesq_wb(reference: Float[np.ndarray, " S"], decoded: Float[np.ndarray, " S"]) -> float:
    """Return the wide-band score: 4.64 for equal clips, 1.04 at worst.

    Args:
        reference: the original speech, 16 kHz mono.
        decoded: the same after a codec, exactly as long.
    Raises:
        AudioError: different lengths, NaN, a silent clip, or no stretch of speech in it.
        MissingDependencyError: pesq is not installed.
    Source: ITU-T P.862.2, 2007.
    """
    with needs("pesq"):
        from pesq import PesqError, pesq
    check_pair(reference, decoded)
    check_audible(reference, "reference", "PESQ")
    check_audible(decoded, "decoded", "PESQ")
    try:
        return float(pesq(SAMPLE_RATE, reference, decoded, "wb"))
    except PesqError as error:
        reason = error.args[0] if error.args else type(error).__name__
        reason = reason.decode() if isinstance(reason, bytes) else reason
        raise AudioError(
            f"PESQ cannot score a clip of {len(reference) / SAMPLE_RATE:.2f} s ({reason}); "
            "give speech of at least 0.5 s"
        ) from error


PESQ = Metric(
    name="pesq_wb",
    label="PESQ-WB",
    is_higher_better=True,
    measure=of_pair(pesq_wb),
    family="speech",
    package="pesq",
    decimals=2,
    is_speech_only=True,
)
