"""The anchors are the recommendation's low-pass filters."""

import numpy as np
import pytest

from semanticodec.listening.anchors import LOW_HZ, MID_HZ, low_passed


def levels_db(cutoff):
    impulse = np.zeros(4001, np.float32)
    impulse[2000] = 1.0
    response = np.abs(np.fft.rfft(low_passed(impulse, cutoff), 16_000))
    return 20 * np.log10(response + 1e-9)  # one bin per Hz


@pytest.mark.parametrize("cutoff", [LOW_HZ, MID_HZ])
def test_the_filter_keeps_what_is_below_and_removes_what_is_above(cutoff):
    levels = levels_db(cutoff)
    edge = int(cutoff)
    assert np.abs(levels[:edge]).max() < 0.1
    assert levels[edge + 500 :].max() < -50


def test_the_filter_delays_nothing():
    wav = np.sin(2 * np.pi * 440 * np.arange(8000) / 16_000).astype(np.float32)
    inside = slice(500, -500)
    assert low_passed(wav, LOW_HZ)[inside] == pytest.approx(wav[inside], abs=1e-3)
