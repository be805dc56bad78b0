"""The tables for entropy coding of a model folder: one file for each token rate and vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from semanticodec.container.entropy import EntropyCoder
from semanticodec.errors import CheckpointError, ContainerError
from semanticodec.files import atomic_path
from semanticodec.token_format import TokenFormat

_MODEL = "model"  # of the metadata: fingerprint of the model whose codes the tables describe


def tables_path(folder: Path, format: TokenFormat) -> Path:
    """Return where a model folder has the tables of a setting, if it has any."""
    return folder / f"entropy_{format.token_rate}_{format.semantic_vocab_size}.safetensors"


def write_tables(path: Path, tables: Mapping[str, NDArray[np.generic]], fingerprint: bytes) -> None:
    """Write tables atomically.

    Args:
        path: `tables_path` of the model folder.
        tables: as `EntropyCoder` takes them.
        fingerprint: of the model.
    """
    with atomic_path(path) as partial:
        save_file(dict(tables), partial, metadata={_MODEL: fingerprint.hex()})


def read_coder(path: Path, format: TokenFormat, fingerprint: bytes) -> EntropyCoder:
    """Return the coder of a model's codes.

    Args:
        path: `tables_path` of the model folder.
        format: setting of the model.
        fingerprint: of the model.
    Raises:
        CheckpointError: no file, a damaged one, or tables of another model.
    """
    if not path.is_file():
        raise CheckpointError(
            f"the model has no tables for entropy coding ({path.name} in its folder): make them "
            "with `python -m experiments.entropy_tables`, or do without entropy coding"
        )
    try:
        with safe_open(path, framework="numpy") as file:
            model = (file.metadata() or {}).get(_MODEL)
            tables = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is not a readable safetensors file ({error}); download it again"
        ) from error
    if model != fingerprint.hex():
        raise CheckpointError(
            f"{path} has the tables of model {model}, this is {fingerprint.hex()}: make them again"
        )
    try:
        return EntropyCoder(format, tables)
    except ContainerError as error:
        raise CheckpointError(f"{path}: {error}") from error
