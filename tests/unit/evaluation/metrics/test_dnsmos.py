"""DNSMOS is guessed once for its three metrics, from what a sound file could hold."""

import sys

import numpy as np
import pytest

from semanticodec.errors import AudioError, MissingDependencyError
from semanticodec.evaluation.metrics.base import Pair, Resources
from semanticodec.evaluation.metrics.dnsmos import DNSMOS, SCORES, dnsmos


def bursts(seed: int = 0) -> np.ndarray:
    swell = 0.6 - 0.4 * np.cos(8 * np.pi * np.arange(16_000) / 16_000)
    return (0.1 * np.random.default_rng(seed).standard_normal(16_000) * swell).astype("f4")


def test_noise_is_no_good_speech_and_is_scored_once(monkeypatch):
    package = pytest.importorskip("speechmos.dnsmos")
    calls, run = [], package.run
    monkeypatch.setattr(package, "run", lambda *args: calls.append(1) or run(*args))
    pair = Pair(bursts(), bursts())
    values = [value for metric in DNSMOS for value in metric.measure(pair, None)]
    assert len(calls) == 1 and len(values) == len(SCORES) == 3
    assert all(0.9 < value < 3.0 for value in values)
    assert dnsmos(bursts(1)) != dnsmos(bursts()), "another clip is scored anew"


def test_peaks_beyond_full_scale_are_clipped():
    pytest.importorskip("speechmos.dnsmos")
    loud = 30 * bursts()
    assert np.abs(loud).max() > 1
    assert dnsmos(loud) == dnsmos(np.clip(loud, -1, 1))


def test_silence_is_refused():
    with pytest.raises(AudioError, match="silent.*DNSMOS is not defined"):
        dnsmos(np.zeros(16_000, dtype=np.float32))


@pytest.mark.parametrize("module", ["speechmos.dnsmos", "librosa"])
def test_a_missing_package_is_named(monkeypatch, module):
    monkeypatch.delitem(sys.modules, "speechmos.dnsmos", raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=r"speechmos.*'semanticodec\[eval\]'"):
        DNSMOS[0].opened(Resources())
