"""`semanticodec train audiomae` through the real command: a run, exact resume, two processes."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
import torch

from semanticodec.checkpoints.trained_module import load_audiomae, read_module
from semanticodec.cli import main
from semanticodec.encoder.audiomae import AudioMAE

COMMAND = "import sys; from semanticodec.cli import main; sys.exit(main())"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for domain in ("speech", "music"):
        (folder / domain).mkdir()
        for number in range(2):
            wav = rng.normal(0, 0.1, 48000)
            soundfile.write(folder / domain / f"{number}.wav", wav, 16000)
    return folder


def arguments(data, out, *more):
    return [
        *("train", "audiomae", "--recipe", "tiny", "--quiet"),
        *("--data", str(data), "--output", str(out), *more),
    ]


def losses(out):
    lines = (out / "scalars.jsonl").read_text().splitlines()
    return {record["step"]: record["loss"] for record in map(json.loads, lines)}


@pytest.fixture(scope="module")
def whole_run(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert main(arguments(data, out)) == 0
    return out


def test_a_run_leaves_checkpoints_curves_and_a_module(whole_run):
    assert sorted(losses(whole_run)) == [1, 2, 3, 4]
    assert all(np.isfinite(list(losses(whole_run).values())))
    names = sorted(path.name for path in (whole_run / "checkpoints").iterdir())
    assert names == ["latest.json", "step_00000002", "step_00000004"]
    [events] = (whole_run / "tensorboard").iterdir()
    assert b"PNG" in events.read_bytes()
    config, weights = read_module(whole_run / "export", "audiomae")
    AudioMAE(AudioMAE.Config(**config)).load_state_dict(weights)
    training = json.loads((whole_run / "export" / "config.json").read_text())["training"]
    assert training["recipe"] == "audiomae/tiny"
    assert training["steps_done"] == 4


def test_a_run_stopped_after_every_step_is_the_same_run(whole_run, data, tmp_path):
    for _ in range(4):
        assert main(arguments(data, tmp_path, "--minutes", "0")) == 0
    assert losses(tmp_path) == losses(whole_run)
    stopped, whole = (read_module(run / "export", "audiomae")[1] for run in (tmp_path, whole_run))
    assert all((stopped[name] == whole[name]).all() for name in whole)


def test_a_finished_run_only_exports_again(whole_run, data):
    before = losses(whole_run)
    assert main(arguments(data, whole_run, "--half")) == 0
    assert losses(whole_run) == before
    assert main(arguments(data, whole_run)) == 0


def test_seed_and_init_change_the_start(whole_run, data, tmp_path):
    assert main(arguments(data, tmp_path / "seed", "--steps", "1", "--seed", "1")) == 0
    init = ("--init", str(whole_run / "export"))
    assert main(arguments(data, tmp_path / "init", "--steps", "1", *init)) == 0
    first = {losses(run)[1] for run in (whole_run, tmp_path / "seed", tmp_path / "init")}
    assert len(first) == 3


@pytest.mark.slow  # the same law as in test_train_codec.py
def test_two_processes_are_one_process_at_twice_the_batch(data, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    assert main(arguments(data, one, "--batch-size", "4")) == 0
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    result = subprocess.run(
        [sys.executable, *torchrun, "--no-python", sys.executable, "-c", COMMAND]
        + arguments(data, two, "--batch-size", "2"),
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stderr
    assert losses(two) == pytest.approx(losses(one), rel=1e-5)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_sigterm_stops_with_a_checkpoint_and_an_export(data, tmp_path):
    steps = ("--steps", "1000000")
    process = subprocess.Popen([sys.executable, "-c", COMMAND, *arguments(data, tmp_path, *steps)])
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "checkpoints" / "latest.json").exists():
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
    saved = json.loads((tmp_path / "checkpoints" / "latest.json").read_text())["folder"]
    assert int(saved.removeprefix("step_")) == max(losses(tmp_path))
    assert (tmp_path / "export" / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--recipe", "huge"), "choose one of small, large, small_detail, paper, centered, tiny"),
        (("--module", "vae"), "write NAME=FOLDER"),
        (("--module", "vae=folder"), "builds on no other module"),
        (("--init", "nowhere"), "not an exported module"),
        (("--device", "abacus"), "'abacus' is not a device; choose cpu, cuda, cuda:N, mps or auto"),
        (("--seed", "-1"), "seed of -1"),
        (("--batch-size", "0"), "batch size of 0"),
        (("--data", "nowhere"), "does not exist"),
    ],
)
def test_user_errors_are_one_line_and_status_2(data, tmp_path, capsys, more, message):
    assert main(arguments(data, tmp_path / "run", *more)) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error


def test_another_recipe_cannot_resume_a_run(whole_run, data, capsys):
    assert main(arguments(data, whole_run, "--recipe", "small")) == 2
    assert "holds a run of audiomae/tiny" in capsys.readouterr().err


def test_centered_features_are_those_less_their_positions_means(data, whole_run, tmp_path, capsys):
    def center(source, out):
        return main(
            [
                *("train", "audiomae", "--recipe", "tiny_centered", "--quiet"),
                *("--data", str(data), "--output", str(out)),
                *("--module", f"audiomae={source / 'export'}"),
            ]
        )

    assert center(whole_run, tmp_path) == 0
    before = load_audiomae(whole_run / "export")
    after = load_audiomae(tmp_path / "export")
    assert after.config.centers_positions and after.position_means.abs().max() > 0
    fbank = torch.randn(2, 512, 128)
    with torch.no_grad():
        difference = before(fbank) - after(fbank)
    torch.testing.assert_close(difference, after.position_means[:256].expand(2, -1, -1))
    assert center(tmp_path, tmp_path / "again") == 2
    assert "are centered already" in capsys.readouterr().err
