"""The numbers that the paper prints in its Tables II to VII, a CSV file each (arXiv 2405.00233v2).

MEL and STFT of the paper are on another scale than this package's (see `evaluation.metrics`):
compare ranks, not values. Its ViSQOL compares with `visqol_speech`. Word errors, accuracies and
averages are in percent.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

FOLDER = Path(__file__).parent
DOMAINS = ("general", "music", "speech")
TASKS = ("ESC-50", "NSPitch", "SPC", "LbCount", "CRM-D", "VoImit")


def paper_table(name: str) -> list[dict[Any, Any]]:
    """Return the rows of a table in the order of the paper; NaN where it prints a dash.

    Args:
        name: `table_2` to `table_7`, or `mushra`; the files say what their columns are.
    """
    return pd.read_csv(FOLDER / f"{name}.csv", comment="#").to_dict("records")
