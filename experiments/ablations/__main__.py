"""`python -m experiments.ablations NAME`: the paper's Tables IV to VII and Figures 6 and 7."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.ablations import sweeps
from experiments.ablations.recipes import PAPER_RATE
from experiments.ablations.run import Ablation
from experiments.ablations.trained import centroid_variants, trained_variants
from experiments.ablations.training import Training
from experiments.ablations.variant import Outcome
from experiments.command import experiment_parser
from experiments.results.tables import ablation_table
from semanticodec.cli import run_command
from semanticodec.cli.evaluate_options import (
    SOME_FAILED,
    add_metric_options,
    add_report_options,
    measuring_settings,
)
from semanticodec.cli.options import named_folders, positive_int, renamed
from semanticodec.cli.report import DONE
from semanticodec.device import checked_device
from semanticodec.errors import ConfigError
from semanticodec.evaluation.suites import open_suite
from semanticodec.evaluation.systems.model import BUILT_IN
from semanticodec.evaluation.systems.specs import folder_name
from semanticodec.token_format import TOKEN_RATES

TRAINED = ("variable-vocabulary", "acoustic-codebook", "lstm-direction", "learnable-semantic")
_TRAINING = ("data", "module", "recipe", "steps", "token_rate")
_QUALITY = ("suite", "limit", "metrics", "recognizer")
# The options of each ablation, beside those that all have.
OPTIONS: dict[str, tuple[str, ...]] = {
    "guidance-steps": ("model", "token_rate", "guidance_scale", "num_steps", *_QUALITY),
    "vocabulary": ("model", "token_rate", *_QUALITY, "tasks"),
    **dict.fromkeys(TRAINED, (*_TRAINING, *_QUALITY, "tasks")),
    "centroids": ("data", "module", "recipe", "token_rate", "tasks"),
}
# What must be given: one of each group.
_MEASURES = ("suite", "tasks")
REQUIRED: dict[str, tuple[tuple[str, ...], ...]] = {
    "guidance-steps": (("suite",),),
    "vocabulary": (_MEASURES,),
    **dict.fromkeys(TRAINED, (("data",), ("module",), _MEASURES)),
    "centroids": (("data",), ("module",), ("tasks",)),
}
DESCRIPTION = """\
Compare settings of one model, or variants of it that are trained for the comparison.

Settings of any model, nothing is trained:
  guidance-steps        guidance scale x sampling steps (Figure 6)
  vocabulary            semantic vocabulary against bitrate, ViSQOL, WER (Figure 7)

Variants, trained into OUT/VARIANT_RATE with --data and the frozen modules of --module:
  variable-vocabulary   the largest semantic vocabulary, or one of several per batch (Table IV)
  centroids             number of k-means centroids against semantic accuracy (Table V)
  acoustic-codebook     size of the acoustic codebook (Table VI)
  lstm-direction        bidirectional or unidirectional acoustic encoder (Table VI)
  learnable-semantic    k-means centroids, or a codebook learned with the codec (Table VII)

  python -m experiments.ablations guidance-steps --suite clips/ -o grid/ --guidance-scale 1,2,3
  python -m experiments.ablations lstm-direction --data train/ --suite clips/ --tasks probe/ \\
      --module audiomae=A/export --module vae=B/export --module vocoder=C/export -o lstm/

OUT gets results.json, results.csv and report.md. The same command resumes an interrupted run; what
is finished is not done again. Exit status: 0; 1 where a variant or clip failed (the report names
it, the others are there); 2 where the command cannot be run as given.
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    parser = experiment_parser("ablations", DESCRIPTION)
    parser.add_argument(
        "name", choices=OPTIONS, metavar="NAME", help="name of the comparison, one of those above"
    )
    output = parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="output directory"
    )
    renamed(parser, output, "--out")
    parser.add_argument(
        "--token-rate",
        type=int,
        choices=(100, 50, 25),
        help="tokens per second (default: the model's own; all there are for vocabulary and "
        "variable-vocabulary; else that of the codebook module, or the paper's 50)",
    )
    _add_sweeping(parser)
    _add_training(parser)
    _add_measuring(parser)
    _add_running(parser)
    return parser


def _add_sweeping(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("settings of a model")
    group.add_argument(
        "--model",
        metavar="FOLDER|HUB_ID",
        help="model folder or Hub repository (default: the built-in model)",
    )
    scales = group.add_argument(
        "--guidance-scale",
        type=_scales,
        metavar="W,...",
        help="classifier-free guidance scales (default: 1,2,3,5)",
    )
    renamed(group, scales, "--guidance")
    num_steps = group.add_argument(
        "--num-steps",
        type=_counts,
        metavar="N,...",
        help="numbers of sampling steps (default: 4,10,25,50)",
    )
    renamed(group, num_steps, "--sampling-steps")


def _add_training(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("trained variants")
    group.add_argument(
        "--data", nargs="+", type=Path, metavar="SOURCE", help="training audio, as `train` takes it"
    )
    modules = group.add_argument(
        "--module",
        action="append",
        metavar="NAME=FOLDER",
        help="export folder of audiomae, vae, vocoder, or codebook, which is clustered from --data "
        "where it is left out or of another token rate",
    )
    renamed(group, modules, "--box")
    group.add_argument(
        "--recipe",
        metavar="SIZE",
        help="size of the recipes: tiny (seconds, for tests), small (minutes on a CPU; default) "
        "or paper (GPUs)",
    )
    group.add_argument(
        "--steps",
        type=positive_int,
        metavar="N",
        help="number of optimizer steps of each variant (default: the recipe's)",
    )


def _add_measuring(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("measuring")
    group.add_argument(
        "--suite",
        metavar="FOLDER",
        help="folder of clips to reconstruct, as `evaluate reconstruction` takes them",
    )
    add_metric_options(group)
    group.add_argument(
        "--tasks",
        nargs="+",
        type=Path,
        metavar="FOLDER",
        help="folders of tasks of the semantic probe, as `evaluate semantics` takes them, for the "
        "first layer's accuracy",
    )


def _add_running(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("running")
    group.add_argument(
        "--jobs",
        type=positive_int,
        metavar="N",
        help="number of processes that measure (default: CPU cores / --threads)",
    )
    group.add_argument(
        "--threads",
        type=positive_int,
        metavar="N",
        help="number of CPU threads of the training (default: all) and of each process that "
        "measures (default: 1)",
    )
    group.add_argument(
        "--device",
        default="auto",
        metavar="DEVICE",
        help="cpu, cuda, cuda:1, or auto for a GPU where there is one (default: %(default)s)",
    )
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
    results = _ablation(args).run()
    if args.json:
        print(json.dumps(results, ensure_ascii=False))
    elif not args.quiet:
        print(
            "\n".join([*ablation_table(results), "", f"The report is {args.output / 'report.md'}"])
        )
    for failure in results["failures"]:
        print(f"semanticodec: failed: {failure['label']}: {failure['error']}", file=sys.stderr)
    num_clips = sum(len(row.get("failures", ())) for row in results["rows"])
    if num_clips:
        print(
            f"semanticodec: {num_clips} reconstructions failed; see results.json", file=sys.stderr
        )
    return SOME_FAILED if results["failures"] or num_clips else DONE


def _ablation(args: argparse.Namespace) -> Ablation:
    suite = None
    if args.suite is not None:
        suite = open_suite(args.suite, limit=args.limit)
    if "model" in OPTIONS[args.name]:
        training = None
        origin = {"model": BUILT_IN if args.model is None else folder_name(args.model)}
    else:
        training = _training(args)
        origin = training.describe()
    return Ablation(
        name=args.name,
        out=args.output,
        origin=origin,
        make_variants=lambda: _variants(args, training),
        suite=suite,
        reconstruction=measuring_settings(args),
        tasks=tuple(args.tasks or ()),
    )


def _training(args: argparse.Namespace) -> Training:
    return Training(
        out=args.output,
        data=tuple(args.data),
        modules=named_folders("--module", args.module),
        size=args.recipe or "small",
        steps=args.steps,
        device=checked_device(args.device),
        num_threads=args.threads,
        show_progress=not args.quiet,
    )


def _variants(args: argparse.Namespace, training: Training | None) -> Outcome:
    if training is None:
        if args.name == "vocabulary":
            return sweeps.vocabulary(args.model, token_rate=args.token_rate)
        return sweeps.guidance_steps(
            args.model,
            token_rate=args.token_rate,
            guidances=args.guidance_scale or sweeps.DEFAULT_GUIDANCES,
            steps=args.num_steps or sweeps.DEFAULT_STEPS,
        )
    if args.token_rate is not None:
        rates = (args.token_rate,)
    elif args.name == "variable-vocabulary":
        rates = TOKEN_RATES[::-1]
    else:
        rates = (training.given_rate() or PAPER_RATE,)

    def tell(line: str) -> None:
        if not args.quiet:
            print(f"semanticodec: {line}", file=sys.stderr)

    if args.name == "centroids":
        return centroid_variants(training, rates, tell=tell)
    return trained_variants(args.name, training, rates, tell=tell)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return run_command(build_parser(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
