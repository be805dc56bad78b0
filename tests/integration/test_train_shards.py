"""`semanticodec train codec` on WebDataset shards that a pattern names."""

import json
import os
import subprocess
import sys
import tarfile

import pytest
import torch
from safetensors.torch import load_file

from semanticodec.cli import main
from tiny_modules import (
    export_audiomae,
    export_codebook,
    export_vae,
    export_vocoder,
    write_audio,
)

COMMAND = "import sys; from semanticodec.cli import main; sys.exit(main())"


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """Return the command's arguments without its output."""
    folder = tmp_path_factory.mktemp("shards")
    audio = write_audio(folder / "audio", seconds=(3.0, 6.0, 12.0), domains=("music", "speech"))
    for number, path in enumerate(sorted(audio.rglob("*.wav"))):
        with tarfile.open(folder / f"{number // 2:05d}.tar", "a") as archive:
            archive.add(path, f"{number:03d}.wav")
    modules = {
        "audiomae": export_audiomae(folder / "audiomae"),
        "vae": export_vae(folder / "vae"),
        "vocoder": export_vocoder(folder / "vocoder"),
        "codebook": export_codebook(folder / "codebook", stack_factor=2),
    }
    return [
        *("train", "codec", "--recipe", "tiny_50", "--quiet", "--data", str(folder / "*.tar")),
        *(f"--module={name}={export}" for name, export in modules.items()),
    ]


def losses(run):
    lines = (run / "scalars.jsonl").read_text().splitlines()
    return {record["step"]: record["loss"] for record in map(json.loads, lines)}


@pytest.fixture(scope="module")
def whole_run(command, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "whole"
    assert main([*command, "--output", str(run), "--steps", "3", "--batch-size", "4"]) == 0
    return run


def test_a_run_stopped_after_every_step_is_the_same_run(command, whole_run, tmp_path):
    options = ("--steps", "3", "--batch-size", "4", "--minutes", "0")
    for _ in range(3):
        assert main([*command, "--output", str(tmp_path), *options]) == 0
    assert losses(tmp_path) == losses(whole_run)
    stopped, whole = (
        load_file(run / "export" / "model.safetensors") for run in (tmp_path, whole_run)
    )
    assert all(torch.equal(stopped[name], whole[name]) for name in whole)


def test_two_processes_are_one_at_twice_the_batch(command, whole_run, tmp_path):
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    result = subprocess.run(
        [sys.executable, *torchrun, "--no-python", sys.executable, "-c", COMMAND, *command]
        + ["--output", str(tmp_path / "two"), "--steps", "3", "--batch-size", "2"],
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stderr
    assert losses(tmp_path / "two") == pytest.approx(losses(whole_run), rel=1e-4)
