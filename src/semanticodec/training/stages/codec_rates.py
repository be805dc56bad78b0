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
from semanticodec.progress import ProgressBar
from semanticodec.training import distributed
from semanticodec.training.acoustic_start import Window, start_shown, start_told
from semanticodec.training.stages.codec_rate import CodecRate

# Weight files of a model of several token rates, by what they hold.
SHARED_FILES = {"audiomae": ("encoder.audiomae.",), "decoder": ("decoder.",)}
OWN_FILES = {
    "semantic": ("encoder.semantic.",),
    "acoustic": ("encoder.acoustic.", "encoder.quantizer.", "decoder.condition."),
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


def keep_told(rates: Sequence[CodecRate]) -> None:
    """Leave what codes tell of the mel at its start: encoder and decoder count on the same."""
    for rate in rates:
        if rate.sees_mel:
            rate.told.requires_grad_(False)
        rate.condition.requires_grad_(False)


def start_codes(
    rates: Sequence[CodecRate],
    examples: Callable[[int], Iterable[tuple[int, Mapping[str, Tensor]]]],
    *,
    num_map_windows: int,
    num_code_windows: int,
    seed: int,
    show_progress: bool,
) -> None:
    """Start the acoustic codes of all rates, and what encoder and decoder tell of the mel.

    Args:
        rates: all rates of the codec.
        examples: gives numbered results of the frozen modules for K = 1 of so many windows.
        num_map_windows: windows that regressions and axes are made from.
        num_code_windows: windows that codes are made from, for each patch of a position.
        seed: random seed of the quantizers' choice.
        show_progress: draw a bar, where stderr is a terminal.
    """
    sees_mel = rates[0].sees_mel
    windows = [rate.windows(examples(num_map_windows)) for rate in rates] if sees_mel else []
    if sees_mel:
        _start_sight_of_mel(rates, windows)
    shown = show_progress and distributed.is_main()
    for rate in rates:
        given = examples(num_code_windows * rate.stack_factor)
        label = f"start of the acoustic codes at {rate.config.token_rate} tokens/s"
        with ProgressBar(given, label=label, unit="window", shown=shown) as bar:
            rate.start_codes(bar, seed)
    if sees_mel:
        _start_sight_of_codes(rates, windows)


def _start_sight_of_mel(rates: Sequence[CodecRate], windows: Sequence[Sequence[Window]]) -> None:
    """Start acoustic encoders that see the mel; their codes come next."""
    start_told([rate.told for rate in rates], windows)
    for rate, given in zip(rates, windows, strict=True):
        rate.start_axes(given)


def _start_sight_of_codes(rates: Sequence[CodecRate], windows: Sequence[Sequence[Window]]) -> None:
    """Start what the decoder is told of the mel, at every rate as well as it can be told."""
    for rate, given in zip(rates, windows, strict=True):
        shown = rate.condition.told
        assert shown is not None
        start_shown(shown, [rate.known_patches(window) for window in given])


def codec_state(rate: CodecRate, audiomae: AudioMAE, decoder: Decoder) -> dict[str, Tensor]:
    """Return the weights of a rate's codec by the names that a codec has for them."""
    parts: dict[str, nn.Module] = {
        "encoder.audiomae": audiomae,
        "encoder": rate.encoder,
        "decoder": decoder,
        "decoder.condition": rate.condition,
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
    state = codec_state(rates[0], audiomae, decoder)
    of_a_rate = {name for part in _files(state, OWN_FILES).values() for name in part}
    rest = {name: tensor for name, tensor in state.items() if name not in of_a_rate}
    common = _files(rest, SHARED_FILES)
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
