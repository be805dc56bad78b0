"""What the finished model is worth: measures of the clips, sounds and pictures of a few."""

from __future__ import annotations

import os
from pathlib import Path

from semanticodec.checkpoints.index import read_index
from semanticodec.checkpoints.pretrained import CONFIG_NAME
from semanticodec.cli import main
from semanticodec.listing import AUDIO_SUFFIXES, walk

METRICS = "mel,stft"
EVALUATION = "evaluation"


def model_folder(out: Path) -> Path | None:
    """Return the export of the last step that makes a whole model."""
    found = [out / name / "export" for name in ("decoder", "codec")]
    return next((folder for folder in found if (folder / CONFIG_NAME).is_file()), None)


def measure(model: Path, clips: Path, out: Path, *, device: str) -> list[str]:
    """Measure every token rate, and decode a clip of each domain.

    Args:
        model: model folder.
        clips: suite of recordings.
        out: `evaluation` and `samples` are written there.
        device: to compute on.
    Returns:
        What could not be done, one sentence each.
    """
    rates = sorted(int(rate) for rate in read_index(model)["token_rates"])
    systems = [f"model:path={os.fspath(model)},rate={rate},name=rate {rate}" for rate in rates]
    words = ["evaluate", "reconstruction", "--suite", os.fspath(clips), "--system", *systems]
    words += ["--metrics", METRICS, "--overwrite", "--device", device, "--threads", "4"]
    problems = []
    if main([*words, "-o", os.fspath(out / EVALUATION), "--quiet"]):
        problems.append("some clips could not be measured")
    samples = out / "samples"
    samples.mkdir(exist_ok=True)  # so that a single clip has a file in it
    if main([*_roundtrip(model, clips, device), "-o", os.fspath(samples), "--plot"]):
        problems.append("samples have no pictures, or are missing")
    return problems


def _roundtrip(model: Path, clips: Path, device: str) -> list[str]:
    """Return the command for the first clip of every domain."""
    first: dict[Path, Path] = {}
    for path in walk(clips, AUDIO_SUFFIXES):
        first.setdefault(path.parent, path)
    inputs = [os.fspath(path) for path in first.values()]
    words = ["roundtrip", *inputs, "--model", os.fspath(model), "--format", "flac"]
    return [*words, "--device", device, "--overwrite", "--quiet"]
