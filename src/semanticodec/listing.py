"""Which files of a folder are meant: the table of audio suffixes, and the walk through folders.

Standard library only: the command line needs it before it needs torch.
"""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

# What libsndfile reads under its usual names. A file that is named itself may have any suffix.
AUDIO_SUFFIXES = (
    ".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".mp2", ".aif", ".aiff", ".aifc", ".au",
    ".snd", ".caf", ".w64", ".rf64",
)  # fmt: skip
NUMBERS = re.compile(r"\{(\d+)\.\.(\d+)\}")


def has_suffix(name: str, suffixes: Sequence[str]) -> bool:
    """Return whether a file's name ends in one of `suffixes` (lower case), in upper case too."""
    return os.path.splitext(name)[1].lower() in suffixes


def walk(folder: str | os.PathLike[str], suffixes: Sequence[str]) -> Iterator[Path]:
    """Yield the files below a folder, ordered by folder and name; hidden ones are left out.

    Symbolic links to folders are followed, after the folders themselves; every folder is visited
    once. A folder that cannot be listed and a link that leads nowhere are yielded too, so that
    whoever opens them learns of it. Pipes and devices are left out: opening one could wait forever.

    Args:
        folder: folder to start from; it may itself be hidden.
        suffixes: endings of the wanted files, in lower case.
    """
    unlisted: list[str] = []
    visited: set[str] = set()
    waiting = [os.fspath(folder)]
    while waiting:
        top = waiting.pop(0)
        for parent, folders, names in os.walk(top, onerror=lambda e: unlisted.append(e.filename)):
            real = os.path.realpath(parent)
            folders[:] = [
                name for name in sorted(folders) if not name.startswith(".") and real not in visited
            ]
            if real in visited:
                continue
            visited.add(real)
            inner = (os.path.join(parent, name) for name in folders)
            waiting += [path for path in inner if os.path.islink(path)]
            for name in sorted(names):
                path = Path(parent, name)
                if not name.startswith(".") and has_suffix(name, suffixes) and _is_wanted(path):
                    yield path
    yield from map(Path, sorted(unlisted))


def matches(pattern: str) -> tuple[Path, list[Path]]:
    """Return what a pattern matches, ordered by name, and the folder that it starts from.

    Args:
        pattern: as for `glob`, with `**` for folders below folders. A folder that exists is meant
            as it is called: "take [1]/*.wav".
    """
    literal = ""
    parts = list(Path(pattern).parts)
    while parts and os.path.isdir(os.path.join(literal, parts[0])):
        literal = os.path.join(literal, parts.pop(0))
    escaped = os.path.join(glob.escape(literal), *parts)
    return Path(literal), sorted(Path(match) for match in glob.glob(escaped, recursive=True))


def numbered(pattern: str) -> Iterator[str]:
    """Yield what WebDataset's braces stand for: shards/{000..123}.tar is 124 names.

    Args:
        pattern: a path or pattern; without braces, or if it exists, it stands for itself.
    """
    found = NUMBERS.search(pattern)
    if found is None or os.path.exists(pattern):
        yield pattern
        return
    first, last = found.groups()
    for number in range(int(first), int(last) + 1):
        name = f"{number:0{len(first)}}"
        yield from numbered(pattern[: found.start()] + name + pattern[found.end() :])


def _is_wanted(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True  # it fails, and is reported, when it is opened
