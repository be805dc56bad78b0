"""Features kept on a machine's own disk, for its processes and for further runs.

CACHE/NAME/index.json      what the features were made from, and their number
CACHE/NAME/features.npy    one row per feature; the folder appears when all are there

A name stands for recordings, module and choice, so one folder serves many runs at a time.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from semanticodec.errors import DataError
from semanticodec.files import atomic_folder, json_digest, output_errors, read_json, write_json

FEATURES_NAME, INDEX_NAME = "features.npy", "index.json"
NAME_LENGTH = 16


def kept_features(
    folder: Path,
    origin: Mapping[str, Any],
    compute: Callable[[Path], Float[np.ndarray, "N D"]],
) -> Float[np.ndarray, "N D"]:
    """Return features from the cache, computed now if no process has before.

    Of several processes that ask for the same features one computes them and the others wait.

    Args:
        folder: the cache, on a disk of this machine.
        origin: JSON values that decide what the features are.
        compute: writes them to the `.npy` file that it is given and returns those that count.
    Returns:
        The rows as a memory map.
    Raises:
        DataError: the cache is damaged.
        OutputError: it cannot be written.
    """
    target = folder / json_digest(origin)[:NAME_LENGTH]
    with _only_process(target.with_name(f".{target.name}.lock")):
        if not target.is_dir():
            with atomic_folder(target) as partial:
                number = len(compute(partial / FEATURES_NAME))
                write_json(partial / INDEX_NAME, {**origin, "num_features": number})
    try:
        number = read_json(target / INDEX_NAME)["num_features"]
        rows = np.load(target / FEATURES_NAME, mmap_mode="r", allow_pickle=False)
        if not 0 <= number <= len(rows):
            raise ValueError(f"{number} of {len(rows)} features")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{target} is damaged ({error!r}); delete that folder, and its features are computed "
            "again"
        ) from error
    return rows[:number]


@contextmanager
def _only_process(path: Path) -> Iterator[None]:
    """Wait until no other process is in the block; the system lets go when a process dies."""
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
