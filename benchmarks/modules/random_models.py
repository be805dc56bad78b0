"""Official sizes with random weights, and only of the modules that are measured."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from semanticodec.checkpoints.official import official_config
from semanticodec.codec import SemantiCodec
from semanticodec.config import CodecConfig
from semanticodec.decoder.schedule import Schedule

WEIGHT_SCALE = 0.7  # of products' outputs over their inputs, about that of trained weights


def official_codec(
    token_rate: int,
    semantic_vocab_size: int,
    parts: Iterable[str],
    device: str | torch.device,
    dtype: torch.dtype,
) -> SemantiCodec:
    """Return a codec of an official size with random weights; it computes as a trained one does.

    Args:
        token_rate: 25, 50 or 100.
        semantic_vocab_size: entries of the semantic codebook.
        parts: modules that get weights, such as "decoder.unet"; the others take no memory and
            cannot be used.
        device: device of the model.
        dtype: precision of everything after the quantizers.
    Raises:
        ConfigError: no such token rate.
    """
    config = official_config(token_rate, semantic_vocab_size)
    codec = weightless(config)
    generator = torch.Generator().manual_seed(0)
    codec.decoder.schedule = Schedule(config.decoder.schedule)
    codec.decoder.latent_scale = torch.ones((), device=device)
    parts = tuple(parts)
    for part in parts:
        _fill(codec.get_submodule(part), generator)
    for part in ("fbank", "decoder.condition", "decoder.schedule", *parts):
        codec.get_submodule(part).to(device)
    codec.decoder.to(dtype)
    return codec.eval().requires_grad_(False)


def weightless(config: CodecConfig) -> SemantiCodec:
    """Return a codec whose weights have shapes and no memory."""
    with torch.device("meta"):
        return SemantiCodec(config)


def _fill(module: nn.Module, generator: torch.Generator) -> None:
    state = {name: _random(name, tensor, generator) for name, tensor in module.state_dict().items()}
    module.load_state_dict(state, assign=True)


def _random(name: str, tensor: Tensor, generator: torch.Generator) -> Tensor:
    """Return values of a trained tensor's scale; zeros would make products with them cheap."""
    if tensor.dim() < 2:
        return torch.zeros(tensor.shape) if "bias" in name else torch.ones(tensor.shape)
    values = torch.empty(tensor.shape)
    return values.normal_(std=WEIGHT_SCALE / tensor[0].numel() ** 0.5, generator=generator)
