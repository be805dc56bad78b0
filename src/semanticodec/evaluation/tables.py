"""Tables for reports and terminals, and numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

NOTHING = "–"
Content = Mapping[str, Any]
Row = Sequence[str]


def table(header: Row, rows: Iterable[Row], *, num_text_columns: int = 1) -> list[str]:
    """Return the lines of a Markdown table: texts to the left, numbers to the right behind them."""
    num_numbers = len(header) - num_text_columns
    rule = [*["---"] * num_text_columns, *["---:"] * num_numbers]
    return [f"| {' | '.join(map(_cell, line))} |" for line in (header, rule, *rows)]


def plain_table(header: Row, rows: Iterable[Row], *, num_text_columns: int = 1) -> list[str]:
    """Return the lines of a table for a terminal, aligned likewise."""
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines)]
    sides = ["<" if column < num_text_columns else ">" for column in range(len(header))]
    return [
        "  ".join(
            f"{cell:{side}{width}}" for cell, side, width in zip(line, sides, widths)
        ).rstrip()
        for line in lines
    ]


def _cell(text: str) -> str:
    """Return a text on one line that does not end its cell."""
    return " ".join(text.split()).replace("|", "\\|")


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows as CSV with a header: `columns` first, then whatever else they hold."""
    import pandas as pd

    frame = pd.DataFrame(list(rows))
    others = [name for name in frame.columns if name not in columns]
    return frame.reindex(columns=[*columns, *others]).to_csv(index=False, lineterminator="\n")


def number(value: float | None, decimals: int, sign: str = "") -> str:
    """Return a number with a true minus sign; a dash for None and NaN.

    Args:
        value: the number.
        decimals: digits after the point.
        sign: "+" to mark numbers above zero too.
    """
    if value is None or math.isnan(value):
        return NOTHING
    # + 0.0: rounding leaves no negative zero, save where signs tell on which side of it a bound is.
    shown = value if sign else round(value, decimals) + 0.0
    return f"{shown:{sign}.{decimals}f}".replace("-", "−")


def estimate(score: Content | None, decimals: int, sign: str = "") -> str:
    """Return a mean with its interval; a dash where there is none."""
    if score is None:
        return NOTHING
    mean, low, high = (number(score[key], decimals, sign) for key in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


def plain(value: Any) -> str:
    """Return JSON values as text for people: `steps 4, metrics (mel, stft)`."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_grouped(entry)}" for key, entry in value.items()) or NOTHING
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_grouped, value)) or NOTHING
    if value is None:
        return NOTHING
    return f"{value:g}" if isinstance(value, float) else str(value)


def _grouped(value: Any) -> str:
    is_group = isinstance(value, (Mapping, list, tuple)) and len(value) > 1
    return f"({plain(value)})" if is_group else plain(value)
