"""Whether a run folder may go on: only with the settings of its weights."""

import dataclasses
import json

import pytest

from semanticodec.decoder.unet import TUNet
from semanticodec.errors import ConfigError
from semanticodec.recipes import codec, vocoder
from semanticodec.training.train import RunOptions, _check_same_run


def described(**changes):
    recipe = codec.tiny()
    config = dataclasses.replace(recipe.stage_config, **changes)
    return dataclasses.replace(recipe, stage_config=config).describe()


def test_a_run_goes_on_with_its_own_settings_only(tmp_path):
    _check_same_run(described(), codec.tiny(), tmp_path)
    with pytest.raises(ConfigError, match=r"whose stage_config differs from codec/tiny's"):
        _check_same_run(described(acoustic_layers=2), codec.tiny(), tmp_path)


def test_a_run_from_before_a_setting_existed_goes_on_with_its_default(tmp_path):
    older = described()
    del older["stage_config"]["is_acoustic_bidirectional"]
    _check_same_run(older, codec.tiny(), tmp_path)
    recipe = codec.tiny()
    config = dataclasses.replace(recipe.stage_config, is_acoustic_bidirectional=False)
    with pytest.raises(ConfigError, match=r"Resume with the same recipe"):
        _check_same_run(older, dataclasses.replace(recipe, stage_config=config), tmp_path)


def test_a_setting_inside_a_setting_may_be_new_too(tmp_path):
    recipe = codec.tiny_rates()
    older = recipe.describe()
    del older["stage_config"]["quantizer"]["decay"]
    _check_same_run(older, recipe, tmp_path)
    inner = dataclasses.replace(recipe.stage_config.quantizer, decay=0.5)
    config = dataclasses.replace(recipe.stage_config, quantizer=inner)
    with pytest.raises(ConfigError, match="whose stage_config differs"):
        _check_same_run(older, dataclasses.replace(recipe, stage_config=config), tmp_path)


def test_a_whole_group_of_settings_may_be_new(tmp_path):
    recipe = codec.tiny_rates()
    older = recipe.describe()
    del older["stage_config"]["unet"]
    config = dataclasses.replace(recipe.stage_config, unet=TUNet.Config())
    _check_same_run(older, dataclasses.replace(recipe, stage_config=config), tmp_path)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"num_jobs": 0}, "0 jobs that load audio are not possible; give 1 or more"),
        ({"num_threads": 0}, "0 CPU threads are not possible; give 1 or more"),
        ({"minutes": -1.0}, "-1.0 minutes is not possible; give 0 or more"),
        ({"minutes": float("nan")}, "nan minutes is not possible"),
        ({"lr": 0.0}, "A learning rate of 0.0 is not possible; give one above 0"),
        ({"lr": float("inf")}, "A learning rate of inf is not possible"),
        ({"batch_size": 0}, "A batch size of 0 is not possible; give 1 or more"),
        ({"seed": -1}, "A seed of -1 is not possible; give 0 or more"),
        ({"steps": -1}, "-1 steps are not possible; give 0 or more"),
    ],
)
def test_options_out_of_range_are_refused_at_once(tmp_path, option, message):
    with pytest.raises(ConfigError, match=message):
        RunOptions(data=(tmp_path,), out=tmp_path, **option)


@pytest.mark.parametrize("recipe", [vocoder.tiny(), vocoder.tiny_hifigan()])
def test_a_run_from_before_vocoders_were_tagged_goes_on(tmp_path, recipe):
    older = json.loads(json.dumps(recipe.describe()))
    del older["stage_config"]["vocoder"]["class"]
    _check_same_run(older, recipe, tmp_path)


def test_a_run_of_another_vocoder_does_not_go_on(tmp_path):
    older = json.loads(json.dumps(vocoder.tiny().describe()))
    with pytest.raises(ConfigError, match="whose stage_config differs"):
        _check_same_run(older, vocoder.tiny_hifigan(), tmp_path)
