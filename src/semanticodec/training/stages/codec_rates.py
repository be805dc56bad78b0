"""Several token rates of one codec in training: whose turn it is, and how they are written.

What the rates have in common (AudioMAE, the decoder) is trained by all of them, and stored once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from semanticodec.checkpoints.pretrained import write_models
from semanticodec.decoder.decoder import Decoder
from semanticodec.encoder.audiomae import AudioMAE
from semanticodec.training.acoustic_start import start_told
from semanticodec.training.stages.codec_rate import CodecRate

# Weight files of a model of several token rates, by what they hold.
SHARED_FILES = {"audiomae": ("encoder.audiomae.",), "decoder": ("decoder.",)}
OWN_FILES = {
    "semantic": ("encoder.semantic.",),
    "acoustic": ("encoder.acoustic.", "encoder.quantizer."),
}
# Separates the draw of the token rate from all other numbers of a step.
RATE_STREAM = 20406


def rate_of_step(rates: Sequence[CodecRate], step: int) -> CodecRate:
    """Return the rate that a step trains: the same in all processes."""
    rng = np.random.default_rng([RATE_STREAM, step])
    return rates[int(rng.integers(len(rates)))]


def rate_suffix(rates: Sequence[CodecRate], rate: CodecRate) -> str:
    """Return what names a rate's values and files where there are several."""
    return f"_{rate.config.token_rate}" if len(rates) > 1 else ""


def share_told(rates: Sequence[CodecRate], decoder: Decoder) -> None:
    """Let all rates have what the decoder is told of the mel in common, as they have the decoder.

    Training leaves it at its start, as the acoustic encoder's part of it.
    """
    told = decoder.condition.told
    for rate in rates:
        rate.condition.told = told
        if told is not None:
            rate.told.requires_grad_(False)
            told.requires_grad_(False)


def start_sight_of_mel(
    rates: Sequence[CodecRate],
    examples: Callable[[], Iterable[tuple[int, Mapping[str, Tensor]]]],
) -> None:
    """Start acoustic encoders that see the mel, and what their decoder is told.

    Args:
        rates: all rates of the codec.
        examples: gives numbered results of the frozen modules for K = 1, one window at a time.
    """
    windows = [rate.windows(examples()) for rate in rates]
    start_told([rate.told for rate in rates], windows)
    for rate, given in zip(rates, windows, strict=True):
        assert rate.condition.told is not None
        rate.condition.told.load_state_dict(rate.told.state_dict())
        rate.start_axes(given)


def codec_state(rate: CodecRate, audiomae: AudioMAE, decoder: Decoder) -> dict[str, Tensor]:
    """Return the weights of a rate's codec by the names that a codec has for them."""
    parts: dict[str, nn.Module] = {
        "encoder.audiomae": audiomae,
        "encoder": rate.encoder,
        "decoder": decoder,
    }
    return {
        f"{part}.{name}": tensor
        for part, module in parts.items()
        for name, tensor in module.state_dict().items()
    }


def write_codec(
    folder: Path, rates: Sequence[CodecRate], audiomae: AudioMAE, decoder: Decoder
) -> None:
    """Write one model of all rates, which `SemantiCodec.from_pretrained` loads."""
    if len(rates) == 1:
        [rate] = rates
        write_models(folder, [(rate.config, {"model": codec_state(rate, audiomae, decoder)})])
        return
    common = _files(codec_state(rates[0], audiomae, decoder), SHARED_FILES)
    settings = []
    for rate in rates:
        own = _files(codec_state(rate, audiomae, decoder), OWN_FILES)
        named = {f"{name}{rate_suffix(rates, rate)}": part for name, part in own.items()}
        settings.append((rate.config, {**common, **named}))
    write_models(folder, settings)


def _files(
    state: Mapping[str, Tensor], prefixes: Mapping[str, tuple[str, ...]]
) -> dict[str, dict[str, Tensor]]:
    """Return the weights of every file."""
    return {
        name: {key: tensor for key, tensor in state.items() if key.startswith(wanted)}
        for name, wanted in prefixes.items()
    }
