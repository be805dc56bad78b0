"""Single modules of the codec, as the training stages export them and build on them.

FOLDER/config.json         {"module": "vae", "config": {...}, "training": {...}}
FOLDER/model.safetensors   weights in float32, or in float16 where the run asked for it
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from semanticodec.checkpoints.pretrained import CONFIG_NAME, WEIGHTS_NAME, write_weights
from semanticodec.config import TAG, config_from_dict, config_to_dict
from semanticodec.decoder.vae import VAE, VAEConfig
from semanticodec.decoder.vocoder import Vocoder, VocoderConfig
from semanticodec.decoder.vocoders import VOCODERS, make_vocoder
from semanticodec.encoder.audiomae import AudioMAE
from semanticodec.encoder.semantic_quantizer import BUFFER_PREFIX
from semanticodec.errors import CheckpointError, ConfigError
from semanticodec.files import file_digest, read_json, write_json
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
        CheckpointError: A file is missing or damaged, or the folder holds another module.
    """
    folder = _folder(path)
    try:
        description = read_json(folder / CONFIG_NAME)
        found, config = _named_config(description)
        weights = load_file(folder / WEIGHTS_NAME)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CheckpointError(
            f"{folder} is not an exported module ({error}). Give the `export` folder of a "
            f"finished run of `semanticodec train {name}`."
        ) from error
    if found != name:
        raise CheckpointError(
            f"{folder} holds the module {found!r}, not {name!r}. Give the export of a run of "
            f"`semanticodec train {name}`."
        )
    return config, {key: _float32(tensor) for key, tensor in weights.items()}


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
    config, weights = read_module(path, name)
    ours = config_to_dict(module.config).get(TAG)
    if config.get(TAG) != ours:
        raise CheckpointError(
            f"{path} holds a {name} of the class {config.get(TAG)!r}, not {ours!r} as the recipe "
            "has it. Use a recipe for that class."
        )
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(
            f"{path} holds the module {name!r} in other sizes than the recipe's: {error}"
        ) from error


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
    values, weights = read_module(path, name)
    try:
        module = make(config_from_dict(kind, values))
        module.load_state_dict(weights)
    except (ConfigError, RuntimeError) as error:
        raise CheckpointError(
            f"{path} holds the module {name!r}, whose {CONFIG_NAME} and weights do not fit "
            f"together ({error}). Export it again with `semanticodec train {name}`."
        ) from error
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
    config, weights = read_module(path, CODEBOOK)
    if (config.get("width"), config.get("stack_factor")) != (width, stack_factor):
        raise CheckpointError(
            f"The codebooks in {path} are for features {config.get('width')} wide with stack "
            f"factor {config.get('stack_factor')}, but {width} and {stack_factor} are needed. "
            "Cluster again with the same AudioMAE and stack factor."
        )
    sizes = sorted(int(name.removeprefix(BUFFER_PREFIX)) for name in weights)
    return {size: weights[f"{BUFFER_PREFIX}{size}"] for size in sizes}


def load_domain_entries(path: Path) -> tuple[tuple[int, tuple[tuple[str, int], ...]], ...]:
    """Return which entries of exported codebooks came from which domain, for a codec's config.

    Args:
        path: folder of the export.
    Raises:
        CheckpointError: no such export.
    """
    config, _ = read_module(path, CODEBOOK)
    entries: dict[str, dict[str, int]] = config.get("entries", {})
    return tuple((int(size), tuple(domains.items())) for size, domains in entries.items())
