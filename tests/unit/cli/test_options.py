"""The decoding options reach the sampler, and mistakes in them are told in one line."""

import argparse
from dataclasses import fields, replace

import numpy as np
import pytest
import soundfile
import torch

from conftest import random_codec
from semanticodec.checkpoints.pretrained import write_model
from semanticodec.cli import build_parser, main
from semanticodec.cli.options import renamed
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
    def decoded(*options):
        return roundtrip(model, recording, tmp_path / "out.wav", *options)

    standard, draft = decoded(), decoded("--quality", "draft")
    assert np.array_equal(decoded("--num-steps", "4", "--sampler", "unipc"), draft)
    assert np.array_equal(decoded("--quality", "best"), standard), "the model names no better"
    unguided = decoded("--guidance-interval", "0", "0.1")
    assert np.array_equal(decoded("--guidance-scale", "1"), unguided), (
        "no step is that near to clean"
    )
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


def test_old_spellings_work_and_name_the_new_ones(model, recording, tmp_path, capfd):
    current = roundtrip(model, recording, tmp_path / "a.wav", "--num-steps", "1")
    capfd.readouterr()
    assert np.array_equal(roundtrip(model, recording, tmp_path / "b.wav", "--steps", "1"), current)
    assert capfd.readouterr().err == "semanticodec: --steps is now called --num-steps\n"
    roundtrip(model, recording, tmp_path / "c.wav", "--guidance", "1", "--num-steps", "1")
    assert capfd.readouterr().err == "semanticodec: --guidance is now called --guidance-scale\n"


def test_renamed_options_keep_every_property(capsys):
    parser = argparse.ArgumentParser()
    needed = parser.add_argument("-o", "--output", required=True)
    several = parser.add_argument("--module", action="append", default=[])
    switch = parser.add_argument("--half", action="store_true")
    pair = parser.add_argument("--range", nargs=2, type=int)
    for action, old in (
        (needed, "--out"),
        (several, "--box"),
        (switch, "--fp16"),
        (pair, "--span"),
    ):
        renamed(parser, action, old)
    words = "--out x --box a --module b --fp16 --span 1 2"
    assert vars(parser.parse_args(words.split())) == {
        "output": "x",
        "module": ["a", "b"],
        "half": True,
        "range": [1, 2],
    }
    assert capsys.readouterr().err.splitlines() == [
        "semanticodec: --out is now called --output",
        "semanticodec: --box is now called --module",
        "semanticodec: --fp16 is now called --half",
        "semanticodec: --span is now called --range",
    ]
    assert "--out " not in parser.format_help() and "--fp16" not in parser.format_help()
    with pytest.raises(SystemExit):
        build_one = argparse.ArgumentParser()
        renamed(build_one, build_one.add_argument("--new", required=True), "--old")
        build_one.parse_args([])


COMMANDS = ("encode", "decode", "roundtrip", "info", "convert", "export")


def options_of(command):
    """Return the visible options of a command by their names."""
    (subparsers,) = (
        action for action in build_parser()._actions if isinstance(action.choices, dict)
    )
    actions = subparsers.choices[command]._actions
    return {
        action.option_strings[-1] if action.option_strings else action.dest: action
        for action in actions
        if action.help != argparse.SUPPRESS
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_options_are_spelled_and_explained_alike(command):
    for name, action in options_of(command).items():
        assert action.help, f"{command} {name} is not explained"
        assert not action.help.startswith(("default", "of ", "to ", "for ")), (
            f"{command} {name} is explained by a fragment: {action.help}"
        )
        assert not action.help.endswith("."), f"{command} {name}: {action.help}"


def test_one_option_means_one_thing_in_all_commands():
    seen = {}
    for command in COMMANDS:
        for name, action in options_of(command).items():
            kind = (type(action), action.type, action.nargs, action.default)
            if name in ("inputs", "--output", "--token-rate", "--semantic-vocab-size"):
                kind = (type(action),)
            assert seen.setdefault(name, kind) == kind, f"{command} {name}"
    assert seen["--device"][-1] == "auto"


def test_no_option_takes_an_input_for_its_value():
    """An option with an optional value, or with several, would swallow the inputs behind it."""
    for command in COMMANDS:
        for name, action in options_of(command).items():
            if action.option_strings:
                assert action.nargs not in ("?", "*", "+", argparse.REMAINDER), f"{command} {name}"


def test_every_sampling_setting_is_an_option():
    """They come from the fields of `SamplingConfig`; left out, the model's own values apply."""
    for command in ("decode", "roundtrip", "benchmark"):
        options = options_of(command)
        for setting in fields(SamplingConfig):
            option = options[f"--{setting.name.replace('_', '-')}"]
            assert option.default is None and option.help == setting.metadata["help"]
