"""Where results go: beside the input, below a folder or to stdout, and what they may replace."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from semanticodec.cli.inputs import STDIO, Input
from semanticodec.cli.targets import kept_apart
from semanticodec.errors import ConfigError, OutputError
from semanticodec.files import (
    atomic_path,
    check_writable,
    is_stream,
    open_stream,
    output_error,
    output_errors,
)


@dataclass(frozen=True, kw_only=True)
class Task:
    """An input and where its result goes.

    Attributes:
        item: what to read.
        target: the file to write; None for stdout.
    """

    item: Input
    target: Path | None

    @property
    def target_name(self) -> str:
        """What messages call the result."""
        return STDIO if self.target is None else str(self.target)


def plan(items: Sequence[Input], output: str | None, ending: str) -> list[Task]:
    """Pair every input with its output.

    Args:
        items: the inputs.
        output: file, folder or `-` that the user gave; None puts each result beside its input
            (and the result of stdin on stdout).
        ending: what replaces an input's suffix, such as `.smtc`.
    Raises:
        ConfigError: several results for one file or for stdout, or a result on top of an input.
    """
    targets = [_target(item, output, ending, len(items)) for item in items]
    targets = kept_apart(items, targets, ending)
    tasks = [Task(item=item, target=target) for item, target in zip(items, targets)]
    taken: dict[str | None, Input] = {}
    for task in tasks:
        key = task.target and os.path.realpath(task.target)
        if key in taken:
            raise ConfigError(
                f"{taken[key].name} and {task.item.name} would both become "
                f"{task.target_name}; give a folder with -o, or run them one by one"
            )
        taken[key] = task.item
    check_no_input(tasks, [task.target for task in tasks])
    return tasks


def check_no_input(tasks: Sequence[Task], results: Iterable[Path | None]) -> None:
    """Refuse results that would take the place of an input, by any of its names.

    Args:
        tasks: all inputs.
        results: files to be written; None for stdout.
    Raises:
        ConfigError: a result is one of the inputs, or a link to it.
    """
    inputs = {_identity(task.item.path): task.item.path for task in tasks}
    for result in results:
        path = inputs.get(_identity(result))
        if result is not None and path is not None and not is_stream(result):
            same = "" if path == result else f" (the same file as {result})"
            raise ConfigError(f"{path}{same} is its own output; give another name with -o")


def _identity(path: Path | None) -> object:
    """Return what two names of one file have in common; the name itself for no file."""
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError:
        return os.path.realpath(path)
    return found.st_dev, found.st_ino


def _target(item: Input, output: str | None, ending: str, num_items: int) -> Path | None:
    if output == STDIO or (output is None and item.path is None):
        return None
    if output is None:
        assert item.path is not None
        return item.path.with_suffix(ending)
    if not output:
        raise ConfigError("-o is empty; give a file, a folder or -")
    is_folder = output.endswith(("/", os.sep)) or os.path.isdir(output) or num_items > 1
    if not is_folder:
        return Path(output)
    if os.path.exists(output) and not os.path.isdir(output):
        raise ConfigError(f"{output} is a file; several results need a folder")
    return Path(output) / item.relative.with_suffix(ending)


def is_taken(target: Path | None) -> bool:
    """Return whether a file of this name exists; pipes and devices are there to be written to."""
    return target is not None and os.path.exists(target) and not is_stream(target)


def check_free(target: Path | None, overwrite: bool) -> None:
    """Refuse to replace a file unless told to, and to work for a place that takes no file.

    Raises:
        ConfigError: `target` exists and `overwrite` is false.
        OutputError: `target` cannot be written.
    """
    if is_taken(target) and not overwrite:
        raise ConfigError(
            f"{target} exists already; choose another name with -o, "
            "or say --overwrite or --skip-existing"
        )
    if target is not None:
        check_writable(target)


def free_folder(args: argparse.Namespace, index_name: str, content: str) -> Path:
    """Return the output folder of a command that fills one, if it may be written to.

    Args:
        args: with `output` and `overwrite`.
        index_name: file that tells whether something is there already.
        content: what the folder would hold then, such as "a model".
    Raises:
        ConfigError: the folder is taken, and `overwrite` is false.
        OutputError: nothing can be written there.
    """
    folder = Path(args.output)
    if (folder / index_name).exists() and not args.overwrite:
        raise ConfigError(f"{folder} holds {content} already; choose another name or --overwrite")
    check_writable(folder / index_name)
    return folder


@contextmanager
def written_whole(target: Path | None, *, replace: bool = True) -> Iterator[Path]:
    """Give a path to write to; the result appears under its own name (or on stdout) on success.

    Args:
        target: the file to be; its folders are made. None for stdout.
        replace: whether a file that exists by then is replaced.
    Raises:
        OutputExistsError: there is such a file, and `replace` is false.
        OutputError: the result cannot be written.
    """
    if target is not None:
        with atomic_path(target, replace=replace) as partial:
            yield partial
        return
    with tempfile.TemporaryDirectory() as folder:
        partial = Path(folder) / "result"
        yield partial
        with partial.open("rb") as finished, stdout_errors():
            shutil.copyfileobj(finished, sys.stdout.buffer)
            sys.stdout.buffer.flush()


def write_as_it_comes(
    target: Path | None, chunks: Iterable[bytes], *, replace: bool = True
) -> None:
    """Write bytes as they come: into a pipe, a device or stdout at once, to a file whole.

    Args:
        target: the file to be; None for stdout.
        chunks: consecutive parts of the result.
        replace: whether a file that exists by the end is replaced.
    Raises:
        OutputExistsError: there is such a file, and `replace` is false.
        OutputError: the result cannot be written.
    """
    if target is None:
        for chunk in chunks:
            with stdout_errors():
                sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()
    elif is_stream(target):
        with output_errors(target), open_stream(target) as stream:
            for chunk in chunks:
                stream.write(chunk)
                stream.flush()
    else:
        with atomic_path(target, replace=replace) as partial, partial.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)


@contextmanager
def stdout_errors() -> Iterator[None]:
    """Raise what the system says about writing to stdout as an `OutputError`.

    A reader that has gone stays a `BrokenPipeError`, which is no error of the user.
    """
    try:
        yield
    except (BrokenPipeError, OutputError):
        raise
    except OSError as error:
        raise output_error("standard output", error) from error
