"""`python -m experiments.paper`: the paper's evaluation set as a suite."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.command import experiment_parser
from experiments.paper.record import RECORD_URL, fetch_record, folders_of, write_suite
from semanticodec.cli import run_command
from semanticodec.cli.report import DONE, print_warning

DESCRIPTION = f"""\
Download the clips that the paper's authors published ({RECORD_URL}),
once, and lay them out as a suite of `semanticodec evaluate reconstruction`.

  python -m experiments.paper -o record/          downloads, and lists the folders with recordings
  python -m experiments.paper -o record/ --domain speech=FOLDER music=FOLDER general=FOLDER

The second command writes record/suite. Look into the folders first: which holds which kind of
sound is not documented.
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    parser = experiment_parser("paper", DESCRIPTION)
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="FOLDER", help="output directory"
    )
    parser.add_argument(
        "--domain",
        nargs="+",
        action="extend",
        default=[],
        type=_domain,
        metavar="NAME=FOLDER",
        help="folders of the record, by the domain of their recordings",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="report errors only")
    return parser


def _domain(text: str) -> tuple[str, str]:
    name, _, folder = text.partition("=")
    if not name or not folder:
        raise argparse.ArgumentTypeError(f"'{text}' is no NAME=FOLDER, such as speech=set/LibriTTS")
    return name, folder


def run(args: argparse.Namespace) -> int:
    """Fetch, list or lay out, and return the exit status."""
    files = fetch_record(args.output, show_progress=not args.quiet)
    lines = [f"{count:6} recordings in {folder}" for folder, count in folders_of(files).items()]
    if args.domain:
        suite = args.output / "suite"
        for problem in write_suite(files, dict(args.domain), suite):
            print_warning(problem, suite.name)
        lines = [f"The suite is {suite}"]
    if not args.quiet:
        print("\n".join(lines))
    return DONE


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return run_command(build_parser(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
