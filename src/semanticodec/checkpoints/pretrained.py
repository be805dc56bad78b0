"""Model folders: `config.json` + `*.safetensors`, on disk, in the package or on the Hub.

    config.json   {"format": 1, "default_token_rate": 100,
                   "token_rates": {"100": {"config": {...}, "weights": ["model.safetensors"]}}}

Several token rates may share weight files; nothing is ever unpickled.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from semanticodec.checkpoints.codebook_grid import SCALE_SUFFIX, from_int8, to_int8
from semanticodec.checkpoints.codebook_sums import with_sums, with_sums_shape, without_sums
from semanticodec.checkpoints.hub import ANY_ACCESS, HubAccess, download_model
from semanticodec.checkpoints.index import (
    CONFIG_NAME,
    DEFAULT_MODEL,
    FORMAT,
    read_index,
    weight_files,
)
from semanticodec.config import CodecConfig, config_from_dict, config_to_dict
from semanticodec.encoder.quantizers import QUANTIZERS
from semanticodec.errors import CheckpointError, ConfigError, told
from semanticodec.files import atomic_path, checked_path, write_json

WEIGHTS_NAME = "model.safetensors"
CODEBOOK_KEY = "encoder.semantic.codebook_"
# In front of every key where `hf.SemantiCodecModel`, which holds a codec, saved the weights.
HF_PREFIX = "codec."
# Stored in full whatever the precision of the rest: small, and float16 would break them (noise
# levels near 1, counts beyond 65 504).
FULL_PRECISION = (
    "decoder.schedule.",
    "decoder.preconditioning.",
    "decoder.latent_scale",
    *(f"encoder.quantizer.{name}" for kind in QUANTIZERS.values() for name in kind.full_precision),
)


def model_folder(
    source: str | os.PathLike[str] | None = None, access: HubAccess = ANY_ACCESS
) -> Path:
    """Return the folder that holds a model.

    Args:
        source: model folder or Hub id `owner/name`; None for the built-in model.
        access: settings of the access to the Hub.
    Raises:
        CheckpointError: no such folder, and no Hub model that can be reached.
    """
    if source is None:
        return DEFAULT_MODEL
    folder = checked_path(source, "the model")
    if folder.is_dir():
        return folder
    if folder.exists() or not _is_hub_id(str(source)):
        raise CheckpointError(
            f"{source} is no model folder; give a folder with {CONFIG_NAME}, or a Hub id owner/name"
        )
    return download_model(str(source), access)


def _is_hub_id(source: str) -> bool:
    owner, _, name = source.partition("/")
    return bool(owner and name) and "/" not in name and not source.startswith((".", "~"))


def read_setting(folder: Path, token_rate: int | None = None) -> tuple[CodecConfig, list[Path]]:
    """Return configuration and weight files of one token rate of a model folder."""
    chosen, setting = entry_of(read_index(folder), token_rate, f"the model in {folder.name}")
    files = weight_files(folder, chosen, setting)
    config = config_from_dict(CodecConfig, setting.get("config"))
    if str(config.token_rate) != chosen:
        raise CheckpointError(
            f"{folder / CONFIG_NAME} has under {chosen} tokens per second a setting for "
            f"{config.token_rate}; restore the file"
        )
    return config, files


def index_entry(config: CodecConfig, weights: list[str]) -> dict[str, Any]:
    """Return what `config.json` holds of one setting, under its token rate."""
    return {str(config.token_rate): {"config": config_to_dict(config), "weights": weights}}


def entry_of(
    index: Mapping[str, Any], token_rate: int | None, where: str
) -> tuple[str, dict[str, Any]]:
    """Return a token rate (default: the model's own) and its entry in a `config.json`."""
    rates = index["token_rates"]
    default = index.get("default_token_rate") or next(iter(rates), None)
    asked = default if token_rate is None else token_rate
    chosen = str(asked)
    if chosen not in rates:
        raise ConfigError(
            f"{where} has no {told(asked)} tokens per second; it offers "
            f"{', '.join(rates) or 'none'}"
        )
    return chosen, rates[chosen]


def choose_vocabulary(config: CodecConfig, semantic_vocab_size: int | None) -> CodecConfig:
    """Return the configuration with a single semantic vocabulary (default: the largest)."""
    offered = config.encoder.semantic.vocab_sizes
    if not offered:
        raise ConfigError("the model has no semantic vocabulary; is config.json whole?")
    chosen = max(offered) if semantic_vocab_size is None else semantic_vocab_size
    if not isinstance(chosen, Integral) or chosen not in offered:
        raise ConfigError(
            f"semantic_vocab_size is {told(chosen)}; this model offers "
            f"{', '.join(map(str, offered))}"
        )
    semantic = replace(config.encoder.semantic, vocab_sizes=(int(chosen),))
    return replace(config, encoder=replace(config.encoder, semantic=semantic))


def read_weights(files: list[Path], config: CodecConfig) -> dict[str, Tensor]:
    """Return the float32 state of the codec, without codebooks of other vocabularies.

    Raises:
        CheckpointError: a file is missing or damaged, or has NaN or infinite weights.
    """
    state: dict[str, Tensor] = {}
    for path in files:
        with opened(path) as file:
            for key, stored_key in _wanted_keys(file, config):
                state[key] = _read_tensor(file, stored_key)
                check_finite(state[key], stored_key, path)
    return with_sums(state)


def check_finite(tensor: Tensor, key: str, path: Path) -> None:
    """Refuse weights that are no numbers.

    Raises:
        CheckpointError: NaN or infinite values; it names the tensor and its file.
    """
    if not tensor.isfinite().all():
        raise CheckpointError(f"{path} has NaN or infinite weights in {key}; download it again")


def read_shapes(files: list[Path], config: CodecConfig) -> dict[str, tuple[int, ...]]:
    """Return the shapes of what `read_weights` would return, from the heads of the files alone.

    Raises:
        CheckpointError: a file is missing or damaged.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for path in files:
        with opened(path) as file:
            for key, stored_key in _wanted_keys(file, config):
                shapes[key] = tuple(file.get_slice(stored_key).get_shape())
    return with_sums_shape(shapes)


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Give a safetensors file whose head has been read, and nothing else.

    Raises:
        CheckpointError: missing, damaged, or claiming more than it is long.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} is missing; restore it or download the model again")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is not a readable safetensors file ({error}); download it again"
        ) from error


def _wanted_keys(file: Any, config: CodecConfig) -> Iterator[tuple[str, str]]:
    """Yield the codec's name and the file's of all tensors but other vocabularies' codebooks."""
    wanted = {f"{CODEBOOK_KEY}{size}" for size in config.encoder.semantic.vocab_sizes}
    for stored_key in file.keys():  # noqa: SIM118 - not a dict
        key = stored_key.removeprefix(HF_PREFIX)
        if not key.startswith(CODEBOOK_KEY) or key in wanted:
            yield key, stored_key


def _read_tensor(file: Any, key: str) -> Tensor:
    tensor: Tensor = file.get_tensor(key)
    if key.startswith(CODEBOOK_KEY) and tensor.dtype == torch.int8:
        scale = key + SCALE_SUFFIX
        return from_int8(tensor, file.get_tensor(scale) if scale in file.keys() else None)  # noqa: SIM118
    return tensor.float() if tensor.is_floating_point() else tensor


def check_shapes(module: torch.nn.Module, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse weights that a module does not have.

    Raises:
        CheckpointError: names or shapes differ from the configuration.
    """
    own = module.state_dict()
    _refuse("missing", sorted(set(own) - set(shapes)))
    _refuse("unknown", sorted(set(shapes) - set(own)))
    _refuse("wrong shape of", [key for key in own if own[key].shape != shapes[key]])


def load_state(module: torch.nn.Module, state: dict[str, Tensor]) -> None:
    """Load `state` into `module` strictly, taking the tensors as they are (no second copy).

    Raises:
        CheckpointError: names, shapes or types differ from the configuration.
    """
    check_shapes(module, {key: tuple(tensor.shape) for key, tensor in state.items()})
    check_types(module, state)
    module.load_state_dict(state, assign=True)


def check_types(module: torch.nn.Module, state: Mapping[str, Tensor]) -> None:
    """Refuse weights of other types than a module's, which has them all.

    Raises:
        CheckpointError: integers for floats, for instance.
    """
    own = module.state_dict()
    _refuse("wrong type of", [key for key in own if own[key].dtype != state[key].dtype])


def _refuse(what: str, keys: list[str]) -> None:
    if keys:
        raise CheckpointError(
            f"weights do not fit the configuration: {what} {len(keys)} tensors, "
            f"first {', '.join(keys[:3])}; do config.json and weights belong together?"
        )


def write_model(
    folder: str | os.PathLike[str],
    config: CodecConfig,
    state: dict[str, Tensor],
    *,
    dtype: torch.dtype | None = None,
) -> Path:
    """Write `config.json` and `model.safetensors` of one setting, each atomically.

    Args:
        folder: created if missing; the two files are replaced.
        config: the setting.
        state: the codec's state dict.
        dtype: precision of the stored weights (None keeps theirs). With one of 16 bits, semantic
            codebooks that lie on the grid of `codebook_grid` take 8, without a change of value.
    """
    return write_models(folder, [(config, {Path(WEIGHTS_NAME).stem: state})], dtype=dtype)


def write_models(
    folder: str | os.PathLike[str],
    settings: Iterable[tuple[CodecConfig, Mapping[str, Mapping[str, Tensor]]]],
    *,
    dtype: torch.dtype | None = None,
) -> Path:
    """Write several settings, spread over files of which some may be the same, each atomically.

    Args:
        folder: created if missing; its `config.json` and files of these names are replaced.
        settings: every token rate with its weights by file name, without the suffix; a file that
            several rates name is written once. The first rate is the default.
        dtype: precision of the stored weights, as in `write_model`.
    """
    target = Path(folder)
    rates: dict[str, Any] = {}
    written: set[str] = set()
    for config, files in settings:
        for name in files.keys() - written:
            write_weights(target / f"{name}.safetensors", files[name], dtype)
            written.add(name)
        rates |= index_entry(config, [f"{name}.safetensors" for name in files])
    index = {"default_token_rate": int(next(iter(rates))), "token_rates": rates}
    write_json(target / CONFIG_NAME, {"format": FORMAT, **index})
    return target


def write_weights(path: Path, state: Mapping[str, Tensor], dtype: torch.dtype | None) -> None:
    """Write a weight file atomically, as `stored` holds its tensors."""
    with atomic_path(path) as partial:
        save_file(stored(state, dtype), partial, metadata={"format": "pt"})


def stored(state: Mapping[str, Tensor], dtype: torch.dtype | None) -> dict[str, Tensor]:
    """Return tensors as a weight file holds them: weights in `dtype`, fragile values in full.

    Only a file that is to be small (16 bits) is worth a form of its own for codebooks.
    """
    is_compact = dtype is not None and dtype.itemsize <= 2
    tensors: dict[str, Tensor] = {}
    for key, tensor in (without_sums(state) if is_compact else state).items():
        is_codebook = key.startswith(CODEBOOK_KEY) and tensor.ndim == 2
        is_to_shrink = is_compact and is_codebook and tensor.is_floating_point()
        in_8_bits = to_int8(tensor.detach().cpu()) if is_to_shrink else None
        if in_8_bits is None:
            tensors[key] = _stored_tensor(key, tensor, dtype)
        else:
            tensors[key], tensors[key + SCALE_SUFFIX] = in_8_bits
    return tensors


def _stored_tensor(key: str, tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    is_scale = key.startswith(CODEBOOK_KEY) and key.endswith(SCALE_SUFFIX)
    is_fragile = is_scale or key.startswith(FULL_PRECISION)
    is_reduced = tensor.is_floating_point() and not is_fragile
    return tensor.detach().to("cpu", dtype if is_reduced else None).contiguous()
