"""`semanticodec train vocoder` through the real command, for both vocoders and with a VAE."""

import json

import numpy as np
import pytest
import soundfile

from semanticodec.checkpoints.trained_module import read_module
from semanticodec.cli import main


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for number in range(3):
        soundfile.write(folder / f"{number}.wav", rng.normal(0, 0.1, 16000), 16000)
    return folder


def train(stage, recipe, data, out, *more):
    return main(
        [
            *("train", stage, "--recipe", recipe, "--quiet"),
            *("--data", str(data), "--output", str(out), *more),
        ]
    )


def records(out):
    """The recorded values by step, without those of the clock."""
    lines = map(json.loads, (out / "scalars.jsonl").read_text().splitlines())
    clock = ("seconds", "steps_per_second")
    return {line["step"]: {k: v for k, v in line.items() if k not in clock} for line in lines}


@pytest.fixture(scope="module")
def whole_run(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert train("vocoder", "tiny", data, out) == 0
    return out


@pytest.mark.parametrize(
    ("recipe", "module"),
    [
        ("tiny", "vocos"),
        ("tiny_harmonic", "harmonic_vocos"),
        ("tiny_hifigan", "hifigan"),
    ],
)
def test_a_run_trains_both_groups_and_leaves_a_module(data, tmp_path, recipe, module):
    assert train("vocoder", recipe, data, tmp_path) == 0
    values = records(tmp_path)
    assert sorted(values) == [1, 2, 3, 4]
    assert all(np.isfinite(list(line.values())).all() for line in values.values())
    # The tiny recipes' discriminators start at the third step.
    assert [step for step in values if "loss_discriminator" in values[step]] == [3, 4]
    read_module(tmp_path / "export", "vocoder")
    [events] = (tmp_path / "tensorboard").iterdir()
    assert b"generated" in events.read_bytes()


def test_a_run_stopped_after_every_step_is_the_same_run(whole_run, data, tmp_path):
    for _ in range(4):
        assert train("vocoder", "tiny", data, tmp_path, "--minutes", "0") == 0
    assert records(tmp_path) == records(whole_run)
    stopped, whole = (read_module(run / "export", "vocoder")[1] for run in (tmp_path, whole_run))
    assert all((stopped[name] == whole[name]).all() for name in whole)


def test_a_vae_changes_what_the_vocoder_hears(whole_run, data, tmp_path):
    assert train("vae", "tiny", data, tmp_path / "vae", "--steps", "1") == 0
    module = f"vae={tmp_path / 'vae' / 'export'}"
    assert train("vocoder", "tiny", data, tmp_path / "run", "--module", module) == 0
    assert records(tmp_path / "run")[1]["mel"] != records(whole_run)[1]["mel"]


def test_training_can_start_from_an_export(whole_run, data, tmp_path):
    init = ("--init", str(whole_run / "export"))
    assert train("vocoder", "tiny", data, tmp_path, "--steps", "1", *init) == 0
    assert records(tmp_path)[1]["mel"] != records(whole_run)[1]["mel"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            ("--module", "audiomae=nowhere"),
            "uses the modules vae, codec and discriminators at most",
        ),
        (("--module", "vae=nowhere"), "not an exported module"),
        (("--recipe", "huge"), "choose one of small, small_adversarial, large, paper, tiny"),
    ],
)
def test_user_errors_are_one_line_and_status_2(data, tmp_path, capsys, more, message):
    assert train("vocoder", "tiny", data, tmp_path / "run", *more) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
