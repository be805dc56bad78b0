"""`semanticodec mushra analyze`: what listeners said, screened and averaged."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from semanticodec.cli.evaluate_options import add_output, add_report_options
from semanticodec.cli.report import DONE

HELP = "screen and average what listeners said"
# The spelling of the recommendation.
ALIASES = ("analyse",)
DESCRIPTION = """\
Apply the post-screening of ITU-R BS.1534-3 to the ratings of a test and write means with 95 %
intervals, medians and quartiles, over all clips and by domain: results.json, report.md, scores.csv
and two figures (the paper's 3 and 4). Of an ABX test: right answers and the binomial test.

  semanticodec mushra analyze test/ -o results/
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("test", type=Path, metavar="FOLDER", help="test folder")
    add_output(parser)
    add_report_options(parser.add_argument_group("report"))
    parser.set_defaults(run_action=run)


def run(args: argparse.Namespace) -> int:
    """Analyze, report, and return the exit status."""
    from semanticodec.listening import report
    from semanticodec.listening.analysis import analyze
    from semanticodec.listening.figures import draw_figures
    from semanticodec.listening.plan import MUSHRA

    results = analyze(args.test, args.output)
    if results["mode"] == MUSHRA:
        draw_figures(results, args.output)
    if args.json:
        print(json.dumps(results, ensure_ascii=False))
    elif not args.quiet:
        print(f"{report.summary(results)}\n\nThe report is {args.output / 'report.md'}")
    return DONE
