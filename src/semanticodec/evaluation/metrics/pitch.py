"""Errors of pitch and voicing: whether the melody of a voice survives.

swift-f0 tracks both clips, in frames of 16 ms. A frame that is voiced in one clip alone is a
voicing error; of those that are voiced in both, a pitch that is off by more than a fifth is a gross
error, and the others say how fine the pitch is.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from semanticodec.errors import AudioError
from semanticodec.evaluation.metrics.base import (
    Metric,
    Pair,
    Pooled,
    check_audible,
    check_pair,
    needs,
    rate,
)
from semanticodec.token_format import SAMPLE_RATE

if TYPE_CHECKING:
    from swift_f0 import SwiftF0

# Of speaking voices.
LOWEST_HZ, HIGHEST_HZ = 60.0, 500.0
VOICED_CONFIDENCE = 0.5  # as the package defines it
GROSS_ERROR = 0.2
CENTS_PER_OCTAVE = 1200.0


class PitchErrors(NamedTuple):
    """Counts of a clip.

    Attributes:
        num_frames: all frames.
        voicing_errors: frames that are voiced in one clip alone.
        voiced_frames: frames that are voiced in both.
        gross_errors: those of them whose pitch is off by more than a fifth.
        squared_cents: sum over the rest of them of the squared distance in cents.
    """

    num_frames: int
    voicing_errors: int
    voiced_frames: int
    gross_errors: int
    squared_cents: float


class _Track(NamedTuple):
    pitch_hz: Float[np.ndarray, " T"]
    is_voiced: Bool[np.ndarray, " T"]


@cache
def _detector() -> SwiftF0:
    with needs("swift-f0"):
        from swift_f0 import SwiftF0
    return SwiftF0(threads=1, spin=False)


@lru_cache(maxsize=2)  # the three metrics of a pair follow each other
def _track(samples: bytes) -> _Track:
    wav = np.frombuffer(samples, dtype=np.float32)
    found = _detector().detect(wav, SAMPLE_RATE, fmin=LOWEST_HZ, fmax=HIGHEST_HZ)
    return _Track(found.pitch_hz, found.confidence >= VOICED_CONFIDENCE)


def pitch_errors(
    reference: Float[np.ndarray, " S"], decoded: Float[np.ndarray, " S"]
) -> PitchErrors:
    """Return how far the pitch of a decoded clip is from the original's, in counts of frames.

    Args:
        reference: the original speech, 16 kHz mono.
        decoded: the same after a codec, exactly as long.
    Raises:
        AudioError: different lengths, NaN, or a silent reference.
        MissingDependencyError: swift-f0 is not installed.
    Source: Chu and Alwan, "Reducing F0 frame error of F0 tracking algorithms under noisy
        conditions", 2009: gross pitch error, voicing decision error and fine pitch error.
    """
    check_pair(reference, decoded)
    check_audible(reference, "reference", "pitch")
    original, made = (_track(wav.astype(np.float32).tobytes()) for wav in (reference, decoded))
    both = original.is_voiced & made.is_voiced
    ratio = made.pitch_hz[both] / original.pitch_hz[both]
    is_gross = np.abs(ratio - 1) > GROSS_ERROR
    cents = CENTS_PER_OCTAVE * np.log2(ratio[~is_gross])
    return PitchErrors(
        num_frames=len(both),
        voicing_errors=int((original.is_voiced != made.is_voiced).sum()),
        voiced_frames=int(both.sum()),
        gross_errors=int(is_gross.sum()),
        squared_cents=float(np.square(cents).sum()),
    )


def _voicing(pair: Pair, _: object) -> tuple[float, ...]:
    found = pitch_errors(pair.reference, pair.decoded)
    return float(found.voicing_errors), float(found.num_frames)


def _gross(pair: Pair, _: object) -> tuple[float, ...]:
    found = pitch_errors(pair.reference, pair.decoded)
    if not found.voiced_frames:
        raise AudioError("no frame is voiced in both clips, so there is no pitch to compare")
    return float(found.gross_errors), float(found.voiced_frames)


def _cents(pair: Pair, _: object) -> tuple[float, ...]:
    found = pitch_errors(pair.reference, pair.decoded)
    num_fine = found.voiced_frames - found.gross_errors
    if not num_fine:
        raise AudioError("no frame has the original's pitch within a fifth of it")
    return found.squared_cents, float(num_fine)


def _root_mean(sums: np.ndarray) -> np.ndarray | np.floating:
    return np.sqrt(sums[..., 0] / sums[..., 1])


GROSS_PITCH_ERROR = Metric(
    name="pitch_gross",
    label="Gross pitch errors",
    is_higher_better=False,
    measure=_gross,
    family="pitch",
    package="swift-f0",
    module="swift_f0",
    unit="%",
    decimals=1,
    is_speech_only=True,
    pooled=rate("gross_pitch_errors", "voiced_frames"),
)
PITCH_CENTS = Metric(
    name="pitch_cents",
    label="Pitch, RMS error",
    is_higher_better=False,
    measure=_cents,
    family="pitch",
    package="swift-f0",
    module="swift_f0",
    unit="cents",
    decimals=1,
    is_speech_only=True,
    pooled=Pooled(keys=("squared_cents", "fine_pitch_frames"), number=_root_mean),
)
VOICING_ERROR = Metric(
    name="voicing_error",
    label="Voicing errors",
    is_higher_better=False,
    measure=_voicing,
    family="pitch",
    package="swift-f0",
    module="swift_f0",
    unit="%",
    decimals=1,
    is_speech_only=True,
    pooled=rate("voicing_errors", "pitch_frames"),
)
