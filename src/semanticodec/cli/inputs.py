"""Turn what stands on a command line into files: paths, globs, folders and `-` for stdin."""

from __future__ import annotations

import glob
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from semanticodec.errors import ConfigError

STDIO = "-"
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".w64", ".au")
CODE_SUFFIXES = (".smtc",)


@dataclass(frozen=True, kw_only=True)
class Input:
    """One file to work on.

    Attributes:
        name: what messages call it.
        path: the file; None for stdin.
        relative: its place below the folder or pattern that it was found through.
    """

    name: str
    path: Path | None
    relative: Path

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Give the file, or a copy of stdin, opened for reading from any byte.

        Raises:
            ConfigError: there is no such file.
        """
        if self.path is not None:
            if not self.path.is_file():
                raise ConfigError(
                    f"{self.path} does not exist; give a file, a folder, a quoted pattern or -"
                )
            with self.path.open("rb") as file:
                yield file
            return
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
            copy.seek(0)
            yield copy


def expand(arguments: Sequence[str], suffixes: Sequence[str]) -> list[Input]:
    """Return the files that the arguments name, in order and without repetition.

    Args:
        arguments: paths, patterns (`"*.wav"`, `"**/*.flac"`), folders (all below them) or `-`.
        suffixes: which files of a folder are meant; a file that is named itself may have any.
    Raises:
        ConfigError: a folder or pattern holds no such file, or stdin is named twice.
    """
    found: dict[str, Input] = {}
    for argument in arguments:
        for item in _expand_one(argument, suffixes):
            key = item.name if item.path is None else str(item.path.resolve())
            if key == STDIO and key in found:
                raise ConfigError("stdin can be read once only; give `-` once")
            found.setdefault(key, item)
    return list(found.values())


def _expand_one(argument: str, suffixes: Sequence[str]) -> list[Input]:
    if argument == STDIO:
        return [Input(name=STDIO, path=None, relative=Path("stdin"))]
    path = Path(argument)
    if path.is_dir():
        return _inside(path, suffixes)
    if not path.exists() and glob.has_magic(argument):
        matches = [Path(match) for match in sorted(glob.glob(argument, recursive=True))]
        files = [match for match in matches if match.is_file()]
        if not files:
            raise ConfigError(f"no file matches '{argument}'; check the pattern")
        return [Input(name=str(file), path=file, relative=Path(file.name)) for file in files]
    return [Input(name=argument, path=path, relative=Path(path.name))]


def _inside(folder: Path, suffixes: Sequence[str]) -> list[Input]:
    files = sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in suffixes and not file.name.startswith(".") and file.is_file()
    )
    if not files:
        raise ConfigError(f"the folder {folder} holds no file of {', '.join(suffixes)}")
    return [Input(name=str(file), path=file, relative=file.relative_to(folder)) for file in files]
