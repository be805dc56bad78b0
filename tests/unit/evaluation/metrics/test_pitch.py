"""Pitch errors are those that were made: an octave, some cents, a voice that whispers."""

import sys

import numpy as np
import pytest

from semanticodec.errors import AudioError, MissingDependencyError
from semanticodec.evaluation.metrics import METRICS
from semanticodec.evaluation.metrics.base import Pair, Resources
from semanticodec.evaluation.metrics.pitch import VOICING_ERROR, pitch_errors

DURATION_S = 2.0


def voice(pitch_hz: float) -> np.ndarray:
    """Return harmonics that fall by 6 dB per octave."""
    time_s = np.arange(int(DURATION_S * 16_000)) / 16_000
    numbers = range(1, int(4000 / pitch_hz))
    waves = (np.sin(2 * np.pi * pitch_hz * number * time_s) / number for number in numbers)
    return (0.1 * sum(waves)).astype(np.float32)


def measured(reference: np.ndarray, decoded: np.ndarray) -> dict[str, float]:
    numbers = {}
    for metric in METRICS.values():
        if metric.family == "pitch":
            values = metric.measure(Pair(reference, decoded), None)
            numbers[metric.name] = float(metric.pooled.number(np.array(values)))
    return numbers


def test_equal_voices_have_no_errors():
    pytest.importorskip("swift_f0")
    assert set(measured(voice(120), voice(120)).values()) == {0.0}


def test_a_voice_out_of_tune_is_off_by_its_cents():
    pytest.importorskip("swift_f0")
    found = measured(voice(120), voice(120 * 2 ** (50 / 1200)))
    assert found["pitch_cents"] == pytest.approx(50, abs=8)
    assert found["pitch_gross"] == 0.0


def test_another_octave_is_a_gross_error_and_counts_as_that_only():
    pytest.importorskip("swift_f0")
    found = pitch_errors(voice(120), voice(240))
    assert found.gross_errors == found.voiced_frames > 0.9 * found.num_frames
    assert found.squared_cents == 0.0
    cents = METRICS["pitch_cents"]
    with pytest.raises(AudioError, match="no frame has the original's pitch"):
        cents.measure(Pair(voice(120), voice(240)), None)


def test_a_whispered_half_is_half_voicing_errors():
    pytest.importorskip("swift_f0")
    whispered = voice(120)
    half = len(whispered) // 2
    whispered[half:] = 0.05 * np.random.default_rng(0).standard_normal(half)
    found = pitch_errors(voice(120), whispered)
    assert found.voicing_errors / found.num_frames == pytest.approx(0.5, abs=0.05)
    noise = 0.05 * np.random.default_rng(1).standard_normal(2 * half).astype(np.float32)
    with pytest.raises(AudioError, match="no frame is voiced in both"):
        METRICS["pitch_gross"].measure(Pair(voice(120), noise), None)


def test_silence_has_no_pitch():
    with pytest.raises(AudioError, match="silent.*pitch is not defined"):
        pitch_errors(np.zeros(16_000, dtype=np.float32), voice(120)[:16_000])


def test_the_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "swift_f0", None)
    with pytest.raises(MissingDependencyError, match=r"swift-f0.*'semanticodec\[eval\]'"):
        VOICING_ERROR.opened(Resources())
