"""Versions of a sound are heard at one loudness, whatever their length and level."""

import numpy as np
import pytest

pytest.importorskip("pyloudnorm")

from semanticodec.listening.loudness import loudness
from semanticodec.pages.loudness import equally_loud

RATE = 16_000


def noise(level, seconds=2.0, seed=0):
    samples = np.random.default_rng(seed).standard_normal(int(seconds * RATE))
    return (level * samples).astype(np.float32)


@pytest.mark.parametrize("seconds", [0.1, 0.5, 3.0])
def test_all_get_the_loudness_of_the_first(seconds):
    wavs = [noise(0.05, seconds), noise(0.2, seconds, 1), noise(0.01, seconds, 2)]
    found = equally_loud(wavs)
    assert np.array_equal(found[0], wavs[0])
    first, *others = (np.pad(wav, (0, RATE // 2)) for wav in found)  # long enough to measure
    for wav in others:
        assert loudness(wav) == pytest.approx(loudness(first), abs=0.1)


def test_nothing_is_clipped_and_all_stay_alike():
    peaky = noise(0.01)
    peaky[100] = 0.9  # as loud as the first, its peak would pass 1
    found = equally_loud([noise(0.2), peaky])
    assert max(np.abs(wav).max() for wav in found) < 1
    assert loudness(found[0]) == pytest.approx(loudness(found[1]), abs=0.1)


def test_silence_stays_silence():
    silence = np.zeros(RATE, np.float32)
    for wavs in ([silence, noise(0.1, 1.0)], [noise(0.1, 1.0), silence], [silence, silence]):
        for wav, before in zip(equally_loud(wavs), wavs):
            assert np.array_equal(wav, before)
