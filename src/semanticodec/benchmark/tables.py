"""Numbers and tables as text; standard library only."""

from __future__ import annotations

from collections.abc import Sequence


def count(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def seconds_text(seconds: float) -> str:
    """Return seconds with three digits that mean something."""
    for digits in range(4):
        if seconds >= 10 ** (2 - digits) * 0.9995:
            return f"{seconds:.{digits}f}"
    return f"{seconds:.4f}"


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]], num_words: int = 1) -> list[str]:
    """Return the lines of a table: the first `num_words` columns left, numbers right."""
    widths = [max(len(cell) for cell in column) for column in zip(header, *rows)]
    return [
        "  ".join(
            cell.ljust(width) if column < num_words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in (header, *rows)
    ]


def markdown_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], num_words: int = 1
) -> list[str]:
    """Return the lines of a Markdown table."""
    rule = ["---" if column < num_words else "---:" for column in range(len(header))]
    return [f"| {' | '.join(row)} |" for row in (header, rule, *rows)]
