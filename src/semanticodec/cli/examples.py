"""`semanticodec examples ...`: sounds at all token rates, to show to others."""

from __future__ import annotations

import argparse
from types import ModuleType

from semanticodec.cli import examples_page
from semanticodec.cli.options import add_commands

HELP = "write a page of sounds at all token rates, to show to others"
DESCRIPTION = "Write sounds at all token rates in a form to show to others."
FORMS: dict[str, ModuleType] = {"page": examples_page}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command and its forms."""
    add_commands(parser.add_subparsers(dest="form", metavar="FORM", required=True), FORMS)


def run(args: argparse.Namespace) -> int:
    """Write one form and return the exit status."""
    return FORMS[args.form].run(args)
