"""The decoding options reach the sampler, and mistakes in them are told in one line."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from conftest import random_codec
from semanticodec.checkpoints.pretrained import write_model
from semanticodec.cli import main
from semanticodec.decoder.sampling import SamplingConfig, SamplingPresets

STANDARD = SamplingConfig(num_steps=2, eta=0.0, timestep_shift=3.0)
SECONDS = 0.2


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny model with a draft of its own."""
    codec = random_codec()
    draft = replace(STANDARD, num_steps=4, sampler="unipc")
    presets = SamplingPresets(draft=draft)
    decoder = replace(codec.config.decoder, sampling=STANDARD, sampling_presets=presets)
    folder = tmp_path_factory.mktemp("model")
    return write_model(folder, replace(codec.config, decoder=decoder), codec.state_dict())


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("recording") / "noise.wav"
    wav = 0.1 * torch.randn(round(SECONDS * 16_000), generator=torch.Generator().manual_seed(0))
    soundfile.write(path, wav.numpy(), 16_000)
    return path


def roundtrip(model, recording, target, *options):
    words = ["roundtrip", recording, "-o", target, "--model", model, "-q", "--overwrite", *options]
    assert main([str(word) for word in words]) == 0
    return soundfile.read(target, dtype="int16")[0]


def test_options_reach_the_sampler(model, recording, tmp_path):
    def heard(*options):
        return roundtrip(model, recording, tmp_path / "out.wav", *options)

    standard, draft = heard(), heard("--quality", "draft")
    assert np.array_equal(heard("--num-steps", "4", "--sampler", "unipc"), draft)
    assert np.array_equal(heard("--quality", "best"), standard), "the model names no better"
    unguided = heard("--guidance-interval", "0", "0.1")
    assert np.array_equal(heard("--guidance-scale", "1"), unguided), "no step is that near to clean"
    assert not np.array_equal(standard, draft)
    assert not np.array_equal(standard, unguided)


def test_mistakes_get_one_clear_line(model, recording, tmp_path, capfd):
    words = ["roundtrip", recording, "-o", tmp_path / "out.wav", "--model", model, "-q"]
    words = [str(word) for word in words]
    assert main([*words, "--guidance-interval", "0.9", "0.3"]) == 2
    err = capfd.readouterr().err
    assert err.count("\n") == 1 and "guidance_interval is (0.9, 0.3); give two numbers" in err
    for option, choices in (("--sampler", "ddim"), ("--quality", "draft")):
        with pytest.raises(SystemExit) as stop:
            main([*words, option, "none"])
        assert stop.value.code == 2
        err = capfd.readouterr().err
        assert err.count("\n") == 1
        assert f"argument {option}: invalid choice: 'none' (choose from" in err
        assert choices in err
