"""What the scripts that measure the real command share."""

import argparse
from pathlib import Path
from typing import Any

from semanticodec.cli.options import renamed


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add --model, --threads and --output."""
    parser.add_argument(
        "--model",
        metavar="FOLDER|HUB_ID",
        help="model folder or Hub repository (default: the built-in model)",
    )
    parser.add_argument(
        "--threads", type=int, metavar="N", help="number of CPU threads (default: all)"
    )
    output = parser.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="file for the numbers, as JSON"
    )
    renamed(parser, output, "--json")


def written_json(args: argparse.Namespace, benchmark: str, results: dict[str, Any]) -> None:
    """Write the numbers, with what they were measured on, if --output was given."""
    if args.output is None:
        return
    # Only here: it loads torch, and a process that starts others had better be light.
    from semanticodec.files import write_json
    from semanticodec.provenance import provenance

    settings = {"model": args.model or "built-in model", "threads": args.threads}
    report = {"benchmark": benchmark, **provenance(), "settings": settings, **results}
    write_json(args.output, report)
