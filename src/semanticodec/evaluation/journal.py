"""What a run has measured so far, so that one that was interrupted resumes where it left off.

OUT/settings.json   what the numbers depend on: metrics, versions, clips and systems
OUT/clips.jsonl     one line per system and clip, written as soon as it is measured
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from semanticodec.errors import ConfigError
from semanticodec.files import write_text
from semanticodec.runs import SETTINGS_NAME, claim

ROWS_NAME = "clips.jsonl"
REMEDY = "give another --output, or --overwrite to start anew"

Row = dict[str, Any]


class Journal:
    """The rows of an output folder.

    A row has `system`, `clip` and `domain`, and either `error` or the clip's measures. Failed
    pairs do not count as done: a later run tries them again.

    Args:
        folder: made if missing.
        settings: sections of JSON values. What `settings.json` recorded for the same section and
            name must be equal; names may be added (clips, systems) from run to run.
        overwrite: forget what the folder holds.
    Raises:
        ConfigError: the folder holds rows that were measured with other settings.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Mapping[str, Any]], overwrite: bool = False
    ) -> None:
        self._path = folder / ROWS_NAME
        if overwrite:
            self._path.unlink(missing_ok=True)
            (folder / SETTINGS_NAME).unlink(missing_ok=True)
        elif self._path.is_file() and not (folder / SETTINGS_NAME).is_file():
            raise ConfigError(
                f"{self._path} has no {SETTINGS_NAME} beside it that says how it was measured; "
                f"{REMEDY}"
            )
        # In a list, a value is compared as a whole: only names may be added.
        values = {
            section: {name: [value] for name, value in named.items()}
            for section, named in settings.items()
        }
        claim(folder, values, remedy=REMEDY, may_grow=True)
        self._rows = _read_rows(self._path)
        # Written anew, so that a last line that was cut off does not spoil the next one.
        write_text(self._path, "".join(map(_line, self._rows.values())))

    def row(self, system: str, clip: str) -> Row | None:
        """Return what was measured of a pair, or None."""
        return self._rows.get((system, clip))

    def append(self, row: Row) -> None:
        """Keep a row, on disk before this returns."""
        self._rows[row["system"], row["clip"]] = row
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line(row))


def _line(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"


def _read_rows(path: Path) -> dict[tuple[str, str], Row]:
    rows: dict[tuple[str, str], Row] = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                row = json.loads(line)
                rows[row["system"], row["clip"]] = row
            except (ValueError, KeyError, TypeError):
                continue  # a line that was cut off: its pair is measured again
    return rows
