"""Detail is correlated per band over the loud frames of all clips, whatever the level."""

import numpy as np
import pytest
import torch

from semanticodec.audio.detail import split_detail
from semanticodec.audio.fbank import Fbank
from semanticodec.errors import AudioError
from semanticodec.evaluation.metrics import METRICS
from semanticodec.evaluation.metrics.detail import NUM_BANDS, correlation, detail_sums


def noise(seed: int, num_samples: int = 16_000) -> np.ndarray:
    """Noise that swells and fades, so that some frames are loud."""
    swell = 0.6 - 0.4 * np.cos(8 * np.pi * np.arange(num_samples) / 16_000)
    return (0.1 * np.random.default_rng(seed).standard_normal(num_samples) * swell).astype("f4")


def loud_detail(reference: np.ndarray, wav: np.ndarray) -> np.ndarray:
    energies, others = Fbank(128)(torch.from_numpy(np.stack([reference, wav])))
    is_loud = energies.mean(dim=1) > energies.mean()
    return split_detail(others[None]).detail[0, is_loud].numpy()


def test_equal_clips_keep_all_and_other_noise_keeps_nothing():
    kept = correlation(detail_sums(noise(0), noise(0)))
    assert kept == pytest.approx(np.ones(NUM_BANDS))
    # Below 400 Hz bins share spectral lines, and bin 3 is empty: all sounds agree there.
    assert np.abs(correlation(detail_sums(noise(0), noise(1)))[1:]).max() < 0.1


def test_level_does_not_matter():
    assert correlation(detail_sums(noise(0), noise(0) / 8))[1:] == pytest.approx(1.0, abs=1e-3)


def test_sums_of_clips_give_the_correlation_of_all_their_values():
    pairs = [(noise(0), noise(0) + noise(1)), (noise(2, 24_000), noise(3, 24_000))]
    pooled = correlation(sum(detail_sums(*pair) for pair in pairs))
    original = np.concatenate([loud_detail(reference, reference) for reference, _ in pairs])
    decoded = np.concatenate([loud_detail(reference, made) for reference, made in pairs])
    for band in range(NUM_BANDS):
        values = [part[:, 16 * band : 16 * band + 16].ravel() for part in (original, decoded)]
        assert pooled[band] == pytest.approx(np.corrcoef(*values)[0, 1], abs=1e-5)


def test_every_band_is_a_metric_of_any_sound():
    bands = [metric for metric in METRICS.values() if metric.family == "detail"]
    assert [metric.name for metric in bands] == [f"detail_{band}" for band in range(8)]
    assert not any(metric.is_speech_only for metric in bands)


def test_a_sound_without_loud_frames_is_refused():
    with pytest.raises(AudioError, match="same level throughout"):
        detail_sums(np.zeros(16_000, dtype=np.float32), noise(0))
    with pytest.raises(AudioError, match="399 samples"):
        detail_sums(noise(0, 399), noise(0, 399))
