"""`semanticodec evaluate reconstruction`: how well codecs reconstruct the clips of a suite."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from semanticodec.cli.evaluate_options import (
    SOME_FAILED,
    add_metric_options,
    add_report_options,
    measuring_settings,
)
from semanticodec.cli.options import positive_int
from semanticodec.cli.report import DONE

if TYPE_CHECKING:
    from semanticodec.cli.options import Subparsers

DESCRIPTION = """\
Reconstruct every clip of a suite with every system and measure what is left of it: MEL, STFT,
ViSQOL, STOI, word errors and bits per second, per clip, per domain and on average, with bootstrap
95 % intervals and paired differences from a baseline.

  semanticodec evaluate reconstruction --suite clips/ --system model ground-truth --out results/
  semanticodec evaluate reconstruction --suite paper --system model,steps=50 opus@6 encodec@1.5 \\
      --out results/ --jobs 4

A suite is a folder of recordings with a sub-folder for each domain (speech, music, general ...)
and, for word errors, a transcripts.tsv (path, language, transcript); or `paper`: the 1 050 clips
that the paper's authors published, downloaded once.

Systems (any may end in ,name=LABEL):
  model[=FOLDER|HUB_ID]        this codec; ,rate=50,vocab=8192,quality=draft,steps=25,
                               guidance=2,interval=0.2-0.8,eta=0,sampler=ddim,seed=0,
                               dtype=bfloat16 choose its settings
  oracle, semantic-only        its two bounds: features that are not quantized; semantic codes only.
                               Both take what `model` takes
  ground-truth                 the clips themselves
  folder=FOLDER[,kbps=X]       recordings that somebody's codec made, named as the clips
  opus@6, speex[@0], codec2@700C|1200|3200             programs, where installed
  encodec@1.5|3|6[,path=FOLDER], dac[@BOOKS][,path=FOLDER]   models of transformers

The output folder gets results.json, clips.csv and report.md. A run that was stopped goes on with
the same command; systems can be added to its folder later. Exit status: 0 all clips of all systems
were measured; 1 some failed (the report names them; the same command tries them again); 2 the
command cannot be run as given.
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the evaluation's arguments."""
    parser = subparsers.add_parser(
        "reconstruction",
        help="quality of decoded audio (Table II)",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--suite", required=True, metavar="FOLDER|paper", help="the clips")
    parser.add_argument(
        "--system",
        required=True,
        nargs="+",
        action="extend",
        metavar="SPEC",
        help="what to evaluate; may be repeated",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="for results")
    _add_measuring(parser)
    _add_running(parser)


def _add_measuring(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("measuring")
    add_metric_options(group)
    group.add_argument(
        "--baseline",
        action="append",
        default=[],
        metavar="NAME",
        help="system that the others are compared with; may be repeated (default: the first)",
    )


def _add_running(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("running")
    group.add_argument(
        "--jobs",
        type=positive_int,
        metavar="N",
        help="processes, each of which holds a model (default: CPU cores / --threads; 1 if "
        "--device is not cpu)",
    )
    group.add_argument(
        "--threads", type=positive_int, default=1, metavar="N", help="of each process (default: 1)"
    )
    group.add_argument("--device", default="cpu", help="of models: cpu (default), cuda, auto ...")
    group.add_argument(
        "--save-audio",
        type=Path,
        metavar="FOLDER",
        help="keep what systems made, as FOLDER/SYSTEM/CLIP.flac",
    )
    group.add_argument(
        "--overwrite", action="store_true", help="forget what the output folder holds"
    )
    add_report_options(group)


def run(args: argparse.Namespace) -> int:
    """Measure, report, and return the exit status."""
    from semanticodec.evaluation import report
    from semanticodec.evaluation.reconstruction import evaluate, num_failures
    from semanticodec.evaluation.suites import open_suite

    settings = replace(
        measuring_settings(args),
        baselines=tuple(args.baseline),
        save_audio=args.save_audio,
        overwrite=args.overwrite,
    )
    suite = open_suite(args.suite, limit=args.limit, show_progress=settings.show_progress)
    results = evaluate(suite, args.system, args.out, settings)
    if args.json:
        print(json.dumps(results, ensure_ascii=False))
    elif not args.quiet:
        print(f"{report.table(results)}\n\nThe report is {args.out / 'report.md'}")
    failed = num_failures(results)
    if failed:
        where = args.out / "report.md"
        print(f"semanticodec: {failed} reconstructions failed; see {where}", file=sys.stderr)
    return SOME_FAILED if failed else DONE
