"""Turn what stands on a command line into files: paths, globs, folders and `-` for stdin."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from semanticodec.cli.standard_streams import print_to_stderr
from semanticodec.errors import ConfigError
from semanticodec.listing import AUDIO_SUFFIXES, has_suffix, matches, walk
from semanticodec.reading import seekable

__all__ = ["AUDIO_SUFFIXES", "CODE_SUFFIXES", "STDIO", "Input", "expand"]

STDIO = "-"
CODE_SUFFIXES = (".smtc",)
# Decoded sound beside its original or its codes: `roundtrip` and the demo end names so.
RESULT_MARKS, RESULT_FORMATS = (".roundtrip", ".decoded"), (".wav", ".flac")


@dataclass(frozen=True, kw_only=True)
class Input:
    """One file to work on.

    Attributes:
        name: name in messages.
        path: the file; None for stdin.
        relative: its place below the folder or pattern that it was found through.
        start: what was read of stdin already.
    """

    name: str
    path: Path | None
    relative: Path
    start: bytes = b""

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Give the file, or a copy of what stdin or a pipe gives, for reading from any byte.

        Raises:
            ConfigError: there is no such file, or it cannot be read.
        """
        with ExitStack() as stack:
            stream = sys.stdin.buffer if self.path is None else _open(self.path)
            if self.path is not None:
                stack.enter_context(stream)
            file = seekable(stream, self.start)
            if file is not stream:
                stack.enter_context(file)
            yield file


def _open(path: Path) -> BinaryIO:
    try:
        if path.is_dir():
            os.listdir(path)  # says why it could not be walked
        return path.open("rb")
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path} does not exist; give a file, a folder, a quoted pattern or -"
        ) from error
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}); change that, or leave it out"
        ) from error


def expand(
    arguments: Sequence[str], suffixes: Sequence[str], output: str | os.PathLike[str] | None = None
) -> list[Input]:
    """Return the files that the arguments name, in order and without repetition.

    Results of an earlier run are left out where their originals are among the files.

    Args:
        arguments: paths, patterns (`"*.wav"`, `"**/*.flac"`), folders (all below them) or `-`.
        suffixes: endings of the files that a folder or a pattern stands for; a file that is named
            itself may have any.
        output: folder for results of the same suffixes; what lies there is not part of a folder
            that holds it.
    Raises:
        ConfigError: an argument is empty, a folder or pattern holds no such file, or stdin is
            named twice.
    """
    found: dict[str, Input] = {}
    for argument in arguments:
        for item in _expand_one(argument, suffixes, output):
            key = item.name if item.path is None else os.path.realpath(item.path)
            if key == STDIO and key in found:
                raise ConfigError("stdin can be read once only; give `-` once")
            found.setdefault(key, item)
    return _without_results(list(found.values()), is_folder=False)


def _expand_one(
    argument: str, suffixes: Sequence[str], output: str | os.PathLike[str] | None
) -> list[Input]:
    if not argument:
        raise ConfigError(
            "an input is empty (a variable that is not set?); give a file, a folder, "
            "a quoted pattern or -"
        )
    if argument == STDIO:
        return [Input(name=STDIO, path=None, relative=Path("stdin"))]
    if os.path.isdir(argument):
        return _inside(Path(argument), suffixes, output)
    if not os.path.lexists(argument) and glob.has_magic(argument):
        files = _matches(argument, suffixes)
        return [Input(name=str(file), path=file, relative=Path(file.name)) for file in files]
    path = Path(argument)
    return [Input(name=argument, path=path, relative=Path(path.name))]


def _inside(
    folder: Path, suffixes: Sequence[str], output: str | os.PathLike[str] | None
) -> list[Input]:
    top = os.path.realpath(folder)
    left_out = None if output is None else os.path.realpath(output)
    files = sorted(walk(folder, suffixes))
    if left_out is not None and left_out != top:
        below = os.path.join(left_out, "")
        files = [file for file in files if not os.path.realpath(file).startswith(below)]
    if not files:
        raise ConfigError(f"the folder {folder} holds no file of {', '.join(suffixes)}")
    # The folder itself, if it cannot be listed, has a name too.
    places = [
        Path(os.path.basename(top) or "root") if file == folder else file.relative_to(folder)
        for file in files
    ]
    items = [Input(name=str(file), path=file, relative=place) for file, place in zip(files, places)]
    return _without_results(items, is_folder=True)


def _matches(pattern: str, suffixes: Sequence[str]) -> list[Path]:
    """Return the files that a pattern matches: those of the suffixes, or all if there are none."""
    files = [match for match in matches(pattern)[1] if match.is_file()]
    if not files:
        raise ConfigError(f"no file matches '{pattern}'; check the pattern")
    return [file for file in files if has_suffix(file.name, suffixes)] or files


def _without_results(items: list[Input], is_folder: bool) -> list[Input]:
    """Leave out what an earlier run made of other files, and say so in one line.

    Args:
        items: files that belong together.
        is_folder: whether nobody named them: then codes beside a decoded file tell enough.
    """
    originals = {item.path for item in items if item.path is not None}
    originals |= {path.with_suffix("") for path in originals}
    kept, results = [], []
    for item in items:
        original = item.path and _original(item.path)
        is_result = original is not None and (
            original in originals
            or (is_folder and original.with_name(original.name + CODE_SUFFIXES[0]).exists())
        )
        (results if is_result else kept).append(item)
    if not results or not kept:
        return items
    more = f" and {len(results) - 1} more are results" if len(results) > 1 else " is the result"
    print_to_stderr(f"semanticodec: {results[0].name}{more} of an earlier run: left out")
    return kept


def _original(path: Path) -> Path | None:
    """Return the original of a result without its suffix, as the result's name tells it."""
    bare = path.with_suffix("")
    is_result = has_suffix(path.name, RESULT_FORMATS) and bare.suffix in RESULT_MARKS
    return bare.with_suffix("") if is_result else None
