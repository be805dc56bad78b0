"""Numbers and tables as text."""

from __future__ import annotations

from collections.abc import Sequence

from tabulate import tabulate


def count(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def seconds_text(seconds: float) -> str:
    """Return seconds with three digits that mean something."""
    for digits in range(4):
        if seconds >= 10 ** (2 - digits) * 0.9995:
            return f"{seconds:.{digits}f}"
    return f"{seconds:.4f}"


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    num_text_columns: int = 1,
    style: str = "plain",
) -> str:
    """Return a table: texts to the left, and numbers to the right behind them.

    Args:
        header: title of every column.
        rows: cells as they are to appear.
        num_text_columns: number of columns that hold texts.
        style: "plain" for terminals, "pipe" for Markdown.
    """
    sides = ["left" if column < num_text_columns else "right" for column in range(len(header))]
    return tabulate(rows, header, tablefmt=style, colalign=sides, disable_numparse=True)
