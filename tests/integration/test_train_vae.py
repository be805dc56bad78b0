"""`semanticodec train vae` through the real command: a run, exact resume, two processes."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from semanticodec.checkpoints.trained_module import load_vae, read_module
from semanticodec.cli import main

COMMAND = "import sys; from semanticodec.cli import main; sys.exit(main())"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for number in range(3):
        soundfile.write(folder / f"{number}.wav", rng.normal(0, 0.1, 16000), 16000)
    return folder


def arguments(data, out, *more):
    return [
        *("train", "vae", "--recipe", "tiny", "--quiet"),
        *("--data", str(data), "--output", str(out), *more),
    ]


def records(out):
    """The recorded values by step, without those of the clock."""
    lines = map(json.loads, (out / "scalars.jsonl").read_text().splitlines())
    clock = ("seconds", "steps_per_second")
    return {line["step"]: {k: v for k, v in line.items() if k not in clock} for line in lines}


@pytest.fixture(scope="module")
def whole_run(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert main(arguments(data, out)) == 0
    return out


def test_a_run_trains_both_groups_and_leaves_a_module(whole_run):
    values = records(whole_run)
    assert sorted(values) == [1, 2, 3, 4]
    assert all(np.isfinite(list(line.values())).all() for line in values.values())
    # The tiny recipe's discriminator starts at the third step.
    assert [step for step in values if "loss_discriminator" in values[step]] == [3, 4]
    assert load_vae(whole_run / "export").config.base_channels == 8
    training = json.loads((whole_run / "export" / "config.json").read_text())["training"]
    assert training["recipe"] == "vae/tiny"


def test_a_run_stopped_after_every_step_is_the_same_run(whole_run, data, tmp_path):
    for _ in range(4):
        assert main(arguments(data, tmp_path, "--minutes", "0")) == 0
    assert records(tmp_path) == records(whole_run)
    stopped, whole = (read_module(run / "export", "vae")[1] for run in (tmp_path, whole_run))
    assert all((stopped[name] == whole[name]).all() for name in whole)


def test_half_precision_exports_load(whole_run, data, tmp_path):
    init = ("--init", str(whole_run / "export"))
    assert main(arguments(data, tmp_path, "--steps", "1", "--half", *init)) == 0
    vae = load_vae(tmp_path / "export")
    assert all(parameter.dtype.itemsize == 4 for parameter in vae.parameters())


@pytest.mark.slow  # the same law as in test_train_codec.py
def test_two_processes_are_one_process_at_twice_the_batch(data, tmp_path):
    """The adaptive weight and the latent's standard deviation are measured over all processes."""
    one, two = tmp_path / "one", tmp_path / "two"
    # The third step is the first with a discriminator. After it Adam has blown up the rounding
    # errors of the smallest gradients.
    steps = ("--steps", "3")
    assert main(arguments(data, one, "--batch-size", "4", *steps)) == 0
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run(
        [sys.executable, *torchrun, "--no-python", sys.executable, "-c", COMMAND]
        + arguments(data, two, "--batch-size", "2", *steps),
        check=True,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert "adversarial_factor" in records(one)[3]
    for step, values in records(one).items():
        assert records(two)[step] == pytest.approx(values, rel=1e-4, abs=1e-6), step
