"""`semanticodec evaluate ...`: quality of decoded audio, and what features tell about sounds."""

from __future__ import annotations

import argparse
from types import ModuleType

from semanticodec.cli import (
    evaluate_features,
    evaluate_pairs,
    evaluate_reconstruction,
    evaluate_semantics,
)
from semanticodec.cli.options import add_commands
from semanticodec.errors import ConfigError, MissingDependencyError

HELP = "measure codecs as the paper does: quality, semantics and features"
DESCRIPTION = "Measure codecs as the paper does: quality, semantics and features."
EVALUATIONS: dict[str, ModuleType] = {
    "reconstruction": evaluate_reconstruction,
    "semantics": evaluate_semantics,
    "features": evaluate_features,
    "pairs": evaluate_pairs,
}
# What reproduces the paper is run from a clone; the old commands name the new ones.
MOVED = ("ablations", "figures", "results")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command and what can be evaluated."""
    evaluations = parser.add_subparsers(dest="evaluation", metavar="WHAT", required=True)
    add_commands(evaluations, EVALUATIONS)
    for name in MOVED:
        # No prefix: everything that follows is taken as it is.
        moved = evaluations.add_parser(name, add_help=False, prefix_chars="\0")
        moved.add_argument("words", nargs="*")


def run(args: argparse.Namespace) -> int:
    """Run one evaluation and return its exit status."""
    if args.evaluation in MOVED:
        raise ConfigError(
            f"`semanticodec evaluate {args.evaluation}` is now `python -m "
            f"experiments.{args.evaluation}`, run from a clone of the repository"
        )
    try:
        return EVALUATIONS[args.evaluation].run(args)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"evaluating needs {error.name}; install it with pip install 'semanticodec[eval]'"
        ) from error
