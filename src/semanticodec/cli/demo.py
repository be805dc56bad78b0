"""`semanticodec demo`: a page in the browser to hear and see the codec."""

from __future__ import annotations

import argparse

from semanticodec.cli.options import add_model_options, load_codec, positive_int
from semanticodec.cli.report import DONE

HELP = "open a page in the browser, to hear and see the codec"
DESCRIPTION = """\
Open a page in the browser: record or upload a sound, hear the original and its reconstruction, see
both with the codes between them, compare all token rates, and keep the .smtc file.

  semanticodec demo
  semanticodec demo --model official-50 --port 8000 --max-seconds 30

The page works without a network and answers to this computer only; --host 0.0.0.0 lets others in.
Ctrl-C stops it. Needs: pip install 'semanticodec[demo]'.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    group = parser.add_argument_group("page")
    group.add_argument(
        "--host", default="127.0.0.1", help="address to listen at (default: %(default)s)"
    )
    group.add_argument(
        "--port",
        type=positive_int,
        metavar="N",
        help="port to listen at (default: the first free one from 7860 on)",
    )
    group.add_argument(
        "--max-seconds",
        type=positive_int,
        default=120,
        metavar="N",
        help="longest sound that the page takes, in seconds (default: %(default)s)",
    )
    group.add_argument(
        "--no-browser", action="store_true", help="print the page's address, open no browser"
    )
    add_model_options(parser, choose_rate=False)


def run(args: argparse.Namespace) -> int:
    """Serve the page until the command is stopped."""
    from semanticodec.pages.demo.privacy import report_nothing

    report_nothing()  # before anything imports the Hub's client

    from semanticodec.checkpoints.pretrained import model_folder
    from semanticodec.pages.codecs import Codecs, offered_settings
    from semanticodec.pages.demo.serve import served, wait_forever
    from semanticodec.pages.demo.uploads import UploadLimits
    from semanticodec.pages.demo.visits import Visits

    codecs = Codecs(
        offered_settings(model_folder(args.model)), lambda *setting: load_codec(args, *setting)
    )
    visits = Visits(codecs=codecs, limits=UploadLimits(max_seconds=args.max_seconds))
    with served(visits, args.host, args.port, is_shown=not args.no_browser) as address:
        print(f"{address} (Ctrl-C stops the page)", flush=True)
        wait_forever()
    return DONE
