"""The probe's results as a table for readers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from semanticodec.evaluation.tables import number, table


def feature_table(results: Mapping[str, Any]) -> list[str]:
    """Return the lines of a table: representations against R^2 of energies and detail by band."""
    scores = results["features"]
    num_bands = len(next(iter(scores.values()))["detail"]["bands"])
    head = ["R²", "energies", "detail", *(f"band {band}" for band in range(num_bands))]
    rows = [
        [
            name,
            number(score["energies"]["all"], 2),
            number(score["detail"]["all"], 2),
            *(number(value, 2) for value in score["detail"]["bands"]),
        ]
        for name, score in scores.items()
    ]
    return table(head, rows)
