"""`semanticodec evaluate ...`: the experiments of the paper's Sections IV and V."""

from __future__ import annotations

import argparse
from types import ModuleType
from typing import TYPE_CHECKING

from semanticodec.cli import (
    evaluate_ablations,
    evaluate_features,
    evaluate_figures,
    evaluate_reconstruction,
    evaluate_semantics,
)

if TYPE_CHECKING:
    from semanticodec.cli.options import Subparsers

EVALUATIONS: dict[str, ModuleType] = {
    "reconstruction": evaluate_reconstruction,
    "semantics": evaluate_semantics,
    "ablations": evaluate_ablations,
    "features": evaluate_features,
    "figures": evaluate_figures,
    "results": evaluate_figures,
}


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and what can be evaluated."""
    parser = subparsers.add_parser(
        "evaluate",
        help="measure codecs as the paper does: quality, semantics, ablations, figures",
        description="Measure codecs as the paper does, and draw and tabulate the results.",
    )
    evaluations = parser.add_subparsers(dest="evaluation", metavar="WHAT", required=True)
    for module in dict.fromkeys(EVALUATIONS.values()):
        module.add_parser(evaluations)


def run(args: argparse.Namespace) -> int:
    """Run one evaluation and return its exit status."""
    return EVALUATIONS[args.evaluation].run(args)
