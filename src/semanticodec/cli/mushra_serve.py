"""`semanticodec mushra serve`: the test as a web page."""

from __future__ import annotations

import argparse
from pathlib import Path

from semanticodec.cli.report import DONE
from semanticodec.errors import ConfigError

HELP = "hold a test: a web page for listeners"
DESCRIPTION = """\
Serve a test folder as a web page. Ratings are in FOLDER/ratings.sqlite3 before the page says that
they are saved; the server may be stopped and started at any time, and listeners go on where they
were. Ctrl-C stops it.

  semanticodec mushra serve test/                       on this machine only
  semanticodec mushra serve test/ --host 0.0.0.0        for the whole network, without encryption
"""
MAX_PORT = 65535


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("test", type=Path, metavar="FOLDER", help="test folder")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address to listen on (default: %(default)s)",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=8000,
        metavar="N",
        help="port to listen on; 0 for any that is free (default: %(default)s)",
    )
    parser.set_defaults(run_action=run)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal comes, and return the exit status."""
    from semanticodec.listening.server import listen, serve
    from semanticodec.listening.session import Test

    if not 0 <= args.port <= MAX_PORT:
        raise ConfigError(f"--port is {args.port}; give a number from 0 to {MAX_PORT}")
    test = Test.open(args.test)
    try:
        listening = listen(args.host, args.port)
    except OSError as error:
        raise ConfigError(
            f"{args.host}:{args.port} cannot be used ({error.strerror or error}); give another "
            "--port or --host"
        ) from error
    with listening:
        port = listening.getsockname()[1]
        host = f"[{args.host}]" if ":" in args.host else args.host
        print(f"{test.plan.title}: http://{host}:{port}/ (Ctrl-C stops)", flush=True)
        serve(test, listening)
    return DONE
