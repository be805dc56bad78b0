"""`semanticodec evaluate features`: how much of a patch its features and codes keep."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from semanticodec.cli.evaluate_options import add_report_options
from semanticodec.cli.options import positive_int
from semanticodec.cli.progress import is_watched
from semanticodec.cli.report import DONE

HELP = "how much of the energies and of their detail features and codes keep"
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
    source.add_argument("--model", metavar="FOLDER", help="a codec (default: the built-in model)")
    source.add_argument(
        "--audiomae", type=Path, metavar="EXPORT", help="an exported AudioMAE, without codes"
    )
    parser.add_argument("--rate", type=positive_int, metavar="N", help="tokens/s of the model")
    parser.add_argument("--fit", required=True, metavar="DIR", help="recordings to fit maps on")
    parser.add_argument("--test", required=True, metavar="DIR", help="recordings to test them on")
    parser.add_argument(
        "--fit-limit",
        type=positive_int,
        default=120,
        metavar="N",
        help="fit on N clips per domain (120)",
    )
    parser.add_argument(
        "--limit", type=positive_int, metavar="N", help="test on the first N clips per domain"
    )
    parser.add_argument(
        "--loud-only", action="store_true", help="leave out patches softer than their clip's mean"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the results as JSON")
    parser.add_argument("--threads", type=positive_int, metavar="N", help="CPU threads")
    add_report_options(parser.add_argument_group("report"))
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
        representations = Representations.of_model(args.model, args.rate)
    else:
        representations = Representations.of_audiomae(args.audiomae)
    results = evaluate_features(
        representations,
        fit=spread_clips(open_suite(args.fit), args.fit_limit),
        test=open_suite(args.test, limit=args.limit),
        settings=FeatureSettings(loud_only=args.loud_only),
        show_progress=is_watched(args.quiet),
    )
    if args.out is not None:
        write_json(args.out, results)
    if args.json:
        print(json.dumps(results))
    elif not args.quiet:
        print("\n".join(feature_table(results)))
    return DONE
