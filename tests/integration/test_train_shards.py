"""`semanticodec train codec` on WebDataset shards that a pattern names."""

import json
import os
import subprocess
import sys
import tarfile

import pytest

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


@pytest.mark.slow  # test_train_codec.py has both laws, of folders
def test_a_run_stopped_and_resumed_by_two_processes_is_the_same_run(command, tmp_path, monkeypatch):
    monkeypatch.setattr("semanticodec.training.stages.codec.UNCACHED_WINDOWS", 2)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    steps = ("--steps", "2", "--batch-size")
    assert main([*command, "--output", str(whole), *steps, "2"]) == 0
    assert main([*command, "--output", str(stopped), *steps, "2", "--minutes", "0"]) == 0
    assert losses(stopped) == {1: losses(whole)[1]}
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    result = subprocess.run(
        [sys.executable, *torchrun, "--no-python", sys.executable, "-c", COMMAND, *command]
        + ["--output", str(stopped), *steps, "1"],
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stderr
    assert losses(stopped) == pytest.approx(losses(whole), rel=1e-4)
