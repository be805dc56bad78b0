"""Pictures as files: which format, what is drawn of a results file, and which points belong."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.figures.code_use import draw_code_use
from experiments.figures.style import picture_bytes, picture_kind
from experiments.figures.sweeps import draw_sweep
from experiments.results.reader import CODE_USE, Result, complete
from semanticodec.errors import ConfigError
from semanticodec.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def picture_path(text: str) -> Path:
    """Return the path of a picture, or raise what argparse reports."""
    try:
        picture_kind(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return Path(text)


def save(figure: Figure, path: Path, quiet: bool) -> None:
    """Write a picture whole and say how large it is."""
    write_bytes(path, picture_bytes(figure, picture_kind(path.name)))
    tell_written(path, quiet)


def tell_written(path: Path, quiet: bool) -> None:
    """Print a file's path and size."""
    if not quiet:
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def drawn(result: Result, domain: str | None = None) -> Figure:
    """Return the picture of one results file of the kinds ablations or code-use.

    Args:
        result: the results file.
        domain: domain whose scores are drawn; None for averages over the domains.
    Raises:
        DataError: an ablation that is no sweep, an incomplete file, or no scores of that domain.
    """
    with complete(result):
        if result.kind == CODE_USE:
            return draw_code_use(result.content)
        return draw_sweep(result.content, domain=domain)


def add_matches(parser: argparse.ArgumentParser) -> None:
    """Add --match."""
    parser.add_argument(
        "--match",
        nargs=2,
        action="append",
        default=[],
        metavar=("SYSTEM", "FEATURES"),
        help="features of the semantics that belong to a system; may be repeated (default: those "
        "of the same name, of the name and `:all`, or of the same model and bitrate)",
    )
