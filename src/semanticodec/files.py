"""Files that appear whole or not at all, and digests of what they hold.

Standard library only: everything that writes a file, from the container to the training, uses it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DIGEST_BLOCK = 1 << 20

PathLike = str | os.PathLike[str]


@contextmanager
def atomic_path(target: PathLike) -> Iterator[Path]:
    """Give a path to write to; the file appears under `target` when the block ends without error.

    Symbolic links are followed, pipes and devices are written to and never replaced. Missing
    folders are made. The temporary name is short, so that `target` may have any legal name.

    Args:
        target: path of the finished file.
    """
    final = Path(os.path.realpath(target))
    if final.exists() and not final.is_file():
        with tempfile.TemporaryDirectory() as folder:
            partial = Path(folder) / "result"
            yield partial
            with partial.open("rb") as finished, final.open("wb") as special:
                shutil.copyfileobj(finished, special)
        return
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = final.with_name(f".{uuid.uuid4().hex}.partial")
    try:
        yield partial
        os.replace(partial, final)
    finally:
        partial.unlink(missing_ok=True)


def write_bytes(target: PathLike, data: bytes) -> None:
    """Write a file atomically."""
    with atomic_path(target) as partial:
        partial.write_bytes(data)


def write_text(target: PathLike, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    write_bytes(target, text.encode())


def write_json(target: PathLike, value: Any) -> None:
    """Write a JSON file atomically, indented, with a line feed at its end.

    Raises:
        ValueError: a number is NaN or infinite, which JSON does not know; leave its key out.
    """
    write_text(target, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def file_digest(path: PathLike) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal, read block by block."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(DIGEST_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def json_digest(value: Any) -> str:
    """Return the SHA-256 of a JSON-ready value in hexadecimal; the order of keys does not count."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
