"""A second of sound on its way through every box of the paper's Figure 2.

encoder, from above:  wav -> fbank, cut into patches -> features -> semantic, acoustic codes
decoder, from above:  condition -> noise -> latent -> mel -> wav
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Integer

from experiments.figures.style import PALETTE, new_figure, tidy
from semanticodec.audio.fbank import window_fbank
from semanticodec.audio.windows import encode_windows
from semanticodec.decoder.noise import seeded_noise
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
    streams = codec.encoder.encode(fbank, codec.semantic_vocab_size)
    length = codec.format.num_positions(len(wav))
    semantic, acoustic = (stream[:, :length] for stream in streams)
    halves = codec.encoder.quantized(semantic, acoustic, codec.semantic_vocab_size)
    context = codec.decoder.condition(*halves, features.shape[1])
    start = seeded_noise(seed, (1, *codec.decoder.config.latent_shape))
    whole = codec.format.positions_per_window
    num_frames = codec.decoder.config.latent_shape[1] * features.shape[1] // whole
    latent = codec.decoder.sample(
        context, lambda draw: start(0, draw)[:, :, :num_frames], codec.sampling()
    )
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
        noise=_cut(start(0, 0)[0, :, :num_frames].transpose(0, 1), share).swapaxes(0, 1),
        latent=_cut(latent[0].transpose(0, 1), share).swapaxes(0, 1),
        mel=_cut(mel[0], share),
        decoded=decoded[0, : len(wav)].numpy(),
    )


def _cut(values: torch.Tensor, share: float) -> np.ndarray:
    """Return the first part of the first axis, which is time."""
    return values[: round(share * len(values))].float().numpy()


def draw_stages(stages: Stages, title: str) -> Figure:
    """Return the picture: the encoder on the left, the decoder on the right, time to the right.

    Args:
        stages: result of `follow`.
        title: what is heard.
    """
    figure = new_figure(14.0, 11.0)
    figure.suptitle(title, parse_math=False)
    panels: Any = figure.subplots(5, 2, sharex=True)
    left, right = panels.T
    seconds = len(stages.wav) / SAMPLE_RATE
    bands = stages.format.positions_per_column
    _draw_wav(left[0], stages.wav, "1  Waveform, 16 kHz")
    _draw_map(
        left[1],
        stages.fbank.T,
        seconds,
        f"2  Filter bank in patches of {PATCH} × {PATCH}: {_size(stages.fbank)}",
        "Mel bin",
    )
    _draw_patches(left[1], stages, seconds)
    _draw_features(left[2], stages, seconds)
    for panel, number, name, stream, colors in (
        (left[3], 4, "Semantic", stages.semantic, "viridis"),
        (left[4], 5, "Acoustic", stages.acoustic, "magma"),
    ):
        _draw_codes(panel, stream, bands, seconds, f"{number}  {name} codes: {len(stream)}", colors)
    width = stages.context.shape[1]
    context = stages.context.reshape(-1, bands * width).T  # L E -> (bands E) columns
    _draw_map(
        right[0],
        context / np.maximum(np.abs(context).max(), 1e-9),
        seconds,
        f"6  Condition: {len(stages.context)} positions × {width} values, one band over the other",
        "Value",
        "RdBu",
        centered=True,
    )
    for panel, number, name, values in (
        (right[1], 7, "Noise", stages.noise),
        (right[2], 8, "Latent after diffusion", stages.latent),
    ):
        rows = values.swapaxes(1, 2).reshape(-1, values.shape[1])  # C T F -> (C F) T
        _draw_map(
            panel,
            rows,
            seconds,
            f"{number}  {name}: {values.shape[0]} channels × {values.shape[2]} frequencies",
            "Channel, frequency",
            "RdBu",
            centered=True,
        )
    _draw_map(right[3], stages.mel.T, seconds, f"9  Mel: {_size(stages.mel)}", "Mel bin")
    _draw_wav(right[4], stages.decoded, "10  Waveform, decoded")
    left[0].set_xlim(0, seconds)
    for panel in panels[-1]:
        panel.set_xlabel("Time (s)")
    return figure


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


def _draw_patches(panel: Axes, stages: Stages, seconds: float) -> None:
    """Draw the borders of the patches."""
    style = {"color": "white", "linewidth": 0.4, "alpha": 0.6}
    for frame in range(0, len(stages.fbank), PATCH):
        panel.axvline(frame / len(stages.fbank) * seconds, **style)
    for mel_bin in range(0, stages.fbank.shape[1], PATCH):
        panel.axhline(mel_bin, **style)


def _draw_features(panel: Axes, stages: Stages, seconds: float) -> None:
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
        extent=(0, seconds, 0, bands),
    )
    panel.set_ylabel("Band")
    width = stages.features.shape[1]
    panel.set_title(
        f"3  AudioMAE: {len(stages.features)} × {width} features, their main directions as colors",
        loc="left",
    )


def _draw_codes(
    panel: Axes,
    stream: Integer[np.ndarray, " L"],
    bands: int,
    seconds: float,
    title: str,
    colors: str,
) -> None:
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
    panel.set_title(title, loc="left")
