"""A second of sound on its way through every box of the paper's Figure 2.

encoder, from above:  wav -> fbank, cut into patches -> features -> semantic, acoustic codes
decoder, from above:  condition -> noise -> latent -> mel -> wav
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int, Integer

from experiments.figures.style import PALETTE, new_figure, tidy
from semanticodec.audio.fbank import window_fbank
from semanticodec.audio.mel import window_mel
from semanticodec.audio.windows import encode_windows
from semanticodec.decoder.noise import seeded_noise
from semanticodec.decoder.sampler import Noise
from semanticodec.errors import ConfigError
from semanticodec.token_format import SAMPLE_RATE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from semanticodec import SemantiCodec
    from semanticodec.token_format import TokenFormat

PATCH = 16  # frames and bins
NUM_COLORS = 3
# Codes are names: multiplying by an odd number sends neighbors to distant colors.
SCATTER, SCATTER_RANGE = 40_503, 1 << 16


@dataclass(frozen=True, kw_only=True)
class Stages:
    """What every box makes of one window, cut to its real part."""

    format: TokenFormat
    wav: Float[np.ndarray, " S"]
    fbank: Float[np.ndarray, "T M"]
    features: Float[np.ndarray, "L D"]
    semantic: Integer[np.ndarray, " L"]
    acoustic: Integer[np.ndarray, " L"]
    context: Float[np.ndarray, "L E"]
    noise: Float[np.ndarray, "C T2 F"]
    halfway: Float[np.ndarray, "C T2 F"]
    latent: Float[np.ndarray, "C T2 F"]
    mel: Float[np.ndarray, "T M2"]
    decoded: Float[np.ndarray, " S2"]


@torch.inference_mode()
def follow(codec: SemantiCodec, wav: Float[np.ndarray, " S"], seed: int = 0) -> Stages:
    """Return what every box makes of a sound.

    Args:
        codec: codec whose boxes are followed.
        wav: waveform at 16 kHz of at most one window.
        seed: random seed of the noise.
    """
    window = next(encode_windows([wav], codec.config.pads_windows))
    fbank = window_fbank(codec.fbank, window.wav)
    features = codec.encoder.features(fbank)
    mel = window_mel(codec.mel, window.wav) if codec.encoder.sees_mel else None
    streams = codec.encoder.encode(fbank, codec.semantic_vocab_size, mel)
    length = codec.format.num_positions(len(wav))
    semantic, acoustic = (stream[:, :length] for stream in streams)
    halves = codec.encoder.quantized(semantic, acoustic, codec.semantic_vocab_size)
    context = codec.decoder.condition(*halves, features.shape[1])
    start = seeded_noise(seed, (1, *codec.decoder.config.latent_shape))
    whole = codec.format.positions_per_window
    num_frames = codec.decoder.config.latent_shape[1] * features.shape[1] // whole
    latents = _sampled(codec, context, lambda draw: start(0, draw)[:, :, :num_frames])
    latent = latents[-1]
    mel = codec.decoder.mel(latent)
    decoded = codec.decoder.waveform(mel)
    share = len(wav) / window.wav.shape[1]
    return Stages(
        format=codec.format,
        wav=wav,
        fbank=_cut(fbank[0], share),
        features=features[0, :length].numpy(),
        semantic=semantic[0].numpy(),
        acoustic=acoustic[0].numpy(),
        context=context[0, :length].float().numpy(),
        noise=_cut_latent(latents[0], share),
        halfway=_cut_latent(latents[len(latents) // 2], share),
        latent=_cut_latent(latent, share),
        mel=_cut(mel[0], share),
        decoded=decoded[0, : len(wav)].numpy(),
    )


def _sampled(
    codec: SemantiCodec, context: Float[torch.Tensor, "B L E"], noise: Noise
) -> list[Float[torch.Tensor, "B C T F"]]:
    """Return the latents of `Decoder.sample`: the noise, and what every step makes of it."""
    settings, decoder = codec.sampling(), codec.decoder
    denoise = decoder.denoiser(context, settings.guidance_scale, settings.guidance_interval)
    latents = []

    def seen(
        latent: Float[torch.Tensor, "B C T F"], timestep: Int[torch.Tensor, " B"]
    ) -> Float[torch.Tensor, "B C T F"]:
        latents.append(latent)
        return denoise(latent, timestep)

    latents.append(
        settings.solver()(
            seen,
            decoder.schedule,
            decoder.timesteps(settings.num_steps, settings.timestep_shift),
            noise,
            end_at_clean=settings.timestep_shift > 0,
        )
    )
    return latents


def _cut(values: torch.Tensor, share: float) -> np.ndarray:
    """Return the first part of the first axis, which is time."""
    return values[: round(share * len(values))].float().numpy()


def _cut_latent(
    latent: Float[torch.Tensor, "1 C T F"], share: float
) -> Float[np.ndarray, "C T2 F"]:
    return _cut(latent[0].transpose(0, 1), share).swapaxes(0, 1)  # C T F -> T C F -> C T2 F


def draw_stages(stages: Stages, title: str) -> Figure:
    """Return the picture: the encoder on the left, the decoder on the right, time to the right.

    Args:
        stages: result of `follow`.
        title: what is heard.
    """
    figure = new_figure(14.0, 11.0)
    figure.suptitle(title, parse_math=False)
    panels: Any = figure.subplots(5, 2, sharex=True)
    for number, (panel, name) in enumerate(zip(panels.T.flat, IN_BOTH_COLUMNS), start=1):
        PANELS[name](panel, stages)
        panel.set_title(f"{number}  {panel.get_title(loc='left')}", loc="left")
    _label_time(panels[-1], stages)
    return figure


def draw_some(stages: Stages, names: Sequence[str]) -> Figure:
    """Return some of the panels, one below the other.

    Args:
        stages: result of `follow`.
        names: keys of `PANELS`.
    Raises:
        ConfigError: no such stage.
    """
    for name in names:
        if name not in PANELS:
            raise ConfigError(f"there is no stage {name!r}; choose of {', '.join(PANELS)}")
    figure = new_figure(9.0, 0.5 + 2.0 * len(names))
    panels: Any = figure.subplots(len(names), sharex=True, squeeze=False)[:, 0]
    for panel, name in zip(panels, names):
        PANELS[name](panel, stages)
    _label_time(panels[-1:], stages)
    return figure


def _label_time(panels: Sequence[Axes], stages: Stages) -> None:
    for panel in panels:
        panel.set_xlabel("Time (s)")
        panel.set_xlim(0, _seconds(stages))


def _seconds(stages: Stages) -> float:
    return len(stages.wav) / SAMPLE_RATE


def _size(values: np.ndarray) -> str:
    return f"{values.shape[0]} frames × {values.shape[1]} bins"


def _draw_wav(panel: Axes, wav: Float[np.ndarray, " S"], title: str) -> None:
    panel.plot(np.arange(len(wav)) / SAMPLE_RATE, wav, color=PALETTE[0], linewidth=0.5)
    panel.set_ylim(-1, 1)
    panel.set_ylabel("Amplitude")
    panel.set_title(title, loc="left")
    tidy(panel)


def _draw_map(
    panel: Axes,
    rows: np.ndarray,
    seconds: float,
    title: str,
    label: str,
    colors: str = "inferno",
    *,
    centered: bool = False,
) -> None:
    top = np.quantile(np.abs(rows), 0.99) if centered else None
    panel.imshow(
        rows,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(0, seconds, 0, len(rows)),
        cmap=colors,
        vmin=-top if top is not None else None,
        vmax=top,
    )
    panel.set_ylabel(label)
    panel.set_title(title, loc="left")


def _draw_fbank(panel: Axes, stages: Stages) -> None:
    """Draw the filter bank and the borders of the patches."""
    seconds = _seconds(stages)
    title = f"Filter bank in patches of {PATCH} × {PATCH}: {_size(stages.fbank)}"
    _draw_map(panel, stages.fbank.T, seconds, title, "Mel bin")
    style = {"color": "white", "linewidth": 0.4, "alpha": 0.6}
    for frame in range(0, len(stages.fbank), PATCH):
        panel.axvline(frame / len(stages.fbank) * seconds, **style)
    for mel_bin in range(0, stages.fbank.shape[1], PATCH):
        panel.axhline(mel_bin, **style)


def _draw_features(panel: Axes, stages: Stages) -> None:
    """Draw features as colors: alike where AudioMAE finds two patches alike."""
    centered = stages.features - stages.features.mean(axis=0)
    axes = np.linalg.svd(centered, full_matrices=False)[2][:NUM_COLORS]
    parts = centered @ axes.T  # L D -> L 3
    low, high = np.quantile(parts, [0.02, 0.98], axis=0)
    colors = np.clip((parts - low) / np.maximum(high - low, 1e-9), 0, 1)
    bands = stages.format.positions_per_column
    grid = colors.reshape(-1, bands, NUM_COLORS).swapaxes(0, 1)  # L 3 -> bands columns 3
    panel.imshow(
        grid,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(0, _seconds(stages), 0, bands),
    )
    panel.set_ylabel("Band")
    width = stages.features.shape[1]
    panel.set_title(
        f"AudioMAE: {len(stages.features)} × {width} features, their main directions as colors",
        loc="left",
    )


def _draw_codes(
    panel: Axes, stages: Stages, name: str, stream: Integer[np.ndarray, " L"], colors: str
) -> None:
    bands, seconds = stages.format.positions_per_column, _seconds(stages)
    grid = stream.reshape(-1, bands).T  # L -> bands columns
    panel.imshow(
        grid.astype(np.int64) * SCATTER % SCATTER_RANGE,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(0, seconds, 0, bands),
        cmap=colors,
    )
    for (band, column), code in np.ndenumerate(grid):
        panel.text(
            (column + 0.5) * seconds / grid.shape[1],
            band + 0.5,
            str(code),
            ha="center",
            va="center",
            fontsize=5.5,
            color="white",
            bbox={"facecolor": "black", "alpha": 0.45, "pad": 0.6, "linewidth": 0},
        )
    panel.set_ylabel("Band")
    panel.set_title(f"{name} codes: {len(stream)}", loc="left")


def _draw_condition(panel: Axes, stages: Stages) -> None:
    bands, width = stages.format.positions_per_column, stages.context.shape[1]
    context = stages.context.reshape(-1, bands * width).T  # L E -> (bands E) columns
    _draw_map(
        panel,
        context / np.maximum(np.abs(context).max(), 1e-9),
        _seconds(stages),
        f"Condition: {len(stages.context)} positions × {width} values, one band over the other",
        "Value",
        "RdBu",
        centered=True,
    )


def _draw_latent(
    panel: Axes, stages: Stages, name: str, values: Float[np.ndarray, "C T2 F"]
) -> None:
    _draw_map(
        panel,
        values.swapaxes(1, 2).reshape(-1, values.shape[1]),  # C T F -> (C F) T
        _seconds(stages),
        f"{name}: {values.shape[0]} channels × {values.shape[2]} frequencies",
        "Channel, frequency",
        "RdBu",
        centered=True,
    )


# By what `--only` calls them, in the order of the chain.
PANELS: dict[str, Callable[[Axes, Stages], None]] = {
    "wav": lambda panel, stages: _draw_wav(panel, stages.wav, "Waveform, 16 kHz"),
    "fbank": _draw_fbank,
    "features": _draw_features,
    "semantic": lambda panel, stages: _draw_codes(
        panel, stages, "Semantic", stages.semantic, "viridis"
    ),
    "acoustic": lambda panel, stages: _draw_codes(
        panel, stages, "Acoustic", stages.acoustic, "magma"
    ),
    "condition": _draw_condition,
    "noise": lambda panel, stages: _draw_latent(panel, stages, "Noise", stages.noise),
    "halfway": lambda panel, stages: _draw_latent(
        panel, stages, "After half of the steps", stages.halfway
    ),
    "latent": lambda panel, stages: _draw_latent(
        panel, stages, "Latent after diffusion", stages.latent
    ),
    "mel": lambda panel, stages: _draw_map(
        panel, stages.mel.T, _seconds(stages), f"Mel: {_size(stages.mel)}", "Mel bin"
    ),
    "decoded": lambda panel, stages: _draw_wav(panel, stages.decoded, "Waveform, decoded"),
}
IN_BOTH_COLUMNS = [name for name in PANELS if name != "halfway"]
