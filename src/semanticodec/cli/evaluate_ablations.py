"""`semanticodec evaluate ablations NAME`: the paper's Tables IV to VII and Figures 6 and 7."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from semanticodec.cli.evaluate_options import (
    SOME_FAILED,
    add_metric_options,
    add_report_options,
    measuring_settings,
)
from semanticodec.cli.options import checked_device, named_folders, positive_int
from semanticodec.cli.progress import is_watched
from semanticodec.cli.report import DONE
from semanticodec.errors import ConfigError

if TYPE_CHECKING:
    from semanticodec.cli.options import Subparsers
    from semanticodec.evaluation.ablations.run import Ablation
    from semanticodec.evaluation.ablations.training import Training
    from semanticodec.evaluation.ablations.variant import Outcome

TRAINED = ("variable-vocabulary", "acoustic-codebook", "lstm-direction", "learnable-semantic")
_TRAINING = ("data", "box", "recipe", "steps", "token_rate")
_QUALITY = ("suite", "limit", "metrics", "recogniser")
# The options of each ablation, beside those that all have.
OPTIONS: dict[str, tuple[str, ...]] = {
    "guidance-steps": ("model", "token_rate", "guidance", "sampling_steps", *_QUALITY),
    "vocabulary": ("model", "token_rate", *_QUALITY, "tasks"),
    **dict.fromkeys(TRAINED, (*_TRAINING, *_QUALITY, "tasks")),
    "centroids": ("data", "box", "recipe", "token_rate", "tasks"),
}
# What must be given: one of each group.
_MEASURES = ("suite", "tasks")
REQUIRED: dict[str, tuple[tuple[str, ...], ...]] = {
    "guidance-steps": (("suite",),),
    "vocabulary": (_MEASURES,),
    **dict.fromkeys(TRAINED, (("data",), ("box",), _MEASURES)),
    "centroids": (("data",), ("box",), ("tasks",)),
}
DESCRIPTION = """\
Compare settings of one model, or variants of it that are trained for the comparison.

Settings of any model, nothing is trained:
  guidance-steps        guidance scale x sampling steps (Figure 6)
  vocabulary            semantic vocabulary against bitrate, ViSQOL, WER (Figure 7)

Variants, trained into OUT/VARIANT_RATE with --data and the frozen boxes of --box:
  variable-vocabulary   the largest semantic vocabulary, or one of several per batch (Table IV)
  centroids             number of k-means centroids against semantic accuracy (Table V)
  acoustic-codebook     size of the acoustic codebook (Table VI)
  lstm-direction        bidirectional or unidirectional acoustic encoder (Table VI)
  learnable-semantic    k-means centroids, or a codebook learned with the codec (Table VII)

  semanticodec evaluate ablations guidance-steps --suite clips/ --out grid/ --guidance 1,2,3
  semanticodec evaluate ablations lstm-direction --data train/ --suite clips/ --tasks probe/ \\
      --box audiomae=A/export --box vae=B/export --box vocoder=C/export --out lstm/

OUT gets results.json, results.csv and report.md. The same command goes on with a run that was
stopped; what is finished is not done again. Exit status: 0; 1 where a variant or clip failed (the
report names it, the others are there); 2 where the command cannot be run as given.
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the evaluation's arguments."""
    parser = subparsers.add_parser(
        "ablations",
        help="variants and settings of the codec (Tables IV to VII, Figures 6 and 7)",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=OPTIONS, metavar="NAME", help="one of the above")
    parser.add_argument("--out", type=Path, required=True, metavar="OUT", help="for results")
    parser.add_argument(
        "--token-rate",
        type=int,
        choices=(100, 50, 25),
        help="tokens per second (default: the model's own; all there are for vocabulary and "
        "variable-vocabulary; else that of the codebook box, or the paper's 50)",
    )
    _add_sweeping(parser)
    _add_training(parser)
    _add_measuring(parser)
    _add_running(parser)


def _add_sweeping(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("settings of a model")
    group.add_argument(
        "--model", metavar="FOLDER|HUB_ID", help="the model (default: the built-in one)"
    )
    group.add_argument(
        "--guidance", type=_scales, metavar="W,...", help="guidance scales (default: 1,2,3,5)"
    )
    group.add_argument(
        "--sampling-steps", type=_counts, metavar="N,...", help="(default: 4,10,25,50)"
    )


def _add_training(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("trained variants")
    group.add_argument(
        "--data", nargs="+", type=Path, metavar="SOURCE", help="training audio, as `train` takes it"
    )
    group.add_argument(
        "--box",
        action="append",
        metavar="NAME=FOLDER",
        help="exports of audiomae, vae and vocoder; of codebook, which is clustered from --data "
        "where it is left out or of another token rate",
    )
    group.add_argument(
        "--recipe",
        metavar="SIZE",
        help="tiny (seconds, for tests), small (minutes on a CPU; default) or paper (GPUs)",
    )
    group.add_argument(
        "--steps", type=positive_int, metavar="N", help="of each variant (default: the recipe's)"
    )


def _add_measuring(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("measuring")
    group.add_argument(
        "--suite", metavar="FOLDER|paper", help="clips to reconstruct, as `reconstruction` has them"
    )
    add_metric_options(group)
    group.add_argument(
        "--tasks",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="tasks of the semantic probe, as `semantics` has them, for the first layer's accuracy",
    )


def _add_running(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("running")
    group.add_argument(
        "--jobs",
        type=positive_int,
        metavar="N",
        help="processes that measure (default: CPU cores / --threads)",
    )
    group.add_argument(
        "--threads",
        type=positive_int,
        metavar="N",
        help="CPU threads of the training (default: all) and of each process that measures "
        "(default: 1)",
    )
    group.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1 ...")
    add_report_options(group)


def _scales(text: str) -> tuple[float, ...]:
    try:
        scales = tuple(float(part) for part in text.split(","))
    except ValueError:
        scales = ()
    if not scales or not all(math.isfinite(scale) and scale >= 0 for scale in scales):
        raise argparse.ArgumentTypeError(f"'{text}' is no list of numbers from 0, such as 1,2.5,4")
    return scales


def _counts(text: str) -> tuple[int, ...]:
    return tuple(positive_int(part) for part in text.split(","))


def _check_options(args: argparse.Namespace) -> None:
    """Refuse options that the ablation has no use for: they would be left out unseen."""
    known = {option for options in OPTIONS.values() for option in options}
    given = {option for option in known if getattr(args, option) is not None}
    for option in sorted(given - set(OPTIONS[args.name])):
        raise ConfigError(
            f"the ablation {args.name} has no use for {_flag(option)}; it takes "
            f"{', '.join(map(_flag, OPTIONS[args.name]))}"
        )
    for options in REQUIRED[args.name]:
        if not given.intersection(options):
            needed = " or ".join(map(_flag, options))
            raise ConfigError(f"the ablation {args.name} needs {needed}")


def _flag(option: str) -> str:
    return f"--{option.replace('_', '-')}"


def run(args: argparse.Namespace) -> int:
    """Train and measure, report, and return the exit status."""
    _check_options(args)
    from semanticodec.evaluation.results_tables import ablation_table

    results = _ablation(args).run()
    if args.json:
        print(json.dumps(results, ensure_ascii=False))
    elif not args.quiet:
        print("\n".join([*ablation_table(results), "", f"The report is {args.out / 'report.md'}"]))
    for failure in results["failures"]:
        print(f"semanticodec: failed: {failure['label']}: {failure['error']}", file=sys.stderr)
    num_clips = sum(len(row.get("failures", ())) for row in results["rows"])
    if num_clips:
        print(
            f"semanticodec: {num_clips} reconstructions failed; see results.json", file=sys.stderr
        )
    return SOME_FAILED if results["failures"] or num_clips else DONE


def _ablation(args: argparse.Namespace) -> Ablation:
    from semanticodec.evaluation.ablations.run import Ablation
    from semanticodec.evaluation.suites import open_suite
    from semanticodec.evaluation.systems.base import folder_name
    from semanticodec.evaluation.systems.model import BUILT_IN

    suite = None
    if args.suite is not None:
        is_shown = is_watched(args.quiet)
        suite = open_suite(args.suite, limit=args.limit, show_progress=is_shown)
    if "model" in OPTIONS[args.name]:
        training = None
        origin = {"model": BUILT_IN if args.model is None else folder_name(args.model)}
    else:
        training = _training(args)
        origin = training.describe()
    return Ablation(
        name=args.name,
        out=args.out,
        origin=origin,
        make_variants=lambda: _variants(args, training),
        suite=suite,
        reconstruction=measuring_settings(args),
        tasks=tuple(args.tasks or ()),
    )


def _training(args: argparse.Namespace) -> Training:
    from semanticodec.evaluation.ablations.training import Training

    return Training(
        out=args.out,
        data=tuple(args.data),
        boxes=named_folders("--box", args.box),
        size=args.recipe or "small",
        steps=args.steps,
        device=checked_device(args.device),
        num_threads=args.threads,
        show_progress=is_watched(args.quiet),
    )


def _variants(args: argparse.Namespace, training: Training | None) -> Outcome:
    if training is None:
        from semanticodec.evaluation.ablations import sweeps

        if args.name == "vocabulary":
            return sweeps.vocabulary(args.model, token_rate=args.token_rate)
        return sweeps.guidance_steps(
            args.model,
            token_rate=args.token_rate,
            guidances=args.guidance or sweeps.DEFAULT_GUIDANCES,
            steps=args.sampling_steps or sweeps.DEFAULT_STEPS,
        )
    from semanticodec.evaluation.ablations.trained import centroid_variants, trained_variants
    from semanticodec.recipes.ablations import PAPER_RATE, TOKEN_RATES

    if args.token_rate is not None:
        rates = (args.token_rate,)
    elif args.name == "variable-vocabulary":
        rates = TOKEN_RATES
    else:
        rates = (training.given_rate() or PAPER_RATE,)

    def tell(line: str) -> None:
        if not args.quiet:
            print(f"semanticodec: {line}", file=sys.stderr)

    if args.name == "centroids":
        return centroid_variants(training, rates, tell=tell)
    return trained_variants(args.name, training, rates, tell=tell)
