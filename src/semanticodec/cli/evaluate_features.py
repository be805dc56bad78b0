"""`semanticodec evaluate features`: how much of a patch its features and codes keep."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from semanticodec.cli.evaluate_options import add_report_options
from semanticodec.cli.options import positive_int, renamed
from semanticodec.cli.report import DONE

HELP = "measure how much of a patch's energies and their detail features and codes keep"
DESCRIPTION = """\
Fit linear maps from what the encoder makes of a patch to the patch, and report how much they find
again on other recordings: of all log energies, and of their detail (bins minus their smoothing
over five: the harmonics of voices), per band of 16 bins. From the patch embedding over every block
to the codes, so that one table shows where detail is lost. A minute on one thread.

  semanticodec evaluate features --fit train/speech --test eval/speech
  semanticodec evaluate features --audiomae RUN/export --fit train/speech --test eval/speech
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--model", metavar="FOLDER|HUB_ID", help="model to measure (default: the built-in model)"
    )
    source.add_argument(
        "--audiomae",
        type=Path,
        metavar="EXPORT",
        help="export folder of an AudioMAE, which has no codes",
    )
    rate = parser.add_argument(
        "--token-rate",
        type=positive_int,
        metavar="N",
        help="tokens per second: 25, 50 or 100 (default: the model's default)",
    )
    renamed(parser, rate, "--rate")
    parser.add_argument(
        "--fit", required=True, metavar="FOLDER", help="folder of recordings to fit the maps on"
    )
    parser.add_argument(
        "--test", required=True, metavar="FOLDER", help="folder of recordings to test the maps on"
    )
    parser.add_argument(
        "--fit-limit",
        type=positive_int,
        default=120,
        metavar="N",
        help="number of clips per domain to fit the maps on (default: %(default)s)",
    )
    parser.add_argument(
        "--limit", type=positive_int, metavar="N", help="use only the first N clips of each domain"
    )
    parser.add_argument(
        "--loud-only", action="store_true", help="leave out patches softer than their clip's mean"
    )
    output = parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="file for the results, as JSON"
    )
    renamed(parser, output, "--out")
    group = parser.add_argument_group("running")
    group.add_argument("--threads", type=positive_int, metavar="N", help="number of CPU threads")
    add_report_options(group)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    import torch

    from semanticodec.evaluation.features.report import feature_table
    from semanticodec.evaluation.features.representations import Representations
    from semanticodec.evaluation.features.run import (
        FeatureSettings,
        evaluate_features,
        spread_clips,
    )
    from semanticodec.evaluation.suites import open_suite
    from semanticodec.files import write_json

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    if args.audiomae is None:
        representations = Representations.of_model(args.model, args.token_rate)
    else:
        representations = Representations.of_audiomae(args.audiomae)
    results = evaluate_features(
        representations,
        fit=spread_clips(open_suite(args.fit), args.fit_limit),
        test=open_suite(args.test, limit=args.limit),
        settings=FeatureSettings(loud_only=args.loud_only),
        show_progress=not args.quiet,
    )
    if args.output is not None:
        write_json(args.output, results)
    if args.json:
        print(json.dumps(results))
    elif not args.quiet:
        print("\n".join(feature_table(results)))
    return DONE
