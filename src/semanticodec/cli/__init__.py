"""The command line: `semanticodec COMMAND`; `COMMANDS` lists them.

One file per command; each has HELP, DESCRIPTION, `add_arguments(parser)` and `run(args) -> exit
status`. Nothing here imports torch at the top: help and `info` answer at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from semanticodec import __version__
from semanticodec.cli import (
    benchmark,
    convert,
    decode,
    demo,
    encode,
    evaluate,
    examples,
    explain,
    export,
    info,
    mushra,
    roundtrip,
    serve,
    tokenize,
    train,
)
from semanticodec.cli.options import Parser, add_commands
from semanticodec.cli.report import DONE, USER_ERROR, print_error
from semanticodec.cli.signals import Terminated, termination_raises
from semanticodec.cli.standard_streams import drop_unwritten, prepare_streams, print_to_stderr
from semanticodec.errors import SemantiCodecError

INTERRUPTED = 130
STOPPED = "semanticodec: stopped"
COMMANDS = {
    "encode": encode,
    "decode": decode,
    "roundtrip": roundtrip,
    "tokenize": tokenize,
    "info": info,
    "convert": convert,
    "train": train,
    "evaluate": evaluate,
    "serve": serve,
    "mushra": mushra,
    "benchmark": benchmark,
    "export": export,
    "demo": demo,
    "examples": examples,
    "explain": explain,
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
    add_commands(subparsers, COMMANDS)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    Args:
        argv: arguments without the program's name; default those of the process.
    Returns:
        0 where all is done, 2 after an error of the user, 130 and 128 + n when stopped by Ctrl-C or
        signal n; `evaluate` has 1 for runs of which a part failed.
    """
    words = roundtrip.with_plot_output(sys.argv[1:] if argv is None else argv)
    return run_command(build_parser(), lambda args: COMMANDS[args.command].run(args), words)


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
    Returns:
        See `main`.
    """
    prepare_streams()
    try:
        return _run(parser, run, argv)
    finally:
        drop_unwritten()


def _run(
    parser: argparse.ArgumentParser,
    run: Callable[[argparse.Namespace], int],
    argv: Sequence[str] | None,
) -> int:
    try:
        args = parser.parse_args(argv)
        with termination_raises():
            status = run(args)
            sys.stdout.flush()
            return status
    except BrokenPipeError:
        return DONE  # the reader of our output has gone (`| head`)
    except (SemantiCodecError, OSError) as error:
        _end_progress()
        print_error(error)
        return USER_ERROR
    except KeyboardInterrupt:
        _end_progress()
        print_to_stderr(STOPPED)
        return INTERRUPTED
    except Terminated as stopped:
        _end_progress()
        print_to_stderr(STOPPED)
        return int(stopped.code or 0)


def _end_progress() -> None:
    """Take progress away, so that the last words have a line of their own."""
    from semanticodec.progress import ProgressBar

    ProgressBar.close_all()
