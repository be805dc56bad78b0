"""`python -m experiments.listening`: a test with simulated listeners, for the documentation."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from experiments.command import experiment_parser
from experiments.listening.simulated import Panel, hold
from semanticodec.audio.io import save_audio
from semanticodec.cli import run_command
from semanticodec.cli.report import DONE
from semanticodec.evaluation.suites import open_suite
from semanticodec.files import atomic_path
from semanticodec.listening import report
from semanticodec.listening.analysis import analyze
from semanticodec.listening.anchors import LOW, MID
from semanticodec.listening.build import BuildSettings, build
from semanticodec.listening.figures import draw_figures
from semanticodec.listening.session import Test
from semanticodec.token_format import SAMPLE_RATE

DESCRIPTION = """\
Hold a listening test with simulated listeners of known preferences, and write its report and
figures. Systems and sounds are made up too: nothing here says anything about a codec.

  python -m experiments.listening -o docs/listening_test
"""
DOMAINS = ("general", "music", "speech")
CLIPS_PER_DOMAIN = 3
QUALITIES = {LOW: 20.0, MID: 70.0, "made up A": 65.0, "made up B": 45.0, "made up C": 40.0}
PANEL = Panel(qualities=QUALITIES, num_careful=12, num_careless=2)
WRITTEN = ("report.md", "means.png", "domains.png")


def build_parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    parser = experiment_parser("listening", DESCRIPTION)
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="FOLDER", help="output directory"
    )
    return parser


def run(args: argparse.Namespace) -> int:
    """Hold the test and write what the documentation shows."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        _write_suite(place / "clips")
        systems = [f"ground-truth:name={name}" for name in QUALITIES if name not in (LOW, MID)]
        settings = BuildSettings(title="Simulated listeners", num_clips=CLIPS_PER_DOMAIN)
        build(open_suite(place / "clips"), systems, place / "test", settings)
        hold(Test.open(place / "test"), PANEL)
        results = analyze(place / "test", place / "results")
        draw_figures(results, place / "results")
        for name in WRITTEN:
            with atomic_path(args.output / name) as path:
                shutil.copyfile(place / "results" / name, path)
    print(report.summary(results))
    return DONE


def _write_suite(folder: Path) -> None:
    """Write noise: these listeners have no ears."""
    rng = np.random.default_rng(0)
    for domain in DOMAINS:
        for index in range(CLIPS_PER_DOMAIN + 1):
            wav = torch.from_numpy(rng.normal(0, 0.1, SAMPLE_RATE))
            save_audio(folder / domain / f"{index}.wav", wav)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return run_command(build_parser(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
