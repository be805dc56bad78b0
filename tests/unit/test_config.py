"""Configurations survive JSON, say which class a choice is of, and name what is wrong."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Literal

import pytest

from semanticodec.config import CodecConfig, config_from_dict, config_to_dict, tiny
from semanticodec.decoder.decoder import Decoder
from semanticodec.decoder.hifigan import HiFiGAN
from semanticodec.decoder.vocoder import VocoderConfig
from semanticodec.decoder.vocoders import VOCODERS
from semanticodec.errors import ConfigError


def through_json(kind, config):
    return config_from_dict(kind, json.loads(json.dumps(config_to_dict(config))))


@pytest.mark.parametrize("name", VOCODERS)
def test_a_choice_between_classes_is_read_back_as_the_class_it_was(name):
    config = VOCODERS[name].Config()
    values = config_to_dict(config)
    assert values["class"] == name
    assert through_json(VocoderConfig, config) == config
    codec = replace(tiny(), decoder=replace(tiny().decoder, vocoder=config))
    assert config_to_dict(codec)["decoder"]["vocoder"]["class"] == name
    assert through_json(CodecConfig, codec) == codec


@pytest.mark.parametrize("name", VOCODERS)
def test_without_a_tag_the_settings_tell_the_class(name):
    config = VOCODERS[name].Config()
    values = config_to_dict(config)
    del values["class"]
    assert config_from_dict(VocoderConfig, values) == config


def test_nothing_said_means_the_first_class():
    assert config_from_dict(VocoderConfig, {}) == HiFiGAN.Config()


def test_an_unknown_class_is_named_with_the_known_ones():
    values = {"vocoder": {"class": "griffin"}}
    with pytest.raises(
        ConfigError, match=r"config\.vocoder is of the class 'griffin'.*hifigan, vo"
    ):
        config_from_dict(Decoder.Config, values)


@dataclass(frozen=True, kw_only=True)
class Settings:
    kind: Literal["a", "b"] = "a"
    pairs: tuple[tuple[str, float], ...] = ()
    range: tuple[float, float] = (0.0, 1.0)
    size: int | None = None


def test_nested_lists_become_tuples_again():
    settings = Settings(kind="b", pairs=(("x", 0.5), ("y", 1.0)), range=(0.25, 2.0), size=3)
    assert through_json(Settings, settings) == settings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "c"}, r"config\.kind is 'c'; choose one of \('a', 'b'\)"),
        ({"range": 1.0}, r"config\.range is 1\.0; a list is needed"),
        ({"size": "3"}, r"config\.size is '3'; a value of type int is needed"),
        ({"color": 1}, r"config has unknown settings \['color'\]"),
        ([], "config is list, not an object"),
    ],
)
def test_what_does_not_fit_is_named(values, message):
    with pytest.raises(ConfigError, match=message):
        config_from_dict(Settings, values)
