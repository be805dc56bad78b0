"""What the scripts that measure the real command share."""

import argparse
from pathlib import Path
from typing import Any


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add --model, --threads and --json."""
    parser.add_argument("--model", metavar="FOLDER|HUB_ID", help="default: the built-in model")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: all)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the numbers there")


def written_json(args: argparse.Namespace, benchmark: str, results: dict[str, Any]) -> None:
    """Write the numbers, with what they were measured on, if --json was given."""
    if args.json is None:
        return
    # Only here: it loads torch, and a process that starts others had better be light.
    from semanticodec.files import write_json
    from semanticodec.provenance import provenance

    settings = {"model": args.model or "built-in model", "threads": args.threads}
    report = {"benchmark": benchmark, **provenance(), "settings": settings, **results}
    write_json(args.json, report)
