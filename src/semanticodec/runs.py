"""Is this folder the same run? What a folder's results depend on, recorded in it and compared.

settings = {"metrics": {"mel": 1}, "clips": ["a.wav"]}
claim(folder, settings, remedy="give another --output")      writes folder/settings.json
claim(folder, settings, remedy="give another --output")      the same run: nothing happens
claim(folder, {**settings, "metrics": {"mel": 2}}, ...)      ConfigError: another metrics.mel
with locked(folder): ...                                     ConfigError where another run does so
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from semanticodec.errors import ConfigError
from semanticodec.files import output_errors, read_json, write_json

SETTINGS_NAME, LOCK_NAME = "settings.json", ".lock"
MOST_CHARACTERS = 80
MOST_NAMED = 3

Settings = Mapping[str, Any]


class Difference(NamedTuple):
    """A setting of which a folder holds another value.

    Attributes:
        name: its keys joined by dots, such as `metrics.mel`.
        recorded: the value in the folder; None where it has none.
        wanted: the value of this run; None where it has none.
    """

    name: str
    recorded: Any
    wanted: Any


def plain(value: Any) -> Any:
    """Return a value in JSON's types: dataclasses become mappings, tuples lists, paths text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(dataclasses.asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def differences(
    recorded: Settings, wanted: Settings, *, may_grow: bool = False
) -> list[Difference]:
    """Return the settings that differ, mappings compared key by key.

    Args:
        recorded: settings of the earlier run, as JSON gave them back.
        wanted: settings of this run.
        may_grow: whether keys that only one of them has are no difference (another clip, say).
    """
    ours = plain(wanted)
    found: list[Difference] = []
    for key in {**recorded, **ours}:
        theirs, mine = recorded.get(key), ours.get(key)
        if isinstance(theirs, Mapping) and isinstance(mine, Mapping):
            inner = differences(theirs, mine, may_grow=may_grow)
            found += [item._replace(name=f"{key}.{item.name}") for item in inner]
        elif key in recorded and key in ours:
            found += [Difference(key, theirs, mine)] if theirs != mine else []
        elif not may_grow:
            found.append(Difference(key, theirs, mine))
    return found


def check_same_run(
    folder: str | os.PathLike[str],
    recorded: Settings,
    wanted: Settings,
    *,
    remedy: str,
    may_grow: bool = False,
) -> None:
    """Refuse to resume in a folder that holds results of other settings.

    Args:
        folder: named in the message.
        recorded: settings of the earlier run.
        wanted: settings of this run.
        remedy: advice for the user, such as "give another --output".
        may_grow: whether keys may be added; see `differences`.
    Raises:
        ConfigError: settings differ; the message names them with both values.
    """
    found = differences(recorded, wanted, may_grow=may_grow)
    if found:
        raise ConfigError(f"{folder} holds a run of other settings ({described(found)}); {remedy}")


def described(found: Sequence[Difference]) -> str:
    """Return differences as text: the first of them with both values, the number of the rest."""
    named = [f"{name} was {_short(theirs)}, now {_short(mine)}" for name, theirs, mine in found]
    more = [f"and {len(found) - MOST_NAMED} more"] if len(found) > MOST_NAMED else []
    return "; ".join(named[:MOST_NAMED] + more)


def claim(
    folder: str | os.PathLike[str],
    settings: Settings,
    *,
    remedy: str,
    name: str = SETTINGS_NAME,
    may_grow: bool = False,
) -> None:
    """Record a run's settings in its folder, or check that those recorded there are the same.

    Args:
        folder: folder of the run's results, created if missing.
        settings: settings that the results depend on, ready for `plain`.
        remedy: advice for the user where they differ, such as "give another --output".
        name: name of the file in the folder.
        may_grow: whether keys may be added from run to run; the record then grows with them.
    Raises:
        ConfigError: the folder holds a run of other settings, or a record that cannot be read.
        OutputError: the record cannot be written.
    """
    recorded = read_claim(folder, remedy=remedy, name=name)
    if recorded is None:
        write_json(Path(folder) / name, plain(settings))
        return
    check_same_run(folder, recorded, settings, remedy=remedy, may_grow=may_grow)
    merged = _merged(recorded, plain(settings))
    if merged != recorded:
        write_json(Path(folder) / name, merged)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder for one run; the system lets go of it when the process ends in any way.

    Raises:
        ConfigError: another run holds it.
    """
    import fcntl  # Windows has none, and everything else here works there

    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK_NAME).open("a")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"another run works on {folder}; wait for its end, or give another --output"
            ) from error
        yield


def read_claim(
    folder: str | os.PathLike[str], *, remedy: str, name: str = SETTINGS_NAME
) -> dict[str, Any] | None:
    """Return the settings that `claim` recorded in a folder; None where there are none.

    Raises:
        ConfigError: the record is damaged.
    """
    path = Path(folder) / name
    if not path.is_file():
        return None
    try:
        recorded = read_json(path)
    except ValueError as error:
        raise ConfigError(f"{path} is damaged ({error}); {remedy}") from error
    if not isinstance(recorded, dict):
        raise ConfigError(f"{path} is damaged (it holds no settings by name); {remedy}")
    return recorded


def _merged(recorded: Settings, added: Settings) -> dict[str, Any]:
    both = {
        key: _merged(recorded[key], value)
        for key, value in added.items()
        if isinstance(value, Mapping) and isinstance(recorded.get(key), Mapping)
    }
    return {**recorded, **added, **both}


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"
