"""Which shards a format's folder holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def shard_files(folder: Path, prefix: str, suffix: str) -> list[Path]:
    """Return the files PREFIX + shard + SUFFIX of a folder, in the order of shards."""
    return sorted(path for path in _visible(folder) if _is_called(path.name, prefix, suffix))


def shard_folders(folder: Path) -> list[Path]:
    """Return the folders of a folder's shards, in order."""
    return sorted(path for path in _visible(folder) if path.is_dir())


def relative(folder: Path, paths: Sequence[Path]) -> list[Path]:
    """Return paths relative to the folder of the corpus."""
    return [path.relative_to(folder) for path in paths]


def _visible(folder: Path) -> list[Path]:
    """Return what stands in a folder; unfinished files are hidden."""
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def _is_called(name: str, prefix: str, suffix: str) -> bool:
    return name.startswith(prefix) and name.endswith(suffix)
