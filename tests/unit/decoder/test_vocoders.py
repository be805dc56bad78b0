"""Laws of every vocoder in the table: what the codec, the training and the exports rely on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from semanticodec.checkpoints.trained_module import export_module, load_vocoder
from semanticodec.config import config_to_dict
from semanticodec.decoder.vocoder import Vocoder, VocoderConfig
from semanticodec.decoder.vocoders import VOCODERS, make_vocoder


def vocoder_of(name):
    torch.manual_seed(0)
    return make_vocoder(VOCODERS[name].Config())


@pytest.mark.parametrize("name", VOCODERS)
def test_a_vocoder_keeps_the_config_it_is_made_from(name):
    vocoder = vocoder_of(name)
    assert isinstance(vocoder, Vocoder) and type(vocoder) is VOCODERS[name]
    assert isinstance(vocoder.config, VocoderConfig)
    assert vocoder.config == VOCODERS[name].Config()


@pytest.mark.parametrize("name", VOCODERS)
@torch.no_grad()
def test_a_frame_gives_160_samples_and_items_do_not_mix(name):
    vocoder = vocoder_of(name)
    mel = torch.randn(2, 12, vocoder.config.num_mel_bins) - 5
    wav = vocoder(mel)
    assert wav.shape[0] == 2 and 160 * 12 <= wav.shape[1] < 160 * 13
    assert wav.isfinite().all()
    # A product of one item rounds otherwise than of two, on some processors, and a harmonic source
    # sums the pitch up, and that with it.
    pitch = [vocoder.pitch.pitch(mel)] if name == "harmonic_vocos" else []
    alone = [type(both)(*(values[1:] for values in both)) for both in pitch]
    assert all(
        torch.allclose(ours, theirs, rtol=1e-5)
        for cut in alone
        for ours, theirs in zip(vocoder.pitch.pitch(mel[1:]), cut, strict=True)
    )
    assert torch.allclose(vocoder(mel[1:], *alone), vocoder(mel, *pitch)[1:], atol=1e-5)


@pytest.mark.parametrize("name", VOCODERS)
def test_an_export_is_read_back_as_the_class_it_was(name, tmp_path: Path):
    vocoder = vocoder_of(name)
    config = config_to_dict(vocoder.config)
    export_module(tmp_path, name="vocoder", config=config, weights=vocoder.state_dict())
    loaded = load_vocoder(tmp_path)
    assert type(loaded) is type(vocoder) and loaded.config == vocoder.config
    for key, tensor in loaded.state_dict(keep_vars=True).items():
        assert torch.equal(tensor, vocoder.state_dict()[key]) and not tensor.requires_grad
