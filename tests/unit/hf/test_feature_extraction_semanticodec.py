"""The feature extractor: rates, padding to whole columns, masks, forms of audio."""

import logging

import numpy as np
import pytest
import torch
from transformers import AutoFeatureExtractor

from semanticodec.errors import AudioError, ConfigError
from semanticodec.hf import SemantiCodecFeatureExtractor

RATE = 16_000


def noise(num_samples, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, num_samples).astype(np.float32)


def test_recordings_are_padded_to_whole_columns_and_marked(extractor):
    wavs = [noise(3000), noise(7000, 1)]
    found = extractor(wavs, sampling_rate=RATE, return_tensors="pt")
    assert found["input_values"].shape == (2, 1, 3 * 2560)
    assert found["input_values"].dtype == torch.float32
    assert found["padding_mask"].shape == (2, 3 * 2560)
    assert found["padding_mask"].sum(dim=1).tolist() == [3000, 7000]
    for wav, row in zip(wavs, found["input_values"][:, 0].numpy()):
        assert np.array_equal(row[: len(wav)], wav)
        assert not row[len(wav) :].any()


@pytest.mark.parametrize("form", [list, torch.tensor, lambda wav: wav[None], lambda wav: [wav]])
def test_one_recording_has_many_forms(extractor, form):
    wav = noise(2000)
    found = extractor(form(wav), sampling_rate=RATE, return_tensors="np")
    np.testing.assert_allclose(found["input_values"][0, 0, :2000], wav, atol=1e-7)


def test_channels_are_averaged(extractor):
    stereo = np.stack([noise(2000), noise(2000, 1)])
    found = extractor(stereo, sampling_rate=RATE, return_tensors="np")
    np.testing.assert_allclose(found["input_values"][0, 0, :2000], stereo.mean(axis=0), atol=1e-7)


def test_a_wrong_rate_is_refused_and_a_missing_one_warned_of(extractor, caplog):
    with pytest.raises(ConfigError, match=r"has 44100 Hz, the codec takes 16000 Hz; resample"):
        extractor(noise(2000), sampling_rate=44_100)
    with caplog.at_level(logging.WARNING):
        extractor(noise(2000), sampling_rate=RATE)
        assert not caplog.records
        extractor(noise(2000))
    assert "sampling_rate was not given" in caplog.text


def test_padding_and_truncation_exclude_each_other(extractor):
    with pytest.raises(ValueError, match="padding and truncation were both asked for"):
        extractor(noise(2000), truncation=True, max_length=1000, sampling_rate=RATE)
    found = extractor(
        [noise(2000), noise(900)],
        padding=False,
        truncation=True,
        max_length=1000,
        sampling_rate=RATE,
    )
    assert [row.shape for row in found["input_values"]] == [(1, 1000), (1, 900)]
    fixed = extractor(noise(2000), padding="max_length", max_length=6000, sampling_rate=RATE)
    assert fixed["input_values"][0].shape == (1, 3 * 2560)


def test_lengths_that_form_no_tensor_are_explained(extractor):
    wavs = [noise(900), noise(1000)]
    with pytest.raises(AudioError, match=r"900, 1000 samples form no tensor; give padding=True"):
        extractor(wavs, padding=False, sampling_rate=RATE, return_tensors="pt")


def test_a_file_gives_the_same_extractor(tmp_path, extractor, model):
    extractor.save_pretrained(tmp_path)
    model.config.save_pretrained(tmp_path)
    loaded = AutoFeatureExtractor.from_pretrained(tmp_path)
    assert type(loaded) is SemantiCodecFeatureExtractor
    assert loaded.to_dict() == extractor.to_dict()
    assert loaded.model_input_names == ["input_values", "padding_mask"]
