"""The configuration: round trips, what follows from it, and what it shares with ours."""

import json

import pytest
from transformers import AutoConfig

from semanticodec import config
from semanticodec.checkpoints.pretrained import choose_vocabulary
from semanticodec.errors import ConfigError
from semanticodec.hf import SemantiCodecConfig


def tiny(token_rate=100):
    return choose_vocabulary(config.tiny(token_rate), None)


def test_without_arguments_it_is_the_official_size():
    ours = SemantiCodecConfig().codec_config
    assert ours == choose_vocabulary(config.CodecConfig(), None)


@pytest.mark.parametrize("token_rate", [100, 50, 25])
def test_a_file_gives_the_same_configuration(tmp_path, token_rate):
    original = SemantiCodecConfig.from_codec_config(tiny(token_rate), seed=7)
    original.save_pretrained(tmp_path)
    for kind in (SemantiCodecConfig, AutoConfig):
        loaded = kind.from_pretrained(tmp_path)
        assert type(loaded) is SemantiCodecConfig
        assert loaded.codec_config == tiny(token_rate)
        assert (loaded.seed, loaded.to_dict()["token_rates"]) == (7, original.token_rates)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "semanticodec"


def test_rates_and_sizes_are_those_of_the_codec(quick_codec, model):
    ours, theirs = quick_codec, model.config
    assert theirs.sampling_rate == ours.sample_rate
    assert theirs.hop_length == ours.hop_length
    assert theirs.frame_rate == ours.frame_rate
    assert theirs.codebook_sizes == ours.vocab_sizes
    assert theirs.num_codebooks == ours.num_codebooks


def test_settings_of_another_version_are_refused():
    values = SemantiCodecConfig.from_codec_config(tiny()).to_dict()
    values["token_rates"]["100"]["config"]["bands"] = 9
    with pytest.raises(ConfigError, match=r"unknown settings \['bands'\]"):
        _ = SemantiCodecConfig(**values).codec_config
