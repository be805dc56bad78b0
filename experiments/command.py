"""What the experiments' command lines share: one line for an error, and exit statuses."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from semanticodec.cli import INTERRUPTED
from semanticodec.cli.options import Parser
from semanticodec.cli.report import USER_ERROR, print_error
from semanticodec.errors import SemantiCodecError


def experiment_parser(name: str, description: str) -> Parser:
    """Return the parser of `python -m experiments.NAME`."""
    return Parser(
        prog=f"python -m experiments.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def run_command(
    parser: argparse.ArgumentParser,
    run: Callable[[argparse.Namespace], int],
    argv: Sequence[str] | None,
) -> int:
    """Run a command and return its exit status: 2 for an error of the user, 130 when stopped.

    Args:
        parser: parser of the arguments.
        run: work of the command; returns its exit status.
        argv: arguments without the program's name; None for those of the process.
    """
    args = parser.parse_args(argv)
    try:
        return run(args)
    except (SemantiCodecError, OSError) as error:
        print_error(error)
        return USER_ERROR
    except KeyboardInterrupt:
        print("semanticodec: stopped", file=sys.stderr)
        return INTERRUPTED
