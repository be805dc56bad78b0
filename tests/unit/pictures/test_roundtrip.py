"""The picture shows what is there: tones at their frequency, codes in time."""

import builtins

import numpy as np
import pytest
import torch

from semanticodec import Codes
from semanticodec.errors import MissingDependencyError
from semanticodec.pictures.roundtrip import draw_roundtrip
from semanticodec.pictures.spectrogram import MAX_SAMPLES, NUM_ROWS, hz_to_mel, mel_spectrogram_db
from semanticodec.token_format import SAMPLE_RATE


def tone(frequency, seconds=0.5):
    return np.sin(2 * np.pi * frequency * np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE)


@pytest.fixture
def codes():
    return Codes(
        semantic=torch.arange(32)[None],
        acoustic=torch.arange(32)[None],
        num_samples=(8000,),
        token_rate=100,
        semantic_vocab_size=4096,
        acoustic_vocab_size=8192,
    )


@pytest.mark.parametrize("frequency", [300, 1000, 4000, 7000])
def test_a_tone_is_brightest_at_its_row(frequency):
    levels = mel_spectrogram_db(tone(frequency))
    place = hz_to_mel(frequency) / hz_to_mel(SAMPLE_RATE / 2) * (NUM_ROWS - 1)
    assert abs(levels.mean(axis=1).argmax() - place) <= 4


def test_ten_times_the_amplitude_is_twenty_decibels():
    quiet, loud = mel_spectrogram_db(0.1 * tone(440)), mel_spectrogram_db(tone(440))
    assert loud.max() - quiet.max() == pytest.approx(20, abs=0.01)


def test_long_recordings_are_cut():
    assert mel_spectrogram_db(np.zeros(2 * MAX_SAMPLES)).shape[1] == MAX_SAMPLES // 160 + 1


def test_the_picture_depends_on_all_it_shows(codes, tmp_path):
    from matplotlib.image import imread

    pictures = []
    for number, (original, decoded) in enumerate([(300, 300), (300, 5000), (5000, 300)]):
        path = tmp_path / f"{number}.png"
        draw_roundtrip(path, tone(original), codes, tone(decoded), "a tone")
        pictures.append(imread(path))
    assert pictures[0].std() > 0.1
    assert not np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_without_matplotlib_the_user_learns_what_to_install(codes, tmp_path, monkeypatch):
    real_import = builtins.__import__

    def without_matplotlib(name, *args):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real_import(name, *args)

    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    with pytest.raises(MissingDependencyError, match=r'pip install "semanticodec\[plot\]"'):
        draw_roundtrip(tmp_path / "x.png", tone(300), codes, tone(300), "a tone")
