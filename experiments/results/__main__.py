"""`python -m experiments.results`: the page of results and its pictures, from results files."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.command import experiment_parser
from experiments.figures import quality_semantics as quality
from experiments.figures.pictures import add_matches, drawn, save, tell_written
from experiments.figures.sweeps import SWEEPS
from experiments.results.page import QUALITY_NAME, results_page
from experiments.results.reader import CODE_USE, Result, read_results
from semanticodec.cli import run_command
from semanticodec.cli.report import DONE, print_warning
from semanticodec.errors import ConfigError, DataError
from semanticodec.files import write_text

DESCRIPTION = """\
Write the page of results: what was measured, and apart from it what the paper reports.

  python -m experiments.results docs/results/*.json -o docs/results.md --figures docs/results
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the command's parser."""
    parser = experiment_parser("results", DESCRIPTION)
    parser.add_argument(
        "results", nargs="+", type=Path, metavar="RESULTS", help="results files of any kind"
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        type=Path,
        metavar="PAGE.md",
        help="output page; an existing one is overwritten",
    )
    parser.add_argument(
        "--figures",
        type=Path,
        metavar="FOLDER",
        help="folder for the files' pictures, which the page shows with any "
        "spectrograms*.png that are there",
    )
    add_matches(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="report errors only")
    return parser


def run(args: argparse.Namespace) -> int:
    """Draw the pictures, write the page and return the exit status."""
    if args.output.suffix.lower() != ".md":
        raise ConfigError(f"{args.output} is no page; end it in .md")
    if args.figures is not None:
        _draw_all(read_results(args.results), args)
    write_text(args.output, page_text(args))
    tell_written(args.output, args.quiet)
    return DONE


def page_text(args: argparse.Namespace) -> str:
    """Return the page, with the pictures that are there already.

    Args:
        args: `results`, `output`, `figures` and `match` as the parser gives them.
    Raises:
        DataError: a file that holds no results.
    """
    words = ["python", "-m", "experiments.results", *map(_shown, sorted(args.results))]
    words += ["-o", _shown(args.output)]
    if args.figures is not None:
        words += ["--figures", _shown(args.figures)]
    for match in args.match:
        words += ["--match", *match]
    return results_page(
        read_results(args.results),
        page=args.output,
        figures=args.figures,
        command=shlex.join(words),
    )


def _shown(path: Path) -> str:
    """Return a path as pages show it: from the current folder on, else its name alone."""
    absolute = path.resolve()
    here = Path.cwd().resolve()
    return absolute.relative_to(here).as_posix() if absolute.is_relative_to(here) else path.name


def _draw_all(results: Sequence[Result], args: argparse.Namespace) -> None:
    """Draw every picture that the results have; one that cannot be drawn is named."""
    points = quality.measured_points(results, dict(args.match))
    if points:
        note = quality.measured_on(points, results)
        figure = quality.draw_quality_semantics([*quality.paper_points(), *points], note=note)
        save(figure, args.figures / f"{QUALITY_NAME}.png", args.quiet)
    for result in results:
        if result.kind != CODE_USE and result.content.get("name") not in SWEEPS:
            continue
        try:
            figure = drawn(result)
        except DataError as error:
            print_warning(f"not drawn: {error}", result.name)
        else:
            save(figure, args.figures / f"{result.name}.png", args.quiet)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return run_command(build_parser(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
