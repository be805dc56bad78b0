"""A model folder's `config.json`: which token rates it offers, and the files of each; no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from semanticodec.errors import CheckpointError
from semanticodec.files import read_json

FORMAT = 1
CONFIG_NAME = "config.json"
LARGEST = 1 << 24  # bytes; the built-in model's has 17 kB
DEFAULT_MODEL = Path(__file__).resolve().parent.parent / "default_model"


def read_index(folder: Path) -> dict[str, Any]:
    """Return the checked content of a model folder's `config.json`."""
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise CheckpointError(f"{folder} has no {CONFIG_NAME}; is it a model folder?")
    try:
        index = read_config(path)
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{path} is not valid JSON ({error}); restore the file") from error
    if not isinstance(index, dict) or not isinstance(index.get("token_rates"), dict):
        raise CheckpointError(f"{path} lists no token_rates; it is no model of this codec")
    rates = index["token_rates"]
    if not rates or not all(rate.isdecimal() for rate in rates):
        raise CheckpointError(
            f"{path} lists the token rates {', '.join(map(repr, rates)) or 'none'}; they are to be "
            "numbers of tokens per second, at least one"
        )
    if index.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} has format {index.get('format')!r}, this version reads {FORMAT}; upgrade"
        )
    return index


def read_config(path: Path) -> Any:
    """Return the content of a `config.json` of any kind.

    Raises:
        ValueError: no JSON, or more than any model has to say.
        OSError: it cannot be read.
    """
    if path.stat().st_size > LARGEST:
        raise ValueError(f"more than {LARGEST >> 20} MiB")
    return read_json(path)


def weight_files(folder: Path, token_rate: str, setting: Any) -> list[Path]:
    """Return the weight files of one token rate of a model folder.

    Args:
        folder: model folder.
        token_rate: tokens per second, as `config.json` writes them.
        setting: entry of `config.json` for that rate.
    Raises:
        CheckpointError: it names none, or files that are not beside it.
    """
    if not isinstance(setting, dict) or not isinstance(setting.get("weights"), list):
        raise CheckpointError(
            f"{folder / CONFIG_NAME} names no weights for token rate {token_rate}"
        )
    files = []
    for name in setting["weights"]:
        # A name with a path in it could point anywhere on the reader's disk.
        if (
            not isinstance(name, str)
            or Path(name).name != name
            or not name.endswith(".safetensors")
        ):
            raise CheckpointError(f"{name!r} is no plain .safetensors file name in {CONFIG_NAME}")
        files.append(folder / name)
    return files
