"""`python -m experiments.tones OUT`: writes signals of measuring desks as training audio."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile as sf

from experiments.command import experiment_parser
from experiments.tones.signals import TRAINING_KINDS, signal
from semanticodec.cli import run_command
from semanticodec.cli.options import positive_int
from semanticodec.cli.report import DONE
from semanticodec.token_format import SAMPLE_RATE

SECONDS_EACH = 10.24


def _parser() -> argparse.ArgumentParser:
    parser = experiment_parser("tones", __doc__ or "")
    parser.add_argument("output", type=Path, metavar="OUT", help="folder, one of train --data")
    parser.add_argument(
        "--minutes", type=positive_int, default=20, metavar="N", help="how much (default: 20)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="random seed (default: 0)")
    return parser


def run(args: argparse.Namespace) -> int:
    """Write OUT/tones/NUMBER.flac: the folder's name is the domain."""
    folder = args.output / "tones"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(max(round(args.minutes * 60 / SECONDS_EACH), 1)):
        rng = np.random.default_rng([args.seed, number])
        wav = signal(rng, int(SECONDS_EACH * SAMPLE_RATE), TRAINING_KINDS)
        sf.write(folder / f"{number:05d}.flac", wav, SAMPLE_RATE)
    return DONE


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    return run_command(_parser(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
