"""PESQ is best for equal clips, falls with noise, and is refused where it means nothing."""

import sys

import numpy as np
import pytest

from semanticodec.errors import AudioError, MissingDependencyError
from semanticodec.evaluation.metrics.base import Resources
from semanticodec.evaluation.metrics.pesq import PESQ, pesq_wb


def bursts(num_samples: int = 16_000) -> np.ndarray:
    swell = 0.6 - 0.4 * np.cos(8 * np.pi * np.arange(num_samples) / 16_000)
    return (0.1 * np.random.default_rng(0).standard_normal(num_samples) * swell).astype("f4")


def test_noise_costs_points():
    pytest.importorskip("pesq")
    wav = bursts()
    draws = np.random.default_rng(1).standard_normal(len(wav)).astype(np.float32)
    scores = [pesq_wb(wav, wav + level * draws) for level in (0.0, 0.01, 0.1)]
    assert scores[0] == pytest.approx(4.64, abs=0.01)
    assert scores[0] > scores[1] > scores[2] > 1.0


def test_clips_without_speech_are_refused():
    pytest.importorskip("pesq")
    silence = np.zeros(16_000, dtype=np.float32)
    with pytest.raises(AudioError, match="reference clip is silent.*PESQ is not defined"):
        pesq_wb(silence, bursts())
    with pytest.raises(AudioError, match="decoded clip is silent"):
        pesq_wb(bursts(), silence)
    with pytest.raises(AudioError, match=r"a clip of 0\.10 s \(.*\); give speech of at least"):
        pesq_wb(bursts(1600), bursts(1600))


def test_the_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pesq", None)
    with pytest.raises(MissingDependencyError, match=r"pesq.*'semanticodec\[eval\]'"):
        PESQ.opened(Resources())
