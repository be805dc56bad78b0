"""`semanticodec mushra ...`: listening tests, from a suite to figures."""

from __future__ import annotations

import argparse
from types import ModuleType

from semanticodec.cli import mushra_analyze, mushra_build, mushra_export, mushra_serve
from semanticodec.cli.options import add_commands
from semanticodec.errors import MissingDependencyError

HELP = "hold a listening test as the paper does: MUSHRA (ITU-R BS.1534-3), or ABX"
DESCRIPTION = """\
Hold a listening test as the paper does (Section IV-C, Figures 3 and 4): MUSHRA after ITU-R
BS.1534-3, or ABX.

  semanticodec mushra build --suite clips/ --system model opus:kbps=6 -o test/
  semanticodec mushra serve test/
  semanticodec mushra analyze test/ -o results/
"""
ACTIONS: dict[str, ModuleType] = {
    "build": mushra_build,
    "serve": mushra_serve,
    "analyze": mushra_analyze,
    "export": mushra_export,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's actions."""
    actions = parser.add_subparsers(dest="action", metavar="WHAT", required=True)
    add_commands(actions, ACTIONS)


def run(args: argparse.Namespace) -> int:
    """Do one step of a listening test and return its exit status."""
    try:
        return args.run_action(args)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"listening tests need {error.name}; install it with "
            "pip install 'semanticodec[listening]'"
        ) from error
