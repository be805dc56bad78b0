import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict, fields, replace

import numpy as np
import pytest
import torch

from conftest import random_codec
from semanticodec.checkpoints.official import official_config
from semanticodec.checkpoints.pretrained import DEFAULT_MODEL, read_setting
from semanticodec.config import CodecConfig, config_from_dict, config_to_dict, tiny
from semanticodec.decoder.sampler import ddim
from semanticodec.decoder.sampling import (
    QUALITIES,
    SAMPLERS,
    Sampler,
    SamplingConfig,
    SamplingPresets,
    choose_sampling,
    qualities,
)
from semanticodec.errors import ConfigError

RELEASE = SamplingConfig()
STANDARD = SamplingConfig(num_steps=4, guidance_scale=1.5, eta=0.0, timestep_shift=12.0)
DRAFT = replace(STANDARD, num_steps=2, sampler="unipc", guidance_interval=(0.2, 0.9))
BEST = replace(STANDARD, num_steps=5, guidance_scale=1.0)
PRESETS = SamplingPresets(draft=DRAFT, best=BEST)


def with_presets(config: CodecConfig) -> CodecConfig:
    decoder = replace(config.decoder, sampling=STANDARD, sampling_presets=PRESETS)
    return replace(config, decoder=decoder)


# --- names and configuration files ---


def test_every_name_has_its_sampler():
    assert list(SAMPLERS) == ["ddim", "dpm++2m", "unipc"]
    for sampler in SAMPLERS.values():
        assert callable(sampler.load())


def test_names_are_known_without_torch():
    program = "import sys, semanticodec.decoder.sampling\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_configuration_survives_json():
    config = with_presets(tiny())
    values = json.loads(json.dumps(config_to_dict(config)))
    assert values["decoder"]["sampling_presets"]["draft"]["guidance_interval"] == [0.2, 0.9]
    assert config_from_dict(CodecConfig, values) == config


def test_models_from_before_presets_load():
    values = config_to_dict(tiny())
    del values["decoder"]["sampling_presets"]
    del values["decoder"]["sampling"]["guidance_interval"]
    assert config_from_dict(CodecConfig, json.loads(json.dumps(values))) == tiny()
    assert read_setting(DEFAULT_MODEL)[0].decoder.sampling.num_steps > 0


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("sampler", "euler", "sampler is 'euler'; choose one of ddim, dpm\\+\\+2m, unipc"),
        ("guidance_scale", float("inf"), "guidance_scale is inf; a number of at most"),
        ("guidance_interval", [0.8, 0.2], "guidance_interval is .*two numbers from 0"),
        ("guidance_interval", [-0.1, 0.2], "guidance_interval is .*two numbers from 0"),
        (
            "guidance_interval",
            [0.0, float("nan")],
            r"guidance_interval\[1\] is nan; a number of at most",
        ),
        ("guidance_interval", [0.5], r"guidance_interval is \[0.5\]; 2 values are needed"),
        ("guidance_interval", ["a", "b"], r"guidance_interval\[0\] is 'a'; a value of type float"),
    ],
)
def test_files_with_impossible_settings_are_refused(key, value, message):
    values = config_to_dict(tiny())
    values["decoder"]["sampling"][key] = value
    with pytest.raises(ConfigError, match=message):
        config_from_dict(CodecConfig, values)


# --- qualities ---


def test_qualities_are_the_models_own():
    assert choose_sampling(STANDARD, PRESETS) == STANDARD
    assert choose_sampling(STANDARD, PRESETS, "draft") == DRAFT
    assert choose_sampling(STANDARD, PRESETS, "best") == BEST


def test_what_is_asked_for_replaces_single_settings():
    for quality in QUALITIES:
        preset = choose_sampling(STANDARD, PRESETS, quality)
        for name, value in {
            "num_steps": 5,
            "guidance_scale": 3.0,
            "eta": 0.5,
            "guidance_interval": (0.4, 0.5),
        }.items():
            chosen = choose_sampling(STANDARD, PRESETS, quality, **{name: value})
            assert chosen == replace(preset, **{name: value})


def test_models_without_presets_fall_back_to_their_standard():
    none = SamplingPresets()
    assert choose_sampling(STANDARD, none, "draft") == STANDARD, "it is quick already"
    assert choose_sampling(STANDARD, none, "best") == STANDARD
    assert official_config(100, 4096).decoder.sampling_presets == none
    expected = SamplingConfig(sampler="dpm++2m", num_steps=10, eta=0.0, timestep_shift=1.0)
    assert choose_sampling(RELEASE, none, "draft") == expected
    assert choose_sampling(RELEASE, none, "best") == RELEASE


def test_another_sampler_brings_its_own_noise_and_end():
    none = SamplingPresets()
    assert choose_sampling(RELEASE, none, sampler="ddim") == RELEASE
    unipc = choose_sampling(RELEASE, none, sampler="unipc")
    assert unipc == replace(RELEASE, sampler="unipc", eta=0.0, timestep_shift=1.0)
    assert choose_sampling(RELEASE, none, sampler="dpm++2m", eta=1.0).eta == 1.0
    assert choose_sampling(STANDARD, none, sampler="unipc").timestep_shift == 12.0


def test_unknown_qualities_are_refused():
    with pytest.raises(ConfigError, match="'ultra'; choose one of draft, standard, best"):
        choose_sampling(STANDARD, PRESETS, "ultra")


# --- the decoder and the codec follow them ---


@pytest.fixture(scope="module")
def codec():
    codec = random_codec()
    decoder_config = with_presets(codec.config).decoder
    codec.config = replace(codec.config, decoder=decoder_config)
    codec.decoder.config = decoder_config
    return codec


@pytest.fixture(scope="module")
def codes(codec):
    return codec.encode(0.1 * torch.randn(5000, generator=torch.Generator().manual_seed(0)))


@contextmanager
def recorded_calls(codec):
    """Yield a list that fills with timestep and number of rows of every evaluation."""
    calls = []
    hook = codec.decoder.unet.register_forward_pre_hook(
        lambda unet, inputs: calls.append((int(inputs[1][0]), len(inputs[0])))
    )
    yield calls
    hook.remove()


def evaluations(codec, codes, **options):
    with recorded_calls(codec) as calls:
        codec.decode(codes, **options)
    return calls


def test_guidance_costs_a_second_row_inside_its_interval_only(codec, codes):
    calls = evaluations(codec, codes, guidance_interval=(0.922, 0.98))
    assert calls == [(999, 1), (972, 2), (922, 2), (799, 1)]
    everywhere = evaluations(codec, codes)
    assert [rows for _, rows in everywhere] == [2] * 4
    unguided = evaluations(codec, codes, guidance_scale=1.0, guidance_interval=(0.2, 0.9))
    assert [rows for _, rows in unguided] == [1] * 4


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_asks_the_network_once_per_step(codec, codes, sampler):
    calls = evaluations(codec, codes, sampler=sampler, num_steps=3)
    assert [timestep for timestep, _ in calls] == codec.decoder.timesteps(3)


def test_qualities_decode_as_their_settings_say(codec, codes):
    standard, draft = (codec.decode(codes, quality=name) for name in ("standard", "draft"))
    assert torch.equal(codec.decode(codes), standard)
    explicit = {"num_steps": 2, "sampler": "unipc", "guidance_interval": (0.2, 0.9)}
    assert torch.equal(codec.decode(codes, **explicit), draft)
    assert torch.equal(torch.cat(list(codec.decode_stream(codes, quality="draft")), dim=-1), draft)
    plain = {"quality": "best", "num_steps": 4}
    results = [standard, draft] + [
        codec.decode(codes, **plain, sampler=sampler) for sampler in SAMPLERS
    ]
    for index, result in enumerate(results):
        assert not any(torch.equal(result, other) for other in results[:index]), index


def test_a_preset_has_its_own_spacing(codec, codes, monkeypatch):
    even = replace(STANDARD, timestep_shift=0.0, num_steps=4, guidance_scale=1.0)
    config = replace(codec.config.decoder, sampling_presets=SamplingPresets(best=even))
    monkeypatch.setattr(codec, "config", replace(codec.config, decoder=config))
    calls = evaluations(codec, codes, quality="best")
    calls += evaluations(codec, codes, num_steps=3, guidance_scale=1.0)
    assert [timestep for timestep, _ in calls] == [751, 501, 251, 1, 999, 959, 856]


# --- one list of settings, one table of samplers ---


def test_every_setting_has_a_help_text_and_reaches_decode(codec, codes):
    assert [item.name for item in fields(SamplingConfig)] == list(asdict(SamplingConfig()))
    for item in fields(SamplingConfig):
        assert item.metadata["help"]
        value = getattr(codec.sampling(), item.name)
        assert codec.sampling(**{item.name: value}) == codec.sampling()
    with pytest.raises(ConfigError, match="choose from sampler, num_steps, guidance_scale, eta"):
        codec.decode(codes, guidance=2.0)
    assert codec.sampling(timestep_shift=3.0).timestep_shift == 3.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_steps": 2.5}, "num_steps is 2.5; give a whole number"),
        ({"num_steps": True}, "num_steps is True"),
        ({"guidance_scale": "2"}, "guidance_scale is '2'; give a finite number"),
        ({"eta": -0.1}, "eta is -0.1; give a number from 0"),
        ({"eta": 1 + 2j}, "eta is"),
        ({"timestep_shift": 0.5}, "timestep_shift is 0.5; give 0, or 1 and more"),
        ({"sampler": 3}, "sampler is 3; give a name"),
        ({"guidance_interval": 0.5}, "guidance_interval is 0.5; give two numbers"),
    ],
)
def test_settings_of_other_types_are_refused(codec, settings, message):
    with pytest.raises(ConfigError, match=message):
        codec.sampling(**settings)


def test_settings_may_come_from_numpy():
    config = SamplingConfig(
        num_steps=np.int64(4), guidance_scale=np.float32(2), guidance_interval=[0, np.float64(1)]
    )
    assert config == SamplingConfig(num_steps=4, guidance_scale=2.0)
    assert json.loads(json.dumps(asdict(config)))["num_steps"] == 4


def test_a_new_sampler_is_its_function_and_one_entry(codec, codes, monkeypatch):
    given = {}

    def euler(denoise, schedule, timesteps, noise, *, end_at_clean=False):
        given.update(timesteps=timesteps, end_at_clean=end_at_clean)
        return ddim(denoise, schedule, timesteps, noise, end_at_clean=end_at_clean)

    monkeypatch.setitem(
        SAMPLERS, "euler", Sampler(lambda: euler, is_multistep=False, takes_eta=False)
    )
    expected = codec.decode(codes, eta=0.0)
    assert torch.equal(codec.decode(codes, sampler="euler"), expected)
    assert given == {"timesteps": codec.decoder.timesteps(4), "end_at_clean": True}
    even = replace(RELEASE, sampler="euler", eta=0.0)
    assert choose_sampling(RELEASE, SamplingPresets(), sampler="euler") == even, "not multistep"
    with pytest.raises(ConfigError, match="euler adds no noise; give eta 0, or the sampler ddim"):
        codec.decode(codes, sampler="euler", eta=0.5)


def test_samplers_without_noise_refuse_eta(codec, codes):
    with pytest.raises(ConfigError, match="unipc adds no noise.*ddim or dpm"):
        codec.decode(codes, sampler="unipc", eta=0.5)


def test_settings_replace_single_ones_of_given_settings():
    chosen = choose_sampling(STANDARD, PRESETS, DRAFT, num_steps=7)
    assert chosen == replace(DRAFT, num_steps=7)
    assert qualities(STANDARD, PRESETS) == {"draft": DRAFT, "standard": STANDARD, "best": BEST}


def test_a_model_of_one_step_says_that_more_are_worse(recwarn: pytest.WarningsRecorder) -> None:
    one = SamplingConfig(num_steps=1, guidance_scale=1.0, eta=0.0, timestep_shift=1.0)
    choose_sampling(one, SamplingPresets(), num_steps=1)
    choose_sampling(STANDARD, PRESETS, num_steps=50)
    assert not recwarn
    with pytest.warns(UserWarning, match="trained to decode in one step; with 4 it sounds worse"):
        choose_sampling(one, SamplingPresets(), num_steps=4)
