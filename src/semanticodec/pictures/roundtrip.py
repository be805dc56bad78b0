"""The picture of a round trip: original, semantic and acoustic codes, reconstruction.

+--------------------------------+
| spectrogram of the original    |  Hz over seconds
+--------------------------------+
| semantic codes                 |  one cell per position: bands over seconds,
| acoustic codes                 |  equal codes in equal colors
+--------------------------------+
| spectrogram of the decoded wav |
+--------------------------------+
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from jaxtyping import Float, Integer

from semanticodec.pictures.figure import printable, require_matplotlib, write_picture
from semanticodec.pictures.spectrogram import (
    MAX_SAMPLES,
    draw_spectrogram,
    mel_spectrogram_db,
)
from semanticodec.token_format import SAMPLE_RATE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from torch import Tensor

    from semanticodec import Codes

SEMANTIC_COLORS, ACOUSTIC_COLORS = "viridis", "magma"
# Multiplying by an odd number near 2**16 / golden ratio and keeping 16 bits sends neighboring
# codes, which have nothing in common, to distant colors.
SCATTER, SCATTER_RANGE = 40_503, 1 << 16


class PlottedPart:
    """Blocks of samples that pass through; the first ones, which a picture shows, are kept.

    Args:
        blocks: consecutive blocks [..., S] of one recording.
    """

    def __init__(self, blocks: Iterator[Tensor]) -> None:
        self._blocks = blocks
        self._kept: list[np.ndarray] = []

    def __iter__(self) -> Iterator[Tensor]:
        room = MAX_SAMPLES
        for block in self._blocks:
            if room > 0:
                self._kept.append(block[..., :room].detach().cpu().numpy().reshape(-1))
                room -= block.shape[-1]
            yield block

    def samples(self) -> Float[np.ndarray, " S"]:
        """Return the kept samples."""
        return np.concatenate(self._kept)


def draw_file(
    path: Path, file: BinaryIO, codes: Codes, reconstruction: Float[np.ndarray, " S"], name: str
) -> None:
    """Write the picture of the round trip of a sound file, see `draw_roundtrip`.

    Args:
        path: file to write.
        file: the original, open for reading.
        codes: codes of one recording, made from `file`.
        reconstruction: waveform decoded from `codes`.
        name: path of the original.
    """
    from semanticodec.audio.io import read_blocks

    file.seek(0)
    blocks, room = [], MAX_SAMPLES
    for block in read_blocks(file):
        blocks.append(block[:room])
        room -= len(block)
        if room <= 0:
            break
    draw_roundtrip(path, np.concatenate(blocks), codes, reconstruction, Path(name).name)


def draw_roundtrip(
    target: Path | BinaryIO,
    original: Float[np.ndarray, " S"] | None,
    codes: Codes,
    reconstruction: Float[np.ndarray, " S"],
    title: str,
) -> None:
    """Write the picture of one round trip as PNG; at most the first 30 s are drawn.

    Args:
        target: file to write, whatever its suffix.
        original: waveform at 16 kHz; None where only its codes are known.
        codes: codes of one recording, made from `original`.
        reconstruction: waveform decoded from `codes`.
        title: name of what was coded, such as a file name.
    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    shown = {} if original is None else {"Original": mel_spectrogram_db(original)}
    shown["Reconstruction"] = mel_spectrogram_db(reconstruction)
    first, last = next(iter(shown)), "Reconstruction"
    loudest = shown[first].max()
    lengths = [len(wav) for wav in (original, reconstruction) if wav is not None]
    seconds = min(*lengths, MAX_SAMPLES) / SAMPLE_RATE
    rows = [*([first] if original is not None else []), "semantic", "acoustic", last]
    figure = Figure(
        figsize=(min(16.0, 7.0 + seconds * 0.5), 2.75 * len(rows) - 1.5), layout="constrained"
    )
    heights = [3 if row in shown else 1.3 for row in rows]
    panels: Any = figure.subplots(len(rows), 1, sharex=True, height_ratios=heights)
    places = dict(zip(rows, panels))
    figure.suptitle(
        f"{printable(title)}: {codes.duration_s[0]:.2f} s as {2 * codes.num_positions[0]} "
        f"tokens, {codes.bitrate / 1000:.2f} kbps",
        parse_math=False,  # a file name may hold dollar signs
    )
    images = [
        draw_spectrogram(places[name], levels - loudest, name) for name, levels in shown.items()
    ]
    draw_codes(places["semantic"], codes.semantic[0].numpy(), codes, "Semantic", SEMANTIC_COLORS)
    draw_codes(places["acoustic"], codes.acoustic[0].numpy(), codes, "Acoustic", ACOUSTIC_COLORS)
    label = f"dB, 0 is the loudest of the {first.lower()}"
    figure.colorbar(images[0], ax=[places[name] for name in shown], label=label, pad=0.01)
    panels[0].set_xlim(0, seconds)
    panels[-1].set_xlabel("Time (s)")
    write_picture(figure, target)


def draw_codes(
    panel: Axes, stream: Integer[np.ndarray, " L"], codes: Codes, name: str, colors: str
) -> None:
    """Draw one stream of codes, a cell per position: bands over seconds.

    Args:
        panel: where to draw.
        stream: semantic or acoustic codes of one recording.
        codes: what they are from.
        name: name of the stream.
        colors: color map; equal codes get equal colors of it.
    """
    bands = codes.format.positions_per_column
    grid = stream.reshape(-1, bands).T  # L -> bands T; positions are time-major
    seconds = grid.shape[1] * codes.format.samples_per_column / SAMPLE_RATE
    panel.imshow(
        grid.astype(np.int64) * SCATTER % SCATTER_RANGE,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(0, seconds, 0, bands),
        vmin=0,
        vmax=SCATTER_RANGE,
        cmap=colors,
    )
    panel.set_yticks([0.5, bands - 0.5], ["low", "high"])
    panel.set_ylabel("Band")
    used = len(np.unique(stream))
    panel.set_title(f"{name} codes ({len(stream)} positions, {used} different)", loc="left")
