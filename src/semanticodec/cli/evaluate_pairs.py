"""`semanticodec evaluate pairs`: originals and reconstructions for other measuring programs."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys

from semanticodec.cli.evaluate_options import SOME_FAILED, add_output, add_report_options
from semanticodec.cli.options import add_device_option, checked_device, positive_int
from semanticodec.cli.report import DONE

HELP = "write pairs of originals and reconstructions for other measuring programs (VERSA)"
DESCRIPTION = """\
Reconstruct every clip of a suite with every system and write what other people's measuring
programs take: OUT/reference/ID.wav and OUT/SYSTEM/ID.wav, 16 kHz mono, with a wav.scp (Kaldi's
list) in each folder and, where the suite has transcripts, OUT/reference/text. With VERSA:

  semanticodec evaluate pairs --suite clips/ --system model opus:kbps=6 -o pairs/
  python versa/bin/scorer.py --gt pairs/reference/wav.scp --pred pairs/model/wav.scp --io kaldi \\
      --score_config egs/demo/codec.yaml --output_file scores.jsonl

Systems are written as for `semanticodec evaluate reconstruction`. An interrupted run resumes with
the same command. Exit status: 0 all pairs are there; 1 some failed (they are named); 2 the command
cannot be run as given.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--suite", required=True, metavar="FOLDER", help="folder of recordings to reconstruct"
    )
    parser.add_argument(
        "--system",
        required=True,
        nargs="+",
        action="extend",
        metavar="SPEC",
        help="systems that reconstruct them; may be repeated",
    )
    add_output(parser)
    parser.add_argument(
        "--limit", type=positive_int, metavar="N", help="use only the first N clips of each domain"
    )
    group = parser.add_argument_group("running")
    group.add_argument(
        "--threads",
        type=positive_int,
        default=1,
        metavar="N",
        help="number of CPU threads (default: %(default)s)",
    )
    add_device_option(group)
    group.add_argument(
        "--overwrite", action="store_true", help="reconstruct again what is there already"
    )
    add_report_options(group)


def run(args: argparse.Namespace) -> int:
    """Write the pairs, report, and return the exit status."""
    import torch

    from semanticodec.evaluation.pairs import write_pairs
    from semanticodec.evaluation.suites import open_suite

    torch.set_num_threads(args.threads)
    pairs = write_pairs(
        open_suite(args.suite, limit=args.limit),
        args.system,
        args.output,
        device=checked_device(args.device),
        threads=args.threads,
        overwrite=args.overwrite,
        show_progress=not args.quiet,
    )
    if args.json:
        print(json.dumps(dataclasses.asdict(pairs), ensure_ascii=False))
    elif not args.quiet:
        for name, number in pairs.num_clips.items():
            print(f"{number} clips  {args.output / pairs.folders[name]}  ({name})")
    for failure in pairs.failures:
        print(f"semanticodec: {failure}", file=sys.stderr)
    return SOME_FAILED if pairs.failures else DONE
