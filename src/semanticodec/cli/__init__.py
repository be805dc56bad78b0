"""The command line: `semanticodec COMMAND`; `COMMANDS` lists them.

One file per command; each has `add_parser(subparsers)` and `run(args) -> exit status`. Nothing here
imports torch at the top: help and `info` answer at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from semanticodec import __version__
from semanticodec.cli import (
    benchmark,
    convert,
    decode,
    encode,
    evaluate,
    export,
    info,
    roundtrip,
    train,
)
from semanticodec.cli.options import Parser
from semanticodec.cli.report import USER_ERROR, print_error
from semanticodec.errors import SemantiCodecError

INTERRUPTED = 130
COMMANDS = {
    "encode": encode,
    "decode": decode,
    "roundtrip": roundtrip,
    "info": info,
    "convert": convert,
    "train": train,
    "evaluate": evaluate,
    "benchmark": benchmark,
    "export": export,
}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of every command."""
    parser = Parser(
        prog="semanticodec",
        description="A neural codec for speech, music and sound at 25 to 100 tokens per second.",
        epilog="`semanticodec COMMAND --help` explains a command.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS.values():
        command.add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 2 an error of the user, 130 stopped.

    Args:
        argv: arguments without the program's name; default those of the process.
    """
    return run_command(build_parser(), lambda args: COMMANDS[args.command].run(args), argv)


def run_command(
    parser: argparse.ArgumentParser,
    run: Callable[[argparse.Namespace], int],
    argv: Sequence[str] | None = None,
) -> int:
    """Run a program's command and return its exit status; errors of the user are one line.

    Args:
        parser: parser of the program's arguments.
        run: work of the command; returns its exit status.
        argv: arguments without the program's name; default those of the process.
    """
    args = parser.parse_args(argv)
    try:
        status = run(args)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # The reader of our output has gone (`| head`). Python would complain at exit otherwise.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (SemantiCodecError, OSError) as error:
        print_error(error)
        return USER_ERROR
    except KeyboardInterrupt:
        print("semanticodec: stopped", file=sys.stderr)
        return INTERRUPTED
