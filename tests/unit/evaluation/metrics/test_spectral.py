"""MEL and STFT are the distances they are said to be."""

import math

import numpy as np
import pytest
import torch

from semanticodec.audio.spectrogram import slaney_filters
from semanticodec.errors import AudioError
from semanticodec.evaluation.metrics.spectral import mel_distance, stft_distance

DISTANCES = (mel_distance, stft_distance)


def noise(seed: int, num_samples: int = 8000, level: float = 0.1) -> np.ndarray:
    draws = np.random.default_rng(seed).standard_normal(num_samples)
    return (level * draws).astype(np.float32)


def spectrum_by_hand(wav: np.ndarray, length: int) -> np.ndarray:
    """Magnitudes [T, F]: frames centered on multiples of length / 4, mirrored edges, Hann."""
    padded = np.pad(wav.astype(np.float64), length // 2, mode="reflect")
    starts = range(0, len(padded) - length + 1, length // 4)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    return np.abs(np.fft.rfft([window * padded[start : start + length] for start in starts]))


def test_stft_follows_its_definition():
    pair = noise(1), noise(2, level=0.03)
    expected = 0.0
    for length in (2048, 512):
        first, second = (spectrum_by_hand(wav, length) for wav in pair)
        logs = [np.log10(np.maximum(each, 1e-5) ** 2) for each in (first, second)]
        expected += np.abs(logs[0] - logs[1]).mean() + np.abs(first - second).mean()
    assert stft_distance(*pair) == pytest.approx(expected, rel=1e-5)


def test_mel_follows_its_definition():
    pair = noise(1), noise(2, level=0.03)
    expected = 0.0
    for length, num_bins in zip((32, 64, 128, 256, 512, 1024, 2048), (5, 10, 20, 40, 80, 160, 320)):
        filters = slaney_filters(16_000, length, num_bins, 8000.0).numpy()
        logs = [np.log10(np.maximum(spectrum_by_hand(x, length) @ filters, 1e-5)) for x in pair]
        expected += np.abs(logs[0] - logs[1]).mean()
    assert mel_distance(*pair) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("distance", DISTANCES)
def test_equal_clips_have_no_distance_and_order_does_not_matter(distance):
    first, second = noise(1), noise(2)
    assert distance(first, first) == 0.0
    assert distance(first, second) == pytest.approx(distance(second, first), rel=1e-6)
    assert distance(first, second) > 0.1


def test_a_change_of_level_costs_its_logarithm():
    # Seven windows for MEL. Two windows of squared magnitudes for STFT, and the magnitudes
    # themselves, half of which is gone. Some narrow mel bins hold no line of the spectrum.
    wav = noise(1)
    lines = [(slaney_filters(16_000, 32 << i, 5 << i, 8000.0) > 0).any(0) for i in range(7)]
    share_used = sum(float(used.float().mean()) for used in lines)
    halves = [np.abs(spectrum_by_hand(wav, length)).mean() / 2 for length in (2048, 512)]
    assert mel_distance(wav, wav / 2) == pytest.approx(share_used * math.log10(2), rel=1e-4)
    assert stft_distance(wav, wav / 2) == pytest.approx(4 * math.log10(2) + sum(halves), rel=1e-4)


@pytest.mark.parametrize("distance", DISTANCES)
def test_more_noise_is_further_away(distance):
    wav = noise(1)
    distances = [distance(wav, wav + noise(2, level=level)) for level in (0.001, 0.01, 0.1)]
    assert distances == sorted(distances)
    assert len(set(distances)) == 3


@pytest.mark.parametrize("distance", DISTANCES)
def test_silence_is_allowed(distance):
    silence = np.zeros(8000, dtype=np.float32)
    assert distance(silence, silence) == 0.0
    assert 1.0 < distance(silence, noise(1)) < 100.0


@pytest.mark.parametrize("distance", DISTANCES)
def test_the_shortest_clip_is_longer_than_half_a_window(distance):
    assert distance(noise(1, 1025), noise(2, 1025)) > 0
    with pytest.raises(AudioError, match="1024 samples are too short.*more than 1024 samples"):
        distance(noise(1, 1024), noise(2, 1024))


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize("distance", DISTANCES)
def test_what_cannot_be_compared_is_refused(distance):
    with pytest.raises(AudioError, match="decoded clip has 7000 samples and its reference 8000"):
        distance(noise(1), noise(2, 7000))
    broken = noise(1)
    broken[17] = np.nan
    with pytest.raises(AudioError, match="decoded clip holds NaN"):
        distance(noise(1), broken)
    with pytest.raises(AudioError, match=r"reference clip has shape \(2, 8000\)"):
        distance(np.stack([noise(1), noise(2)]), noise(1))


def test_results_do_not_need_gradients_or_depend_on_the_memory_layout():
    first, second = noise(1), noise(2)
    strided = np.repeat(first, 2)[::2]
    assert mel_distance(strided, second.astype(np.float64)) == mel_distance(first, second)
    assert torch.is_grad_enabled()
