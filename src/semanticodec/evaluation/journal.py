"""What a run has measured so far, so that one that was stopped goes on where it was.

OUT/settings.json   what the numbers depend on: metrics, versions, clips and systems
OUT/clips.jsonl     one line per system and clip, written as soon as it is measured
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from semanticodec.errors import ConfigError
from semanticodec.files import write_json, write_text
from semanticodec.provenance import FORMAT

SETTINGS_NAME = "settings.json"
ROWS_NAME = "clips.jsonl"

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
        settings_path = folder / SETTINGS_NAME
        if overwrite:
            self._path.unlink(missing_ok=True)
            settings_path.unlink(missing_ok=True)
        recorded = _read_settings(settings_path, self._path)
        for section, values in settings.items():
            _check_equal(folder, section, recorded.get(section, {}), values)
        merged = {name: {**recorded.get(name, {}), **settings[name]} for name in settings}
        write_json(settings_path, {"format": FORMAT, **merged})
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


def _read_settings(path: Path, rows: Path) -> dict[str, Any]:
    if not path.is_file():
        if rows.is_file():
            raise ConfigError(
                f"{rows} has no {SETTINGS_NAME} beside it that says how it was measured; give "
                "another --out, or --overwrite to start anew"
            )
        return {}
    try:
        recorded = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(
            f"{path} is damaged ({error}); give another --out, or --overwrite to start anew"
        ) from error
    return recorded if isinstance(recorded, dict) else {}


def _check_equal(
    folder: Path, section: str, recorded: Mapping[str, Any], values: Mapping[str, Any]
) -> None:
    # Through JSON and back, as the recorded ones were: tuples become lists.
    for name, value in json.loads(json.dumps(values)).items():
        if name in recorded and recorded[name] != value:
            raise ConfigError(
                f"{folder} holds results with another {section} {name} "
                f"({_short(recorded[name])}, now {_short(value)}); "
                "give another --out, or --overwrite to start anew"
            )


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}…"


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
