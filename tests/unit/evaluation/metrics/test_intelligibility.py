"""STOI and ESTOI are 1 for equal clips, falls with noise, and is refused where it means nothing."""

import sys
import warnings

import numpy as np
import pytest

from semanticodec.errors import AudioError, MissingDependencyError
from semanticodec.evaluation.metrics.base import Pair, Resources
from semanticodec.evaluation.metrics.intelligibility import ESTOI, STOI, estoi, stoi

pytest.importorskip("pystoi")


def bursts(num_samples: int = 16_000) -> np.ndarray:
    """Noise that swells and fades four times a second, as speech does."""
    time_s = np.arange(num_samples) / 16_000
    draws = np.random.default_rng(0).standard_normal(num_samples)
    return (0.1 * draws * (0.6 - 0.4 * np.cos(8 * np.pi * time_s))).astype(np.float32)


def test_equal_clips_are_understood_and_noise_hides_them():
    wav = bursts()
    draws = np.random.default_rng(1).standard_normal(len(wav)).astype(np.float32)
    scores = [stoi(wav, wav + level * draws) for level in (0.01, 0.1, 1.0)]
    assert stoi(wav, wav) == pytest.approx(1.0)
    assert 1.0 > scores[0] > scores[1] > scores[2]
    assert stoi(wav, wav / 8) == pytest.approx(1.0)


def test_the_extended_measure_is_another_one():
    wav = bursts()
    noisy = wav + 0.1 * np.random.default_rng(1).standard_normal(len(wav)).astype(np.float32)
    assert estoi(wav, wav) == pytest.approx(1.0)
    assert estoi(wav, noisy) < stoi(wav, noisy) - 0.05
    (extended,) = ESTOI.measure(Pair(wav, noisy), None)
    assert extended == pytest.approx(estoi(wav, noisy))


def test_nothing_is_understood_of_silence():
    assert stoi(bursts(), np.zeros(16_000, dtype=np.float32)) == pytest.approx(0.0, abs=1e-6)


def test_a_silent_reference_is_refused():
    with pytest.raises(AudioError, match="reference clip is silent.*STOI is not defined"):
        stoi(np.zeros(16_000, dtype=np.float32), bursts())


@pytest.mark.parametrize("num_samples", [1, 100, 800, 3200])
def test_too_little_sound_is_refused(num_samples):
    wav = bursts()[4000 : 4000 + num_samples]
    duration = f"{num_samples / 16_000:.2f} s"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(AudioError, match=f"{duration} has too little sound.*at least 0.4 s"):
            stoi(wav, wav)


def test_pauses_do_not_count_as_sound():
    wav = np.zeros(32_000, dtype=np.float32)
    wav[16_000:18_000] = bursts(2000)
    with pytest.raises(AudioError, match="pauses not counted"):
        stoi(wav, wav)


@pytest.mark.usefixtures("unchecked_shapes")
def test_lengths_that_differ_are_refused():
    with pytest.raises(AudioError, match="decoded clip has 15000 samples and its reference 16000"):
        stoi(bursts(), bursts(15_000))


def test_the_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pystoi", None)
    with pytest.raises(MissingDependencyError, match=r"pystoi.*'semanticodec\[eval\]'"):
        STOI.opened(Resources())
