"""Where results go: names next to the input or below a folder, written whole or not at all."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from semanticodec.cli.inputs import STDIO, Input
from semanticodec.cli.targets import kept_apart
from semanticodec.errors import ConfigError


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
        ConfigError: several results for one file or for stdout, or a result on top of its input.
    """
    targets = [_target(item, output, ending, len(items)) for item in items]
    targets = kept_apart(items, targets, ending)
    tasks = [Task(item=item, target=target) for item, target in zip(items, targets)]
    taken: dict[Path | None, Input] = {}
    for task in tasks:
        if task.target in taken:
            raise ConfigError(
                f"{taken[task.target].name} and {task.item.name} would both become "
                f"{task.target_name}; give a folder with -o, or run them one by one"
            )
        taken[task.target] = task.item
        path = task.item.path
        if path is not None and task.target is not None and path.resolve() == task.target.resolve():
            raise ConfigError(f"{path} is its own output; give another name with -o")
    return tasks


def _target(item: Input, output: str | None, ending: str, num_items: int) -> Path | None:
    if output == STDIO or (output is None and item.path is None):
        return None
    if output is None:
        assert item.path is not None
        return item.path.with_suffix(ending)
    is_folder = output.endswith(("/", os.sep)) or Path(output).is_dir() or num_items > 1
    if not is_folder:
        return Path(output)
    if Path(output).is_file():
        raise ConfigError(f"{output} is a file; several results need a folder")
    return Path(output) / item.relative.with_suffix(ending)


def check_free(target: Path | None, overwrite: bool) -> None:
    """Refuse to replace a file unless told to.

    Raises:
        ConfigError: `target` exists and `overwrite` is false.
    """
    if target is not None and target.exists() and not overwrite:
        raise ConfigError(
            f"{target} exists already; choose another name with -o, "
            "or say --overwrite or --skip-existing"
        )


@contextmanager
def written_whole(target: Path | None) -> Iterator[Path]:
    """Give a path to write to; the result appears under its own name (or on stdout) on success.

    Args:
        target: the file to be; its folders are made. None for stdout.
    """
    if target is None:
        with tempfile.TemporaryDirectory() as folder:
            partial = Path(folder) / "result"
            yield partial
            with partial.open("rb") as finished:
                shutil.copyfileobj(finished, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    try:
        yield partial
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
