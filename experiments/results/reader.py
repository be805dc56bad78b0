"""Reads the results files of all kinds, and says what is wrong with those that are none."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semanticodec.errors import DataError
from semanticodec.provenance import FORMAT

RECONSTRUCTION, SEMANTICS, ABLATIONS, CODE_USE = (
    "reconstruction",
    "semantics",
    "ablations",
    "code-use",
)
# What a file of each kind must hold besides `format`, `kind` and its provenance.
REQUIRED = {
    RECONSTRUCTION: ("suite", "settings", "systems", "differences"),
    SEMANTICS: ("settings", "tasks", "scores"),
    ABLATIONS: ("name", "settings", "rows"),
    CODE_USE: ("model", "suite", "domains"),
}
OLD_FORMAT = 1
OLD_KEYS = {"deviation": "std"}
USUAL_NAME = "results"
PROVENANCE = ("date", "machine", "versions")


@dataclass(frozen=True, kw_only=True)
class Result:
    """One results file.

    Attributes:
        path: file that it was read from.
        kind: one of `REQUIRED`.
        content: its JSON values.
    """

    path: Path
    kind: str
    content: dict[str, Any]

    @property
    def name(self) -> str:
        """The file's name without suffix (or its folder's, where the file has the usual name).

        Pictures that are drawn from the file carry it.
        """
        stem = self.path.stem
        return self.path.resolve().parent.name if stem == USUAL_NAME else stem


def read_result(path: Path) -> Result:
    """Return one results file.

    Raises:
        DataError: no such file, not JSON, or not a result of a known kind and format.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist; give a results file of `evaluate`") from error
    except (ValueError, OSError) as error:
        raise DataError(
            f"{path} is not readable JSON ({error}); write it again with `evaluate`"
        ) from error
    kind = content.get("kind") if isinstance(content, dict) else None
    if kind not in REQUIRED:
        raise DataError(
            f"{path} is of the kind {kind!r}; results are {', '.join(REQUIRED)}: "
            "give a file that `evaluate` wrote"
        )
    if content.get("format") not in (OLD_FORMAT, FORMAT):
        raise DataError(
            f"{path} has format {content.get('format')!r}, this version reads {OLD_FORMAT} and "
            f"{FORMAT}; write it again with this version"
        )
    missing = [key for key in (*PROVENANCE, *REQUIRED[kind]) if key not in content]
    if missing:
        raise DataError(
            f"{path} lacks {', '.join(missing)}, which results of the kind {kind} have; "
            "write it again with `evaluate`"
        )
    if content["format"] == OLD_FORMAT:
        content = _current(content)
    return Result(path=path, kind=kind, content=content)


def _current(content: Any) -> Any:
    """Return the values of an old file under the keys of today."""
    if isinstance(content, list):
        return [_current(item) for item in content]
    if not isinstance(content, dict):
        return content
    current = {OLD_KEYS.get(key, key): _current(value) for key, value in content.items()}
    if "recogniser" in current:
        name = current.pop("recogniser")
        current["models"] = {} if name is None else {"wer": name}
    return current


def read_results(paths: Iterable[Path]) -> list[Result]:
    """Return several results files, ordered by kind and name whatever order they come in.

    Raises:
        DataError: a file that is no result, or two of the same name.
    """
    results = [read_result(path) for path in dict.fromkeys(paths)]
    order = list(REQUIRED)
    results.sort(key=lambda result: (order.index(result.kind), result.name))
    named: dict[str, Result] = {}
    for result in results:
        other = named.setdefault(result.name, result)
        if other is not result:
            raise DataError(
                f"{other.path} and {result.path} have the same name, which their pictures would "
                "share; rename one"
            )
    return results


def of_kind(results: Sequence[Result], kind: str) -> list[Result]:
    """Return the results of one kind."""
    return [result for result in results if result.kind == kind]


@contextmanager
def complete(result: Result) -> Iterator[None]:
    """Turn what an incomplete file leads to into an error that names the file.

    Raises:
        DataError: the code inside missed something in `result`.
    """
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise DataError(
            f"{result.path} is incomplete or damaged ({error!r}); write it again with `evaluate`"
        ) from error
