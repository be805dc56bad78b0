"""`semanticodec evaluate semantics`: how much meaning features carry (the paper's Table III)."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from semanticodec.cli.evaluate_options import (
    SOME_FAILED,
    add_output,
    add_report_options,
)
from semanticodec.cli.old_specs import current_form_of_features, current_specs
from semanticodec.cli.options import add_device_option, checked_device, positive_int
from semanticodec.cli.report import DONE
from semanticodec.errors import ConfigError

HELP = "measure the accuracy of a small classifier on features (Table III)"
DESCRIPTION = """\
Train a small classifier on features averaged over time, by the protocol of the HEAR benchmark,
and report its accuracy on every task. An interrupted run resumes with the same command.

  semanticodec evaluate semantics --tasks tasks/ -o probe/
  semanticodec evaluate semantics --tasks tasks/esc50-v2.0.0-full -o probe/ --features \\
      model:layers=all model:path=FOLDER,name=mine,layers=semantic encodec:kbps=1.5 log-mel

Features are written as systems are, KIND or KIND:key=value,key=value:
  model                   this codec; layers=all|semantic|acoustic|continuous, path=FOLDER|HUB_ID,
                          rate=N, vocab=N
  encodec:kbps=X, dac     models of transformers; layers=all|first, books=N, path=FOLDER
  codes                   how often each of its codes occurs, for clusters;
                          layers=semantic|acoustic, and the other options of model
  log-mel, log-mel-stats  statistics over time of a filter bank

A task is a folder in the format of HEAR (task_metadata.json), or one with a labels.csv of the
columns path, label, and fold or split.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--tasks",
        nargs="+",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="folders of tasks, or folders that hold several",
    )
    parser.add_argument(
        "--features",
        nargs="+",
        metavar="SPEC",
        help="features to probe (default: all, semantic and continuous layers of the built-in "
        "model, and both of log-mel)",
    )
    add_output(parser)
    parser.add_argument(
        "--measures",
        nargs="+",
        choices=("probe", "clusters"),
        default=["probe"],
        help="what to measure: the accuracy of the classifier, or, without training, silhouette "
        "and purity of clusters, as --features codes:layers=semantic shows them (default: probe)",
    )
    parser.add_argument(
        "--test-folds",
        nargs="+",
        default=[],
        metavar="TASK=FOLD,..",
        help="folds to test on, or TASK=all (default: all, but of ESC-50 only folds 4 and 5, "
        "because the built-in model was trained on sounds of the other folds)",
    )
    parser.add_argument(
        "--seeds",
        type=positive_int,
        default=3,
        metavar="N",
        help="number of networks per fold (default: %(default)s)",
    )
    parser.add_argument(
        "--limit",
        type=positive_int,
        metavar="N",
        help="number of clips per class and fold, for a quick look",
    )
    group = parser.add_argument_group("running")
    group.add_argument("--threads", type=positive_int, metavar="N", help="number of CPU threads")
    add_device_option(group)
    add_report_options(group)


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
    from semanticodec.evaluation.semantics.report import cluster_table, problems, score_table
    from semanticodec.evaluation.semantics.run import (
        DEFAULT_FEATURES,
        SemanticsSettings,
        evaluate_semantics,
    )

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    results = evaluate_semantics(
        args.tasks,
        current_specs(args.features or DEFAULT_FEATURES, current_form_of_features),
        out=args.output,
        settings=SemanticsSettings(
            probe=ProbeSettings(num_seeds=args.seeds),
            test_folds=test_folds,
            limit=args.limit,
            device=checked_device(args.device),
            measures=tuple(args.measures),
        ),
        show_progress=not args.quiet,
    )
    for problem in problems(results):
        print(f"semanticodec: warning: {problem}", file=sys.stderr)
    if args.json:
        print(json.dumps(results))
    elif not args.quiet:
        shown = {"probe": score_table, "clusters": cluster_table}
        print("\n\n".join("\n".join(shown[name](results)) for name in args.measures))
        print(f"\n{args.output / 'report.md'}")
    return SOME_FAILED if results["failures"] else DONE
