"""`python -m experiments.tones` through its command line."""

import numpy as np
import soundfile as sf
from scipy.signal import hilbert

from experiments.tones.__main__ import main
from experiments.tones.signals import TRAINING_KINDS

TIME = np.arange(10 * 16000) / 16000


def test_a_minute_of_signals_is_the_same_again_and_none_is_silent(tmp_path):
    for name in ("a", "b"):
        assert main([str(tmp_path / name), "--minutes", "1", "--seed", "3"]) == 0
    paths = sorted((tmp_path / "a" / "tones").iterdir())
    assert len(paths) == 6
    for path in paths:
        wav, rate = sf.read(path)
        assert rate == 16000 and len(wav) == 163_840
        assert 0.02 < np.abs(wav).max() < 0.75
        assert np.array_equal(wav, sf.read(tmp_path / "b" / "tones" / path.name)[0])


def test_some_sweeps_crawl_and_some_run():
    speeds = [
        octaves_per_second(TRAINING_KINDS[2](np.random.default_rng(seed), TIME))
        for seed in range(30)
    ]
    assert min(speeds) < 0.5 and max(speeds) > 3.0
    assert len(set(np.round(speeds, 3))) > 20


def octaves_per_second(wav):
    """Return the middle speed of a sweep, of which an instant of 10 ms has one frequency."""
    phase = np.unwrap(np.angle(hilbert(wav)))[::160]
    octaves = np.log2(np.maximum(np.diff(phase) * 100 / (2 * np.pi), 20.0))
    return float(np.median(np.abs(np.diff(octaves)))) * 100
