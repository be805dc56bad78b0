"""Equal loudness, whatever came in; never a clipped peak."""

import numpy as np
import pytest

from semanticodec.errors import DataError
from semanticodec.listening.loudness import aligned, loudness, true_peak_db

SECONDS = np.arange(16_000) / 16_000


def tone(frequency, amplitude=0.1):
    return (amplitude * np.sin(2 * np.pi * frequency * SECONDS)).astype(np.float32)


def test_the_standards_tone_has_the_standards_loudness():
    # EBU Tech 3341 allows 0.1.
    assert loudness(tone(997, 1.0)) == pytest.approx(-3.01, abs=0.1)


def test_loudness_is_reached_where_there_is_room():
    noise = np.random.default_rng(0).normal(0, 0.3, 16_000).astype(np.float32)
    levels = aligned({"tone": tone(1000), "noise": noise, "low": tone(150, 0.01)})
    assert [loudness(wav) for wav in levels.values()] == pytest.approx([-23.0] * 3, abs=0.01)


def test_one_peak_makes_all_sounds_softer_alike():
    click = tone(1000, 0.01)
    click[8000] = 1.0
    levels = aligned({"click": click, "tone": tone(1000)})
    assert max(map(true_peak_db, levels.values())) == pytest.approx(-1.0, abs=0.01)
    found = [loudness(wav) for wav in levels.values()]
    assert found[0] == pytest.approx(found[1], abs=0.01)
    assert found[0] < -23.5


def test_peaks_between_samples_count():
    quarter = np.sin(2 * np.pi * 4000 * SECONDS + np.pi / 4).astype(np.float32)
    assert np.abs(quarter).max() < 0.71
    assert true_peak_db(quarter) == pytest.approx(0.0, abs=0.3)


@pytest.mark.parametrize(
    ("wav", "words"),
    [(np.zeros(16_000, np.float32), "is silent"), (tone(1000)[:6000], "lasts 0.375 s")],
)
def test_what_has_no_loudness_is_named(wav, words):
    with pytest.raises(DataError, match=f"odd one {words}"):
        aligned({"fine": tone(1000), "odd one": wav})
