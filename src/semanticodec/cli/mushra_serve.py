"""`semanticodec mushra serve`: the test as a web page."""

from __future__ import annotations

import argparse
from pathlib import Path

from semanticodec.cli.address import add_address_options, listen, url
from semanticodec.cli.report import DONE

HELP = "hold a test: a web page for listeners"
DESCRIPTION = """\
Serve a test folder as a web page. Ratings are in FOLDER/ratings.sqlite3 before the page says that
they are saved; the server may be stopped and started at any time, and listeners go on where they
were. Ctrl-C stops it.

  semanticodec mushra serve test/                       on this machine only
  semanticodec mushra serve test/ --host 0.0.0.0        for the whole network, without encryption
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("test", type=Path, metavar="FOLDER", help="test folder")
    add_address_options(parser)
    parser.set_defaults(run_action=run)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal comes, and return the exit status."""
    from semanticodec.listening.server import serve
    from semanticodec.listening.session import Test

    test = Test.open(args.test)
    with listen(args) as listening:
        print(f"{test.plan.title}: {url(listening, args)} (Ctrl-C stops)", flush=True)
        serve(test, listening)
    return DONE
