"""`semanticodec mushra export`: a test for webMUSHRA."""

from __future__ import annotations

import argparse
from pathlib import Path

from semanticodec.cli.evaluate_options import add_output
from semanticodec.cli.report import DONE
from semanticodec.errors import ConfigError
from semanticodec.listening.plan import sound_name

HELP = "write a test as a configuration of webMUSHRA"
DESCRIPTION = """\
Write a test folder as webMUSHRA takes it: OUT/configs/NAME.yaml and the sounds that it names. Copy
OUT/configs into webMUSHRA's folder and open ?config=NAME.yaml.

  semanticodec mushra export test/ -o webMUSHRA/
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("test", type=Path, metavar="FOLDER", help="test folder")
    add_output(parser)
    parser.add_argument(
        "--name", help="name of the configuration (default: that of the test folder)"
    )
    parser.set_defaults(run_action=run)


def run(args: argparse.Namespace) -> int:
    """Write the configuration and return the exit status."""
    from semanticodec.listening.webmushra import export

    name = args.name or args.test.resolve().name
    if sound_name(name) != name:
        raise ConfigError(f"--name is '{name}'; use letters, digits, - and _")
    print(export(args.test, args.output, name))
    return DONE
