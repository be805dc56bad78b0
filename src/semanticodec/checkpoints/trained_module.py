"""Single modules of the codec, as the training stages export them and build on them.

FOLDER/config.json         {"module": "vae", "config": {...}, "training": {...}}
FOLDER/model.safetensors   weights in float32, or in float16 where the run asked for it
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from jaxtyping import Float
from torch import Tensor, nn

from semanticodec.checkpoints.index import read_config
from semanticodec.checkpoints.pretrained import (
    CONFIG_NAME,
    WEIGHTS_NAME,
    check_finite,
    check_shapes,
    check_types,
    opened,
    write_weights,
)
from semanticodec.config import TAG, config_from_dict, config_to_dict
from semanticodec.decoder.vae import VAE, VAEConfig
from semanticodec.decoder.vocoder import Vocoder, VocoderConfig
from semanticodec.decoder.vocoders import VOCODERS, make_vocoder
from semanticodec.encoder.audiomae import AudioMAE
from semanticodec.encoder.semantic_quantizer import BUFFER_PREFIX
from semanticodec.errors import CheckpointError
from semanticodec.files import file_digest, write_json
from semanticodec.layers.uninitialized import Limited
from semanticodec.runtimes.onednn import use_onednn

CODEBOOK = "codebook"

Module = TypeVar("Module", bound=nn.Module)


def export_module(
    folder: Path, *, name: str, config: Mapping[str, Any], weights: Mapping[str, Tensor]
) -> None:
    """Write one trained module.

    Args:
        folder: folder for the two files, created when missing.
        name: name of the module, which is that of the stage that trains it: "vae".
        config: the module's Config as `config_to_dict` gives it, or another JSON object.
        weights: the module's state dict; floats are stored as float32.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # A copy of each: safetensors refuses tensors that share memory (tied weights).
    copies = {key: _float32(tensor.detach().clone()) for key, tensor in weights.items()}
    write_weights(folder / WEIGHTS_NAME, copies, None)
    write_json(folder / CONFIG_NAME, {"module": name, "config": dict(config)})


def export_trained(folder: Path, name: str, module: nn.Module) -> None:
    """Write a module that has a `config`, see `export_module`."""
    config, weights = config_to_dict(module.config), module.state_dict()
    export_module(folder, name=name, config=config, weights=weights)


def read_module(path: Path, name: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read what `export_module` wrote.

    Args:
        path: folder of the export, or one of its files.
        name: name of the module that is expected.
    Returns:
        The module's configuration (sequences as lists) and its weights in float32.
    Raises:
        CheckpointError: A file is missing or damaged, weights are NaN or infinite, or the folder
            holds another module.
    """
    return _read_description(path, name), _read_tensors(path)


def _read_description(path: Path, name: str) -> dict[str, Any]:
    folder = _folder(path)
    try:
        found, config = _named_config(read_config(folder / CONFIG_NAME))
        if not (folder / WEIGHTS_NAME).is_file():
            raise ValueError(f"{WEIGHTS_NAME} is missing")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{folder} is not an exported module ({error}). Give the `export` folder of a "
            f"finished run of `semanticodec train {name}`."
        ) from error
    if found != name:
        raise CheckpointError(
            f"{folder} holds the module {found!r}, not {name!r}. Give the export of a run of "
            f"`semanticodec train {name}`."
        )
    return config


def _read_tensors(path: Path) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = {}
    file_path = _folder(path) / WEIGHTS_NAME
    with opened(file_path) as file:
        for key in file.keys():  # noqa: SIM118 - not a dict
            weights[key] = _float32(file.get_tensor(key))
            check_finite(weights[key], key, file_path)
    return weights


def _read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    with opened(_folder(path) / WEIGHTS_NAME) as file:
        return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118


def _load_weights(module: nn.Module, path: Path) -> None:
    """Read the weights of an export into a module that has them by name and shape.

    Raises:
        CheckpointError: damaged, NaN or infinite weights, or of another type.
    """
    weights = _read_tensors(path)
    check_types(module, weights)
    module.load_state_dict(weights)


def _folder(path: Path) -> Path:
    return path.parent if path.is_file() else path


def _float32(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _named_config(description: Any) -> tuple[str, dict[str, Any]]:
    """Return the name and the configuration of the module that a config.json describes."""
    config = dict(description["config"])
    if "module" in description:
        return description["module"], config
    # Up to version 0.1 the key was "box", with the class of a vocoder for its name.
    box = description["box"]
    return ("vocoder", {TAG: box, **config}) if box in VOCODERS else (box, config)


def module_digest(path: Path) -> str:
    """Return a short name of an exported module's weights."""
    return file_digest(_folder(path) / WEIGHTS_NAME)[:16]


def restore_module(module: nn.Module, path: Path, name: str) -> None:
    """Give a module of a run the weights of an export.

    Args:
        module: module to load into, made from its `config`.
        path: folder of the export, or one of its files.
        name: name of the module.
    Raises:
        CheckpointError: no such export, or one of another class or other sizes.
    """
    config = _read_description(path, name)
    ours = config_to_dict(module.config).get(TAG)
    if config.get(TAG) != ours:
        raise CheckpointError(
            f"{path} holds a {name} of the class {config.get(TAG)!r}, not {ours!r} as the recipe "
            "has it. Use a recipe for that class."
        )
    try:
        check_shapes(module, _read_shapes(path))
    except CheckpointError as error:
        raise CheckpointError(
            f"{path} holds the module {name!r} in other sizes than the recipe's: {error}"
        ) from error
    _load_weights(module, path)


def load_audiomae(path: Path) -> AudioMAE:
    """Read an export of AudioMAE, frozen and in evaluation mode.

    Raises:
        CheckpointError: the folder holds no (or a damaged) export of AudioMAE.
    """
    return _frozen_module(path, "audiomae", AudioMAE.Config, AudioMAE)


def load_vae(path: Path) -> VAE:
    """Read an export of both halves of the VAE, frozen and in evaluation mode.

    Raises:
        CheckpointError: the folder holds no (or a damaged) export of a VAE.
    """
    return _frozen_module(path, "vae", VAEConfig, VAE)


def load_vocoder(path: Path) -> Vocoder:
    """Read an exported vocoder of any class, frozen and in evaluation mode.

    Raises:
        CheckpointError: the folder holds no (or a damaged) export of a vocoder.
    """
    return _frozen_module(path, "vocoder", VocoderConfig, make_vocoder)


def _frozen_module(path: Path, name: str, kind: type, make: Callable[[Any], Module]) -> Module:
    values, shapes = _read_description(path, name), _read_shapes(path)
    try:
        with Limited(shapes.values()):
            module = make(config_from_dict(kind, values))
        check_shapes(module, shapes)
    # A hostile or damaged description may fail in any way.
    except Exception as error:
        raise CheckpointError(
            f"{path} holds the module {name!r}, whose {CONFIG_NAME} and weights do not fit "
            f"together ({error}). Export it again with `semanticodec train {name}`."
        ) from error
    _load_weights(module, path)
    return use_onednn(module.requires_grad_(False).eval())


def load_codebooks(path: Path, *, width: int, stack_factor: int) -> dict[int, Float[Tensor, "K D"]]:
    """Read an export of the semantic codebooks.

    Args:
        path: folder of the export.
        width: width of the stacked features that the codebooks must fit.
        stack_factor: stack factor that they must be made for.
    Returns:
        Centroids by vocabulary size, ascending.
    Raises:
        CheckpointError: no such export, or one for other features.
    """
    config = _read_description(path, CODEBOOK)
    if (config.get("width"), config.get("stack_factor")) != (width, stack_factor):
        raise CheckpointError(
            f"The codebooks in {path} are for features {config.get('width')} wide with stack "
            f"factor {config.get('stack_factor')}, but {width} and {stack_factor} are needed. "
            "Cluster again with the same AudioMAE and stack factor."
        )
    sizes = _codebook_sizes(path, width)
    weights = _read_tensors(path)
    return {size: weights[f"{BUFFER_PREFIX}{size}"] for size in sizes}


def _codebook_sizes(path: Path, width: int) -> list[int]:
    sizes = []
    for key, shape in _read_shapes(path).items():
        size = key.removeprefix(BUFFER_PREFIX)
        if not size.isdecimal() or shape != (int(size), width):
            raise CheckpointError(
                f"{path} has {key} of shape {list(shape)} among its codebooks, which are "
                f"{BUFFER_PREFIX}SIZE of shape [SIZE, {width}]. Cluster again."
            )
        sizes.append(int(size))
    return sorted(sizes)


def load_domain_entries(path: Path) -> tuple[tuple[int, tuple[tuple[str, int], ...]], ...]:
    """Return which entries of exported codebooks came from which domain, for a codec's config.

    Args:
        path: folder of the export.
    Raises:
        CheckpointError: no such export.
    """
    config = _read_description(path, CODEBOOK)
    entries: dict[str, dict[str, int]] = config.get("entries", {})
    return tuple((int(size), tuple(domains.items())) for size, domains in entries.items())
