"""`semanticodec evaluate semantics`: how much meaning features carry (the paper's Table III)."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from semanticodec.cli.evaluate_options import SOME_FAILED, add_report_options
from semanticodec.cli.options import positive_int
from semanticodec.cli.progress import is_watched
from semanticodec.cli.report import DONE
from semanticodec.device import checked_device
from semanticodec.errors import ConfigError

if TYPE_CHECKING:
    from semanticodec.cli.options import Subparsers

DESCRIPTION = """\
Train a small classifier on features averaged over time, by the protocol of the HEAR benchmark,
and report its accuracy on every task. What is finished stays in OUT: the same command goes on.

  semanticodec evaluate semantics --tasks tasks/ --out probe/
  semanticodec evaluate semantics --tasks tasks/esc50-v2.0.0-full --out probe/ \\
      --features model:all model:semantic model=FOLDER,name=mine:all encodec@1.5:first log-mel

A task is a folder in the format of HEAR (task_metadata.json), or one with a labels.csv of the
columns path, label, and fold or split.
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the command's arguments."""
    parser = subparsers.add_parser(
        "semantics",
        help="accuracy of a small classifier on the features (Table III)",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--tasks",
        nargs="+",
        type=Path,
        required=True,
        metavar="DIR",
        help="task folders, or folders of such",
    )
    parser.add_argument(
        "--features",
        nargs="+",
        metavar="SPEC",
        help="model[=FOLDER][,rate=N][,vocab=N]:all|semantic|acoustic|continuous, log-mel, "
        "log-mel-stats, encodec@KBPS[,path=DIR]:all|first, dac[@BOOKS][,path=DIR]:all|first "
        "(default: the built-in model's all, semantic and continuous, and both log-mel)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="results and cache")
    parser.add_argument(
        "--test-folds",
        nargs="+",
        default=[],
        metavar="TASK=FOLD,..",
        help="folds to test on, or TASK=all (default: all, but of ESC-50 only folds 4 and 5, "
        "since the built-in model has heard sounds of the others)",
    )
    parser.add_argument("--seeds", type=positive_int, default=3, help="networks per fold")
    parser.add_argument(
        "--limit", type=positive_int, metavar="N", help="clips per class and fold, for a quick look"
    )
    group = parser.add_argument_group("running")
    group.add_argument("--threads", type=positive_int, metavar="N", help="CPU threads")
    group.add_argument("--device", default="cpu", help="of models: cpu (default), cuda, auto ...")
    add_report_options(group)
    parser.set_defaults(run=run)


def _test_folds(texts: list[str]) -> dict[str, tuple[str, ...]]:
    chosen: dict[str, tuple[str, ...]] = {}
    for text in texts:
        task, _, folds = text.partition("=")
        if not task or not all(folds.split(",")):
            raise ConfigError(f"--test-folds '{text}' is not understood; write TASK=FOLD,FOLD")
        chosen[task] = tuple(folds.split(","))
    return chosen


def run(args: argparse.Namespace) -> int:
    """Run the command; returns 1 when something failed that the others did not need."""
    test_folds = _test_folds(args.test_folds)

    import torch

    from semanticodec.evaluation.semantics.probe import ProbeSettings
    from semanticodec.evaluation.semantics.report import score_table, troubles
    from semanticodec.evaluation.semantics.run import (
        DEFAULT_FEATURES,
        SemanticsSettings,
        evaluate_semantics,
    )

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    results = evaluate_semantics(
        args.tasks,
        args.features or DEFAULT_FEATURES,
        out=args.out,
        settings=SemanticsSettings(
            probe=ProbeSettings(num_seeds=args.seeds),
            test_folds=test_folds,
            limit=args.limit,
            device=checked_device(args.device),
        ),
        show_progress=is_watched(args.quiet),
    )
    for trouble in troubles(results):
        print(f"semanticodec: warning: {trouble}", file=sys.stderr)
    if args.json:
        print(json.dumps(results))
    elif not args.quiet:
        print("\n".join(score_table(results)))
        print(f"\n{args.out / 'report.md'}")
    return SOME_FAILED if results["failures"] else DONE
